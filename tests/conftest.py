"""What every test stands on: loopback only, a folder of its own, an environment without keys."""

from __future__ import annotations

import gc
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support import network

pytest_plugins = [
    "tests.support.aimock",
    "tests.support.programs",
    "tests.support.otlp",
    "tests.support.servers",
]

FOREIGN_VARIABLES = (
    "ALL_PROXY",
    "ANTHROPIC_",
    "CO_API_",
    "COHERE_",
    "FORCE_COLOR",
    "GEMINI_",
    "GITHUB_ACTIONS",
    "GOOGLE_",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "LANGCHAIN_",
    "LANGSMITH_",
    "LANGSWARM_",
    "MISTRAL_",
    "OPENAI_",
    "OTEL_",
    "PY_COLORS",
)

# `make test` says the same of the same code every time; `make explore` looks where nobody has looked yet.
settings.register_profile("explore", deadline=None, database=None, print_blob=True, max_examples=1000)
settings.register_profile("repeat", deadline=None, derandomize=True, max_examples=40)
settings.load_profile("repeat")


def pytest_configure() -> None:
    """Refuse, from before the first import of a test module, what leaves this machine; hear Ctrl-C."""
    network.forbid_foreign_hosts()
    network.trust_no_authority()
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # started in the background: tests of Ctrl-C would never end
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Leave what the packages loaded to no garbage collector: walking it takes most of a second each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def own_traffic() -> Iterator[None]:
    """Let no test inherit what another one sent or broke: a server of its own may get the same port and key."""
    yield
    if shared := sys.modules.get("langswarm_sessions.turns.traffic.shared"):
        shared.forget_traffic()


@pytest.fixture(autouse=True)
def own_folder() -> Iterator[Path]:
    """Run each test in an empty folder, so that a default database file never lands in the tree."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="session-test-", ignore_cleanup_errors=True) as folder:
        os.chdir(folder)
        try:
            yield Path(folder)
        finally:
            os.chdir(before)


@pytest.fixture(autouse=True)
def clean_environment() -> Iterator[None]:
    """Take away keys and settings of the machine that would change what a test sees."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.upper().startswith(FOREIGN_VARIABLES):
                patch.delenv(name)
        yield


@pytest.fixture(autouse=True)
def loopback_only() -> Iterator[None]:
    """Fail a test that tried to reach another machine, even where the code under test hid the refusal."""
    network.refused.clear()
    yield
    attempts = sorted(set(network.refused))
    network.refused.clear()
    assert not attempts, f"the test tried to reach {attempts}"


@pytest.fixture
def anyio_backend() -> str:
    """Run tests marked for anyio on asyncio, the only loop the product promises."""
    return "asyncio"
