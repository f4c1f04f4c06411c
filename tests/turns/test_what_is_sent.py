"""What reaches the provider, in native and in client mode: each thing once, in order, and what changed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from langswarm_sessions import ConfigurationError, Session, SessionArchivedError, SessionManager, SessionNotFoundError
from langswarm_sessions.interfaces import ProviderRequest
from tests.session.kit import Gate, OpenManager

CLOCK: dict[str, Any] = {"name": "clock", "parameters": {"type": "object"}}


@pytest.fixture(params=["native", "client"])
async def session(request: pytest.FixtureRequest, manager: SessionManager) -> Session:
    return await manager.create_session("user", "mock", "m", session_id="s", strategy=str(request.param))


def last(session: Session) -> ProviderRequest:
    request: ProviderRequest = session.provider_session.requests[-1]
    return request


def told(session: Session) -> list[tuple[str, str]]:
    """Return everything the model has before it: in native mode what was kept, in client mode what was sent."""
    if session.provider_session_id is not None:
        lines: list[tuple[str, str]] = session.provider_session.seen[:-1]
        return lines
    return [(message.role.value, message.content) for message in last(session).messages]


async def test_native_sends_the_new_and_client_the_window(session: Session) -> None:
    for text in ("one", "two", "three"):
        await session.send_message(text)
    sent = [message.content for message in last(session).messages]
    if session.provider_session_id is not None:
        assert sent == ["three"]
    else:
        assert sent == ["one", "Mock response to: one", "two", "Mock response to: two", "three"]
    assert [text for role, text in told(session) if role == "user"] == ["one", "two", "three"]


async def test_a_system_message_reaches_the_provider_once(session: Session) -> None:
    await session.send_message("one")
    stored = await session.send_system_message("Be brief.")
    assert (stored.role, stored.status) == ("system", "completed")
    await session.send_message("two")
    await session.send_message("three")
    assert told(session).count(("system", "Be brief.")) == 1
    assert told(session).index(("system", "Be brief.")) < told(session).index(("user", "two"))


async def test_added_messages_reach_the_provider_once_and_in_order(session: Session) -> None:
    await session.add_message("user", "before any turn")
    await session.add_message("assistant", "said elsewhere")
    await session.send_message("one")
    await session.add_message("user", "between turns")
    await session.add_message("assistant", "answered elsewhere")
    await session.send_message("two")
    await session.send_message("three")
    assert told(session) == [
        ("user", "before any turn"),
        ("assistant", "said elsewhere"),
        ("user", "one"),
        ("assistant", "Mock response to: one"),
        ("user", "between turns"),
        ("assistant", "answered elsewhere"),
        ("user", "two"),
        ("assistant", "Mock response to: two"),
        ("user", "three"),
    ]


async def test_a_message_added_while_a_turn_runs_reaches_the_next_one(session: Session) -> None:
    gate = Gate("one's answer")
    session.provider_session.set_responses([gate])
    call = asyncio.ensure_future(session.send_message("one"))
    await gate.asked.wait()
    await session.add_message("system", "meanwhile")
    gate.let()
    await call
    await session.send_message("two")
    await session.send_message("three")
    assert told(session).count(("system", "meanwhile")) == 1
    assert [text for role, text in told(session) if role != "system"] == [
        "one",
        "one's answer",
        "two",
        "Mock response to: two",
        "three",
    ]


async def test_instructions_reach_the_provider_with_every_turn_and_are_stored_when_they_change(
    session: Session,
) -> None:
    await session.send_message("one", instructions="Be brief.")
    assert last(session).instructions == "Be brief."
    await session.send_message("two", instructions="Be brief.")
    await session.send_message("three")
    assert last(session).instructions == "Be brief."
    await session.send_message("four", instructions="Be kind.")
    assert last(session).instructions == "Be kind."
    stored = [message.content for message in await session.get_messages(role="system")]
    assert stored == ["Be brief.", "Be kind."]
    assert all(message.role != "system" for message in last(session).messages)


async def test_configured_instructions_reach_the_provider(manager: SessionManager) -> None:
    session = await manager.create_session("user", "mock", "m", provider_config={"instructions": "Configured."})
    await session.send_message("one")
    assert last(session).instructions == "Configured."
    await session.provider_session.update_provider_config({"instructions": "Changed."})
    await session.send_message("two")
    assert last(session).instructions == "Changed."
    await session.send_message("three", instructions="For now.")
    assert last(session).instructions == "For now."


async def test_changed_tools_reach_the_provider(session: Session) -> None:
    await session.send_message("one", tools=[CLOCK])
    assert [dict(tool) for tool in last(session).options.tools] == [CLOCK]
    await session.send_message("two")
    assert last(session).options.tools == ()
    await session.send_message("three", tools=[{**CLOCK, "name": "other"}], tool_choice="other")
    assert last(session).options.tools[0]["name"] == "other"
    assert last(session).options.tool_choice == "other"


async def test_settings_changed_by_another_manager_hold_from_the_next_turn(open_manager: OpenManager) -> None:
    session = await open_manager().create_session("user", "mock", "m", session_id="s")
    await session.send_message("one")
    elsewhere = await open_manager().get_session("s")
    await elsewhere.provider_session.update_provider_config({"response_pattern": "changed: {input}"})
    await session.refresh()
    assert (await session.send_message("two")).content == "changed: two"
    assert (await session.get_provider_metadata())["config"] == {"response_pattern": "changed: {input}"}


async def test_max_messages_bounds_the_window(manager: SessionManager) -> None:
    session = await manager.create_session("user", "mock", "m", strategy="client", session_config={"max_messages": 3})
    await session.send_system_message("Always.")
    for number in range(5):
        await session.send_message(str(number))
    sent = [message.content for message in last(session).messages]
    assert sent == ["Always.", "3", "Mock response to: 3", "4"]
    assert len(await session.get_messages()) == 11


async def test_clear_messages_starts_anew(session: Session) -> None:
    await session.send_message("one", instructions="Be brief.")
    await session.clear_messages()
    assert await session.get_messages() == []
    assert (session.message_count, session.provider_session_id) == (0, None)
    await session.send_message("two")
    assert [text for role, text in told(session) if role == "user"] == ["two"]
    assert last(session).instructions is None
    assert [message.content for message in await session.get_messages()] == ["two", "Mock response to: two"]
    assert (await session.get_metrics()).total_messages == 2


async def test_clearing_while_a_turn_runs_does_not_bring_the_old_back(session: Session) -> None:
    await session.send_message("old")
    gate = Gate("answer")
    session.provider_session.set_responses([gate])
    call = asyncio.ensure_future(session.send_message("running"))
    await gate.asked.wait()
    await session.clear_messages()
    gate.let()
    await call
    await session.send_message("new")
    assert ("user", "old") not in told(session)
    assert [text for role, text in told(session) if role == "user"][-1] == "new"


async def test_archived_sessions_refuse_turns_and_stay_readable(session: Session) -> None:
    await session.send_message("one")
    await session.archive()
    assert session.status == "archived"
    with pytest.raises(SessionArchivedError, match="Restore"):
        await session.send_message("two")
    with pytest.raises(SessionArchivedError):
        await session.send_system_message("two")
    with pytest.raises(SessionArchivedError):
        async for _ in session.send_message_stream("two"):
            pass
    assert len(await session.get_messages()) == 2
    await session.restore()
    await session.send_message("three")
    assert [text for role, text in told(session) if role == "user"] == ["one", "three"]


async def test_deleted_sessions_are_not_found(session: Session, manager: SessionManager) -> None:
    await session.send_message("one")
    await session.delete()
    for attempt in (
        session.send_message("two"),
        session.add_message("user", "two"),
        session.update_context({"a": 1}),
        session.update_config({"name": "x"}),
        session.archive(),
        manager.get_session("s"),
    ):
        with pytest.raises(SessionNotFoundError):
            await attempt
    await session.restore()
    assert (await session.send_message("three")).content == "Mock response to: three"
    assert [text for role, text in told(session) if role == "user"] == ["one", "three"]


async def test_a_strategy_the_provider_cannot_follow_is_refused_at_creation(manager: SessionManager) -> None:
    with pytest.raises(ConfigurationError, match="strategy"):
        await manager.create_session("user", "mock", "m", strategy="telepathy")
    assert await manager.get_user_sessions("user") == []
