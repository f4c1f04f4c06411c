"""`session.handoff`: another provider or model answers from the next turn on, and knows the conversation."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

import pytest

from langswarm_sessions import (
    AudioPart,
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
    assert (report.messages, dict(report.crossing.crossed)) == (2, {"text": 2})
    assert report.settings_left == {"pace": "it means something to mock only"}
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


@pytest.mark.parametrize(("strategy", "crosses"), [("hybrid", False), ("client", True)])
async def test_what_crosses_is_what_the_api_takes_that_will_be_asked(
    open_manager: OpenManager, strategy: Literal["hybrid", "client"], crosses: bool
) -> None:
    """Mistral's conversations take no recordings, its chat does."""
    manager = open_manager("memory", providers=KEYS)
    session = await manager.create_session("user", "mock", "a", strategy=strategy)
    await session.send_message(["hear this", AudioPart(data="aGk=", media_type="audio/mp3")])
    report = await session.handoff("mistral", "m", dry_run=True)
    assert ("audio" in report.crossing.crossed) is crosses
    assert [note.part for note in report.crossing.dropped] == ([] if crosses else ["audio"])


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


KEYS = {"openai": "sk-1", "anthropic": "sk-2", "gemini": "k", "mistral": "k", "cohere": "k"}
SCHEMALESS: dict[str, Any] = {"type": "json_schema"}


@pytest.mark.parametrize(
    ("source", "target", "name", "value"),
    [
        ("openai", "anthropic", "temperature", 1.5),
        ("openai", "claude", "response_format", "json_object"),
        ("openai", "claude", "reasoning_effort", "minimal"),
        ("anthropic", "gemini", "reasoning_effort", "max"),
        ("openai", "cohere", "top_p", 1.0),
        ("mistral", "cohere", "presence_penalty", -1),
    ],
)
async def test_settings_the_other_does_not_take_stay_behind(
    open_manager: OpenManager, source: str, target: str, name: str, value: object
) -> None:
    settings = {name: value, "max_tokens": 99}
    session = await open_manager("memory", providers=KEYS).create_session("user", source, "m", provider_config=settings)
    for dry_run in (True, False):
        report = await session.handoff(target, "m", dry_run=dry_run)
        assert list(report.settings_left) == [name]
        assert f"{name} must be" in report.settings_left[name]
        assert f"setting left behind: {name}: " in str(report)
    assert session.record.provider_config == {"max_tokens": 99}
    with pytest.raises(ConfigurationError, match=f"provider_config of .*{name} must be"):
        await session.handoff(target, "m", provider_config=settings, dry_run=True)


@pytest.mark.parametrize("provider", ["openai", "anthropic", "gemini", "mistral", "cohere", "mock"])
@pytest.mark.parametrize(
    "settings",
    [
        {"response_format": "xml"},
        {"response_format": {"type": "xml"}},
        {"response_format": SCHEMALESS},
        {"response_format": {**SCHEMALESS, "json_schema": {"name": "n"}}},
        {"response_format": {"schema": {}}},
        {"tool_choice": {"a": 1}},
        {"tool_choice": {"type": "function"}},
        {"tool_choice": {"type": 5, "name": "clock"}},
    ],
)
async def test_what_no_form_has_room_for_is_refused_before_it_is_stored(
    open_manager: OpenManager, provider: str, settings: dict[str, Any]
) -> None:
    manager = open_manager("memory", providers=KEYS)
    [name] = settings
    refused = pytest.raises(ConfigurationError, match=f"provider_config of {provider}: {name}")
    with refused:
        await manager.create_session("user", provider, "m", provider_config=settings)
    session = await manager.create_session("user", provider, "m", provider_config={"max_tokens": 9})
    with refused:
        await session.provider_session.update_provider_config(settings)
    with refused:
        await session.handoff(provider, "other", provider_config=settings)
    assert (session.model, session.record.provider_config) == ("m", {"max_tokens": 9})


@pytest.mark.parametrize("provider", ["openai", "mistral"])
async def test_a_schema_without_the_name_these_ask_for_is_refused(open_manager: OpenManager, provider: str) -> None:
    nameless = {"response_format": {"type": "json_schema", "schema": {"type": "object"}}}
    with pytest.raises(ConfigurationError, match=f"provider_config of {provider}: response_format .* needs 'name'"):
        await open_manager("memory", providers=KEYS).create_session("user", provider, "m", provider_config=nameless)


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
        "langswarm.handoff.from.mode": "native",
        "langswarm.handoff.to.mode": "client",
        "langswarm.handoff.messages": 2,
    }
    [link] = span.links
    assert turn.context is not None
    assert link.context.span_id == turn.context.span_id


async def test_a_hook_that_hears_of_it_may_send(open_manager: OpenManager) -> None:
    answers: list[str] = []
    opened = open_manager()

    class Greets(SessionLifecycleHook):
        async def on_session_handoff(self, session_id: str, provider: str, model: str) -> None:
            session = await opened.get_session(session_id)
            answers.append((await session.send_message("Are you new here?", timeout=5)).content)

    opened.add_lifecycle_hook(Greets())
    session = await opened.create_session("user", "mock", "mock-model")
    await session.handoff("mock", "other-model")
    assert answers == ["Mock response to: Are you new here?"]


def test_it_has_a_blocking_twin() -> None:
    with create_session_manager(storage="memory", providers=PROVIDERS, blocking=True) as manager:
        session = manager.create_session("user", "mock", "a")
        session.send_message("one")
        assert session.handoff("recalls", "r").messages == 2
        assert manager.handoff(session.session_id, "mock", "b", dry_run=True).messages == 2
        assert session.send_message("two").content.endswith("| two")
