"""A fallback answers only when asked for by name, says so on the answer, and knows the conversation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from langswarm_sessions import (
    ConfigurationError,
    IncompleteStreamError,
    MockProviderSession,
    ProviderSession,
    ProviderSessionFactory,
    ProviderTimeoutError,
    ProviderUnavailableError,
    RetryPolicy,
    Session,
    SessionBusyError,
    SessionManager,
    SessionMessage,
    SessionStatus,
    TurnState,
)
from tests.session.kit import Gate

AT_ONCE = RetryPolicy(max_attempts=2, initial_delay=0, jitter=0)


def broken(session_id: str, model: str, config: dict[str, object]) -> MockProviderSession:
    """Make a provider that fails as long as the test says so."""
    return MockProviderSession(session_id, model)


ProviderSessionFactory.register_provider("sometimes", broken)


def manager_with(fallback: str | None) -> SessionManager:
    return SessionManager("memory", fallback=fallback, retry=AT_ONCE, telemetry=False)


async def start(manager: SessionManager) -> tuple[Session, MockProviderSession]:
    session = await manager.create_session("user", "sometimes", "first-model")
    return session, session.provider_session


async def test_without_a_fallback_the_error_is_raised() -> None:
    async with manager_with(None) as manager:
        session, provider = await start(manager)
        provider.fail_next("unavailable", times=2)
        with pytest.raises(ProviderUnavailableError):
            await session.send_message("hi")


async def test_the_fallback_answers_knows_the_conversation_and_is_named() -> None:
    async with manager_with("mock/second-model") as manager:
        session, provider = await start(manager)
        await session.send_message("one")
        provider.fail_next("unavailable", times=2)
        reply = await session.send_message("two")
        assert reply.content == "Mock response to: two"
        assert reply.provider_metadata["provider"] == "mock"
        assert reply.provider_metadata["model"] == "second-model"
        assert reply.provider_metadata["fallback_from"] == provider.name
        third = await session.send_message("three")
        assert "fallback_from" not in third.provider_metadata
        said = [message.content for message in provider.requests[-1].messages]
        assert said == ["two", "Mock response to: two", "three"], (
            "what the fallback answered reaches the first provider"
        )


async def test_a_stream_falls_back_only_before_its_first_chunk() -> None:
    async with manager_with("mock") as manager:
        session, provider = await start(manager)
        provider.fail_next("unavailable", times=2)
        assert "".join([chunk async for chunk in session.send_message_stream("a b")]) == "Mock response to: a b"
        provider.fail_next("drop", after_chunks=1)
        with pytest.raises(IncompleteStreamError):
            [chunk async for chunk in session.send_message_stream("c d")]
        assert (await session.get_messages())[-1].status is TurnState.FAILED


async def test_a_fallback_that_cannot_work_is_refused_before_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="nowhere"):
        manager_with("nowhere")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    async with manager_with("gpt/some-model") as manager:
        with pytest.raises(ConfigurationError, match="OPENAI_API_KEY"):
            await manager.create_session("user", "sometimes", "first-model", session_id="s")
        assert await manager.get_user_sessions("user") == []


async def test_a_fallback_named_by_an_alias_uses_the_providers_own_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    async with SessionManager(
        "memory", providers={"openai": "sk-test"}, fallback="gpt/some-model", telemetry=False
    ) as manager:
        assert (await start(manager))[0].status is SessionStatus.ACTIVE


async def test_the_deadline_is_the_turns_not_the_providers() -> None:
    async def never() -> AsyncIterator[str]:
        yield "part "
        await asyncio.Event().wait()

    async with manager_with("mock") as manager:
        session, provider = await start(manager)
        provider.set_responses([never()])
        with pytest.raises(ProviderTimeoutError, match=r"No answer within 0\.5 s"):
            await session.send_message("hi", timeout=0.5)
        assert (await session.get_messages())[-1].status is TurnState.FAILED


async def test_the_deadline_counts_the_wait_in_line() -> None:
    async with manager_with(None) as manager:
        session, provider = await start(manager)
        gate = Gate("held")
        provider.set_responses([gate])
        first = asyncio.ensure_future(session.send_message("first"))
        await gate.asked.wait()
        with pytest.raises(SessionBusyError, match=r"0\.5 s"):
            await session.send_message("second", timeout=0.5)
        gate.let()
        assert (await first).content == "held"
        assert [message.content for message in await session.get_messages()] == ["first", "held"]


class StandIn(ProviderSession):
    """Takes the history; counts how often it was made and cleaned up."""

    made = 0
    cleaned = 0

    def __init__(self) -> None:
        type(self).made += 1

    async def send_message(  # type: ignore[override]
        self,
        content: str,
        history: list[SessionMessage],  # pyright: ignore[reportIncompatibleMethodOverride]
    ) -> str:
        return f"{len(history)} before {content}"

    async def get_provider_metadata(self) -> dict[str, object]:
        return {}

    async def update_provider_config(self, config: dict[str, object]) -> None: ...

    async def cleanup_provider_resources(self) -> None:
        type(self).cleaned += 1


class Forgetful(StandIn):
    """Takes no history: it cannot stand in for anybody."""

    async def send_message(self, content: str) -> str:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        return content


async def test_what_stands_in_is_kept_once_and_cleaned_up() -> None:
    StandIn.made = StandIn.cleaned = 0
    async with SessionManager(
        "memory", providers={"own": StandIn}, fallback="own", retry=AT_ONCE, telemetry=False
    ) as manager:
        session, provider = await start(manager)
        assert StandIn.made == StandIn.cleaned == 1, "looked at, and given back"
        for number in range(2):
            provider.fail_next("unavailable", times=2)
            assert (await session.send_message("hi")).content == f"{2 * number} before hi"
        assert (StandIn.made, StandIn.cleaned) == (2, 1)
        await session.delete()
        assert (StandIn.made, StandIn.cleaned) == (2, 2)


async def test_what_cannot_stand_in_is_refused_at_creation() -> None:
    async with SessionManager("memory", providers={"own": Forgetful}, fallback="own", telemetry=False) as manager:
        with pytest.raises(ConfigurationError, match="history"):
            await start(manager)
        assert await manager.get_user_sessions("user") == []
