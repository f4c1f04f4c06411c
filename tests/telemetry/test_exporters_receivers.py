"""Real exporters and receivers that do not take what they are sent, over HTTP and gRPC, seen from a whole process."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.otlp import Receiver
    from tests.telemetry.conftest import RunPython

PROGRAM = Path(__file__).parents[1] / "support" / "otlp_grpc.py"
KEY = "canary-key"
GENEROUS = 30.0
BOUND = 0.5

# Forty turns, a flush that may fail, and an end that the exit handler brings: nobody calls `shutdown`.
SEND = """
import threading
from langswarm_sessions_otel import Telemetry, configure_telemetry
handle = configure_telemetry(endpoint="{url}", protocol="{protocol}", headers={{"authorization": "Bearer {key}"}},
                             shutdown_timeout={bound}, {options})
for number in range(40):
    with Telemetry().turn(session_id="s-1", agent_name="session", operation="send", mode="native", provider="mock",
                          model="m", stream=False) as turn:
        pass
    assert turn.error_type is None
print(handle.force_flush({bound}))
"""


@contextlib.contextmanager
def _listening(behave: Callable[[socket.socket], None]) -> Generator[str]:
    """Accept connections and let `behave` do what it likes with each."""

    def connections() -> Iterator[socket.socket]:
        with contextlib.suppress(OSError):
            while True:
                yield server.accept()[0]

    def answer(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            behave(connection)

    def serve() -> None:
        for connection in connections():
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


def _hang(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


def _trickle(connection: socket.socket) -> None:
    """Answer a byte at a time, so that no single read takes too long."""
    connection.recv(65536)
    for _ in range(1000):
        connection.sendall(b"H")
        time.sleep(0.1)


def _die(connection: socket.socket) -> None:
    connection.recv(100)


def _garbage(connection: socket.socket) -> None:
    connection.sendall(b"\x16\x03\x01\x00garbage\xff\xfe\r\n\r\n")
    _hang(connection)


def _refuse(status: str) -> Callable[[socket.socket], None]:
    def behave(connection: socket.socket) -> None:
        while connection.recv(65536):
            connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())

    return behave


BEHAVIOURS: dict[str, Callable[[socket.socket], None]] = {
    "hangs": _hang,
    "trickles": _trickle,
    "dies": _die,
    "garbage": _garbage,
    "401": _refuse("401 Unauthorized\r\nWWW-Authenticate: Bearer"),
    "429": _refuse("429 Too Many Requests\r\nRetry-After: 3600"),
    "503": _refuse("503 Service Unavailable"),
    "echoes": _refuse(f"400 Bearer {KEY}"),
}


def _run(run: RunPython, url: str, protocol: str, *, options: str = "export_timeout=60") -> list[str]:
    """Run a process that sends to a receiver; return what it printed and logged."""
    started = time.monotonic()
    code = SEND.format(url=url, protocol=protocol, key=KEY, bound=BOUND, options=options)
    printed = run(code, with_errors=True, GRPC_VERBOSITY="NONE")
    assert time.monotonic() - started < GENEROUS  # two bounds, and what a slow machine needs for a process
    return printed.splitlines()


def _check_told(lines: list[str]) -> None:
    """The flush failed, the loss is told in a line or two, and no line quotes what was sent along."""
    assert lines[0] == "False"
    assert "langswarm-sessions: spans that were not delivered before the end: 40" in lines
    for line in lines[1:-1]:
        assert line.startswith(
            ("langswarm-sessions: spans are not taken by ", "langswarm-sessions: metrics are not taken by ")
        ), lines
    assert len(lines) <= 4
    assert KEY not in "".join(lines)


@pytest.mark.parametrize("behaviour", ["hangs", "401"])
def test_a_process_ends_whatever_its_receiver_does(run_sdk: RunPython, behaviour: str) -> None:
    with _listening(BEHAVIOURS[behaviour]) as url:
        _check_told(_run(run_sdk, url, "http/protobuf"))


@pytest.mark.accept
@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("behaviour", BEHAVIOURS)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_process_ends_whatever_its_receiver_does_over_everything(
    run_sdk: RunPython, protocol: str, behaviour: str, scheme: str
) -> None:
    with _listening(BEHAVIOURS[behaviour]) as url:
        _check_told(_run(run_sdk, url.replace("http", scheme, 1), protocol))


@pytest.mark.accept
@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "https://127.0.0.1:9", "http://nowhere.invalid:4318"])
def test_a_process_ends_where_nobody_listens(run_sdk: RunPython, protocol: str, url: str) -> None:
    _check_told(_run(run_sdk, url, protocol))


@pytest.mark.accept
@pytest.mark.parametrize(
    "refusal", [("UNAUTHENTICATED",), ("RESOURCE_EXHAUSTED", "3600"), ("UNAVAILABLE",), ("INTERNAL",)]
)
def test_a_process_ends_when_grpc_refuses(run_sdk: RunPython, receiver: Receiver, refusal: tuple[str, ...]) -> None:
    with subprocess.Popen(
        [sys.executable, str(PROGRAM), receiver.url, *refusal], stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        lines = _run(run_sdk, f"http://127.0.0.1:{program.stdout.readline().strip()}", "grpc")
        program.terminate()
    _check_told(lines)
    if refusal[0] != "UNAVAILABLE":  # which is tried again for as long as it may take
        assert any(f"({refusal[0]})" in line for line in lines)


@pytest.mark.accept
def test_a_slow_receiver_gets_everything_once(run_sdk: RunPython, receiver: Receiver) -> None:
    receiver.answers.clear()
    release = threading.Timer(1.0, receiver.answers.set)
    release.start()
    code = SEND.format(url=receiver.url, protocol="http/protobuf", key=KEY, bound=20, options="export_timeout=30")
    assert run_sdk(code) == "True\n"
    release.join()
    assert sum(len(item.scope_spans[0].spans) for item in receiver.traces().resource_spans) == 40


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ("429 Too Many Requests\r\nRetry-After: 3600", "(status 429): send less, with sampling_ratio, or raise the"),
        ("404 Not Found", "(status 404): see whether the endpoint speaks this protocol: 4318 is for http/protobuf"),
    ],
    ids=["429", "404"],
)
def test_refused_metrics_fail_the_one_flush_for_all_and_are_told(run_sdk: RunPython, status: str, told: str) -> None:
    with _listening(_refuse(status)) as url:
        printed = run_sdk(
            f"""
