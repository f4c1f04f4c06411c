"""The contract of telemetry: what every public operation and hook owes, as a receiver gets it over both protocols."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from langswarm_sessions import Session, SessionLifecycleHook, SessionManager
from langswarm_sessions.blocking import BlockingSession, BlockingSessionManager
from tests.support.contract.acts import ACTS
from tests.support.contract.checks import problems
from tests.support.contract.table import BESIDE, HOOKS, OPERATIONS, rows
from tests.support.contract.wire import PROTOCOLS, recordings
from tests.support.otlp import Receiver

ROOT = Path(__file__).parents[2]


def public_methods(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_") and callable(getattr(kind, name))}


def test_every_public_operation_is_decided_on() -> None:
    methods = {f"{kind.__name__}.{name}" for kind in (SessionManager, Session) for name in public_methods(kind)}
    assert methods == set(OPERATIONS), "say in the table what it owes to telemetry"


def test_the_blocking_face_has_no_operation_of_its_own() -> None:
    for face, kind in ((BlockingSessionManager, SessionManager), (BlockingSession, Session)):
        assert {f"{kind.__name__}.{name}" for name in public_methods(face)} <= set(OPERATIONS)


def test_every_hook_is_decided_on() -> None:
    assert public_methods(SessionLifecycleHook) == set(HOOKS)


def test_everything_that_owes_something_is_played() -> None:
    assert set(ACTS) == {name for name, owed in {**OPERATIONS, **BESIDE, **HOOKS}.items() if owed.outcomes}


def test_what_owes_nothing_says_why() -> None:
    assert all(owed.why for owed in OPERATIONS.values() if owed.span is None)


@pytest.fixture
def receiver_of_both() -> Iterator[tuple[Receiver, str]]:
    """A receiver of OTLP/HTTP, and the address of one of OTLP/gRPC that passes on to it."""
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    command = [sys.executable, str(ROOT / "tests" / "support" / "otlp_grpc.py"), server.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as grpc:
        try:
            assert grpc.stdout is not None
            yield server, f"127.0.0.1:{int(grpc.stdout.readline())}"
        finally:
            grpc.kill()
            server.shutdown()
            server.server_close()
            thread.join()


def test_every_operation_and_hook_as_it_is_received(receiver_of_both: tuple[Receiver, str]) -> None:
    receiver, grpc = receiver_of_both
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "LANGSWARM_"))}
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.contract.program", receiver.url, grpc],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "detach" not in done.stderr
    told = json.loads(done.stdout)
    assert told == {"open": [], "wrong": {}}
    for protocol in PROTOCOLS:
        received = recordings(receiver, protocol)
        assert len(received) == len(rows())
        found = problems(received)
        assert not found, "\n".join(found)
    assert not any(b"not to be seen" in body for _, _, body in receiver.requests), "no error's text leaves"
