"""`session.handoff`: another provider or model answers from the next turn on, and knows the conversation."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from langswarm_sessions import (
    ConfigurationError,
    ImagePart,
    InvalidInputError,
    ProviderSession,
    Session,
    SessionArchivedError,
    SessionError,
    SessionLifecycleHook,
    SessionManager,
    SessionMessage,
    SessionNotFoundError,
    TextPart,
    ToolCall,
    create_session_manager,
)
from tests.session.kit import Gate, OpenManager, rows_of
from tests.support.recorded import Recorded

CANARY = "the canary sings"


class Recalls(ProviderSession):
    """A provider of one's own that takes the history, and tells what it was given."""

    async def send_message(  # type: ignore[override]
        self,
        content: str,
        history: list[SessionMessage],  # pyright: ignore[reportIncompatibleMethodOverride]
    ) -> str:
        return " | ".join([*(f"{message.role}: {message.content}" for message in history), content])

    async def get_provider_metadata(self) -> dict[str, Any]:
        return {}

    async def update_provider_config(self, config: dict[str, Any]) -> None: ...

    async def cleanup_provider_resources(self) -> None: ...


class Forgetful(Recalls):
    """Takes nothing but the new input."""

    async def send_message(self, content: str) -> str:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        return content


PROVIDERS = {"recalls": Recalls, "forgetful": Forgetful}


class Heard(SessionLifecycleHook):
    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    async def on_session_handoff(self, session_id: str, provider: str, model: str) -> None:
        self.told.append((provider, model))


@pytest.fixture
def manager(open_manager: OpenManager, backend: str) -> SessionManager:
    return open_manager(backend, providers=PROVIDERS)


@pytest.fixture
async def session(manager: SessionManager) -> Session:
    made = await manager.create_session("user", "mock", "a", provider_config={"temperature": 0.5, "pace": 0})
    await made.send_message("one")
    return made


async def test_there_and_back(manager: SessionManager, session: Session) -> None:
    report = await session.handoff("recalls", "r")
    assert (session.provider, session.model, session.provider_session_id) == ("recalls", "r", None)
    assert (report.from_provider, report.from_model) == ("mock", "a")
    assert (report.to_provider, report.to_model) == ("recalls", "r")
    assert (report.messages, dict(report.crossing.crossed), report.settings_left) == (2, {"text": 2}, ("pace",))
    reply = await session.send_message("two")
    assert reply.content == "user: one | assistant: Mock response to: one | two"
    assert reply.provider_metadata["provider"] == "recalls"

    await manager.handoff(session.session_id, "mock", "b")
    assert (session.provider, session.model) == ("mock", "b")
    await session.send_message("three")
    request = session.provider_session.requests[-1]
    assert request.native is None
    said = [message.content for message in request.messages]
    assert said == ["one", "Mock response to: one", "two", reply.content, "three"]
    await session.send_message("four")
    assert len(session.provider_session.requests[-1].messages) == 1, "native again"
    [row] = await rows_of(manager, "SELECT provider, model, provider_config FROM sessions")
    assert (row["provider"], row["model"], row["provider_config"]) == ("mock", "b", '{"temperature":0.5}')


async def test_only_looking_changes_nothing(manager: SessionManager, session: Session) -> None:
    before = await rows_of(manager, "SELECT * FROM sessions")
    report = await session.handoff("recalls", "r", dry_run=True)
    assert report.is_dry_run
    assert await rows_of(manager, "SELECT * FROM sessions") == before
    assert "mock/a → recalls/r: 2 messages" in str(report)
    assert (await session.send_message("two")).content == "Mock response to: two"
    assert len(session.provider_session.requests[-1].messages) == 1, "the provider's own conversation goes on"


async def test_what_does_not_cross_is_told(manager: SessionManager, session: Session) -> None:
    session.provider_session.set_responses([[ToolCall(id="c", name="clock")]])
    await session.send_message([TextPart(CANARY), ImagePart(url="https://example.org/a.png")])
    report = await session.handoff("recalls", "r", dry_run=True)
    assert [(note.part, note.why) for note in report.crossing.converted] == [
        ("tool_call", "given a result that says it was interrupted")
    ]
    assert dict(report.crossing.crossed) == {"text": 3, "image": 1, "tool_call": 1}
    assert CANARY not in str(report) + repr(report)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("nobody", "m"), ConfigurationError, "unknown provider 'nobody'"),
        (("", "m"), InvalidInputError, "provider"),
        (("mock", ""), InvalidInputError, "model"),
        (("forgetful", "m"), ConfigurationError, "cannot be given this one"),
    ],
)
async def test_what_cannot_work_is_refused_and_changes_nothing(
    manager: SessionManager, session: Session, arguments: tuple[str, str], error: type[SessionError], message: str
) -> None:
    before = await rows_of(manager, "SELECT * FROM sessions")
    with pytest.raises(error, match=message):
        await session.handoff(*arguments)
    with pytest.raises(ConfigurationError, match="temprature"):
        await session.handoff("mock", "b", provider_config={"temprature": 1})
    assert await rows_of(manager, "SELECT * FROM sessions") == before
    assert (await session.send_message("two")).content == "Mock response to: two"


async def test_archived_and_deleted_sessions_are_not_handed_off(session: Session) -> None:
    await session.archive()
    with pytest.raises(SessionArchivedError, match="Restore it"):
        await session.handoff("mock", "b")
    await session.delete()
    with pytest.raises(SessionNotFoundError):
        await session.handoff("mock", "b")


async def test_it_waits_for_the_turn_that_runs(session: Session) -> None:
    gate = Gate("from the first")
    session.provider_session.set_responses([gate])
    asking = asyncio.ensure_future(session.send_message("two"))
    await gate.asked.wait()
    moving = asyncio.ensure_future(session.handoff("recalls", "r"))
    for _ in range(20):
        await asyncio.sleep(0)
    assert session.provider == "mock"
    gate.let()
    assert (await asking).content == "from the first"
    await moving
    assert (await session.send_message("three")).content.endswith("two | assistant: from the first | three")


async def test_it_is_told_of(open_manager: OpenManager) -> None:
    recorded, heard = Recorded(), Heard()
    manager = open_manager("memory", providers=PROVIDERS, hooks=[heard], telemetry=recorded.telemetry())
    events = manager.session_events()
    session = await manager.create_session("user", "mock", "a")
    await session.send_message("one")
    await session.handoff("recalls", "r")
    await session.handoff("mock", "b", dry_run=True)
    assert heard.told == [("recalls", "r")]
    kinds = [(await anext(events)).type for _ in range(3)]
    assert kinds == ["session_created", "message_sent", "session_handoff"]
    span, turn = recorded.span("langswarm.session.handoff"), recorded.span("invoke_agent session")
    told = {name: value for name, value in (span.attributes or {}).items() if name.startswith("langswarm.handoff")}
    assert told == {
        "langswarm.handoff.from.provider": "mock",
        "langswarm.handoff.from.model": "a",
        "langswarm.handoff.to.provider": "recalls",
        "langswarm.handoff.to.model": "r",
        "langswarm.handoff.messages": 2,
    }
    [link] = span.links
    assert turn.context is not None
    assert link.context.span_id == turn.context.span_id


def test_it_has_a_blocking_twin() -> None:
    with create_session_manager(storage="memory", providers=PROVIDERS, blocking=True) as manager:
        session = manager.create_session("user", "mock", "a")
        session.send_message("one")
        assert session.handoff("recalls", "r").messages == 2
        assert manager.handoff(session.session_id, "mock", "b", dry_run=True).messages == 2
        assert session.send_message("two").content.endswith("| two")
