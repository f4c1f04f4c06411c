"""What the tests of the window share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator

import pytest

from langswarm_sessions import Session, SessionManager
from tests.session.kit import OpenManager, open_manager
from tests.support.recorded import Recorded
from tests.window.kinds import Kind
from tests.window.tape import Tape

__all__ = ["ask", "manager", "open_manager", "recorded", "session", "tape"]

Ask = Callable[[Session, str], Awaitable[str]]


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> Kind:
    """The provider under test; a test parametrises it."""
    found: Kind = request.param
    return found


@pytest.fixture
def tape(kind: Kind) -> Iterator[Tape]:
    """Its server, with a tape before it."""
    with kind.taped() as tape:
        yield tape


@pytest.fixture
def recorded() -> Recorded:
    """What the manager's telemetry says."""
    return Recorded()


@pytest.fixture
def manager(kind: Kind, tape: Tape, open_manager: OpenManager, recorded: Recorded) -> SessionManager:
    """A manager in memory that reaches the provider by way of the tape."""
    credential = {"api_key": tape.key, "base_url": tape.base_url}
    return open_manager("memory", providers={kind.provider: credential}, telemetry=recorded.telemetry())


@pytest.fixture
async def session(kind: Kind, manager: SessionManager) -> Session:
    """A session with the provider."""
    return await manager.create_session(
        "user", kind.provider, kind.model, strategy=kind.strategy, provider_config=dict(kind.config)
    )


@pytest.fixture(params=["send", "stream"])
def ask(request: pytest.FixtureRequest) -> Ask:
    """Say something and return the answer, at once and in a stream in turn."""
    return _sent if request.param == "send" else _streamed


async def _sent(session: Session, text: str) -> str:
    return (await session.send_message(text)).content


async def _streamed(session: Session, text: str) -> str:
    return "".join([chunk async for chunk in session.send_message_stream(text)])