from langswarm_sessions_otel import Telemetry, configure_telemetry, force_flush
handle = configure_telemetry(endpoint="{url}", shutdown_timeout=30)
with Telemetry().lifecycle("create", session_id="s-1"):
    pass
print(force_flush(30), handle.lost_spans)
""",
            with_errors=True,
            OTEL_TRACES_EXPORTER="none",
        )
    first, line = printed.splitlines()
    assert first == "False 0"
    assert line.startswith(f"langswarm-sessions: metrics are not taken by {url} {told}")


def test_events_that_are_lost_are_no_spans_and_a_short_time_tells_why_too(run_sdk: RunPython) -> None:
    printed = run_sdk(
        """
from langswarm_sessions_otel import Telemetry, configure_telemetry
handle = configure_telemetry(endpoint="http://127.0.0.1:9", export_timeout=0.3, shutdown_timeout=30)
for number in range(3):
    with Telemetry().lifecycle("create", session_id=f"s-{number}"):
        pass
print(handle.shutdown(), handle.lost_spans)
""",
        with_errors=True,
        LANGSWARM_SESSIONS_EVENTS="on",
    )
    lines = printed.splitlines()
    assert "False 3" in lines
    assert "langswarm-sessions: spans that were not delivered before the end: 3" in lines
    told = [line for line in lines if "are not taken by" in line]
    assert sorted(line.split()[1] for line in told) == ["events", "metrics", "spans"]
    assert all("start a receiver there, or correct the endpoint" in line for line in told)
