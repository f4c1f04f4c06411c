"""What `export_conversation` wrote becomes a session again: the same one, whole or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Connection, text

from langswarm_sessions import (
    ConfigurationError,
    SessionConfig,
    SessionManager,
    SessionMessage,
    TextPart,
    ToolCall,
    ToolResult,
)
from langswarm_sessions.errors import SessionExistsError, StorageError
from langswarm_sessions.events import EventType
from langswarm_sessions.messages import ReasoningPart
from langswarm_sessions.messages.tokens import estimate_tokens
from langswarm_sessions.records import Amendment, SessionSummary
from tests.importing.held import LONG_AGO, exported, plain_export, talked
from tests.session.kit import OpenManager, backend, open_manager, rows_of
from tests.storage.lists import Lists

__all__ = ["backend", "open_manager"]

PRICED = {"provider": "openai", "model": "gpt-5", "usage": {"total_tokens": 5, "input_tokens": True, "odd": "x"}}


@pytest.fixture
def there(open_manager: OpenManager) -> SessionManager:
    """Where the conversation was held."""
    return open_manager("memory")


@pytest.fixture
async def manager(backend: str, open_manager: OpenManager) -> AsyncIterator[SessionManager]:
    """Where it is imported: each built-in storage in turn."""
    made = open_manager(backend)
    yield made
    made.bridge.close()


async def test_what_is_imported_is_what_was_exported(there: SessionManager, manager: SessionManager) -> None:
    first = await talked(there)
    data = await exported(first)
    second = await manager.import_conversation({**data, "exported_at": "2026-01-01T00:00:00+00:00"})
    assert await exported(second) == data
    assert (second.session_id, second.user_id, second.provider, second.model) == ("s", "ada", "mock", "mock-model")
    assert second.config == first.config
    assert second.config.tags == ("rome", "food")
    assert (second.created_at, second.last_activity) == (first.created_at, first.last_activity)
    assert (await second.get_context()).user_context == {"city": "Rome", "nested": {"days": [1, 2.5, None]}}
    assert await second.get_messages() == await first.get_messages()
    assert second.provider_session_id is None


async def test_figures_come_along(there: SessionManager, manager: SessionManager) -> None:
    first = await talked(there)
    second = await manager.import_conversation(await exported(first))
    before, after = await first.get_metrics(), await second.get_metrics()
    assert after == before
    assert after.total_tokens > 0
    old, new = await there.get_analytics(), await manager.get_analytics()
    assert (new.total_sessions, new.total_tokens, new.model_usage) == (1, old.total_tokens, old.model_usage)
    assert new.provider_usage == old.provider_usage
    assert new.avg_response_time_ms > 0
    assert (await manager.search_sessions(tags=["food"], text="TRIP"))[0].session_id == "s"


async def test_what_answers_cost_comes_along(manager: SessionManager) -> None:
    answer = {
        "role": "assistant",
        "content": "yes",
        "turn_id": "t",
        "provider_metadata": {**PRICED, "cost_usd": "0.25"},
    }
    data = plain_export({"content": "hi", "turn_id": "t"}, answer)
    figures = {"turns": 1, "total_tokens": 9, "cost": "0.75", "priced_turns": 3, "unpriced_turns": 2, "retries": 4}
    session = await manager.import_conversation({**data, "figures": figures})
    metrics = await session.get_metrics()
    assert (metrics.total_cost, metrics.unpriced_turns) == (Decimal("0.75"), 2)
    assert (metrics.total_tokens, metrics.retries) == (9, 4)
    analytics = await manager.get_analytics()
    assert (analytics.total_cost, analytics.unpriced_turns) == (Decimal("0.25"), 0)
    assert analytics.model_cost == {"gpt-5": Decimal("0.25")}
    assert analytics.total_tokens == 5
    assert (await exported(session))["cost"] == {"total": "0.75", "currency": "USD", "unpriced_turns": 2}


async def test_a_conversation_goes_on_where_it_ended(there: SessionManager, manager: SessionManager) -> None:
    first = await talked(there)
    second = await manager.import_conversation(await exported(first))
    assert (await second.send_message("And now?")).content == "Mock response to: And now?"
    [request] = second.provider_session.requests
    said = [message.content for message in request.messages]
    assert said[0] == "Where?"
    assert said[-1] == "And now?"
    assert "Are you there?" not in said, "the input of a failed turn is given to no model"
    calls = [part for message in request.messages for part in message.parts if isinstance(part, ToolCall | ToolResult)]
    assert calls == [
        ToolCall(id="call_1", name="clock", arguments={"zone": "CET"}),
        ToolResult(tool_call_id="call_1", content="12:00", name="clock"),
    ]
    assert request.instructions == "Be brief."
    assert len(await second.get_messages()) == len(await first.get_messages()) + 2


async def test_a_native_thread_is_made_anew_by_replay(there: SessionManager, manager: SessionManager) -> None:
    first = await there.create_session("ada", "mock", "m", session_id="n", strategy="native")
    await first.send_message("one")
    assert first.provider_session_id is not None
    second = await manager.import_conversation(await exported(first))
    assert second.provider_session_id is None
    await second.send_message("two")
    assert [message.content for message in second.provider_session.requests[0].messages] == [
        "one",
        "Mock response to: one",
        "two",
    ]
    assert second.provider_session_id not in (None, first.provider_session_id)
    await second.send_message("three")
    assert [message.content for message in second.provider_session.requests[1].messages] == ["three"]


async def test_twice_is_once(there: SessionManager, manager: SessionManager) -> None:
    data = await exported(await talked(there))
    session = await manager.import_conversation(data)
    await manager.import_conversation(data)
    assert await exported(session) == data
    await session.send_message("It went on.")
    count = len(await session.get_messages())
    again = await manager.import_conversation(data)
    assert again is session
    assert len(await again.get_messages()) == count
    assert len(await manager.get_user_sessions("ada")) == 1


async def test_two_at_once_are_one(there: SessionManager, manager: SessionManager) -> None:
    data = await exported(await talked(there))
    sessions = await asyncio.gather(*(manager.import_conversation(data) for _ in range(5)))
    assert len({id(session) for session in sessions}) == 1
    assert await exported(sessions[0]) == data


@pytest.mark.parametrize("change", ["another user", "other words", "deleted", "cleared", "retracted", "another one"])
async def test_another_session_of_the_id_is_left_alone(
    there: SessionManager, manager: SessionManager, change: str
) -> None:
    data = await exported(await talked(there))
    session = await manager.import_conversation(data)
    options: dict[str, Any] = {}
    if change == "another user":
        options = {"user_id": "bob"}
    elif change == "other words":
        data["messages"][1].update(content="Why?", parts=[])
    elif change == "deleted":
        await session.delete()
    elif change == "cleared":
        await session.clear_messages()
    elif change == "retracted":
        await session.retract_messages([data["messages"][1]["message_id"]])
    else:
        data["session"]["created_at"] = LONG_AGO.isoformat()
    before = await rows_of(manager, "SELECT * FROM messages ORDER BY seq")
    with pytest.raises(SessionExistsError, match=r"session_id.*Give session_id=") as caught:
        await manager.import_conversation(data, **options)
    assert caught.value.session_id == "s"
    assert await rows_of(manager, "SELECT * FROM messages ORDER BY seq") == before


async def test_a_copy_beside_the_original(manager: SessionManager) -> None:
    first = await talked(manager)
    data = await exported(first)
    copy = await manager.import_conversation(data, session_id="copy", user_id="bob")
    assert (copy.session_id, copy.user_id) == ("copy", "bob")
    old, new = await first.get_messages(), await copy.get_messages()
    assert not {message.message_id for message in old} & {message.message_id for message in new}
    for before, after in zip(old, new, strict=True):
        assert after.provider_message_id == (before.provider_message_id or before.message_id)
        assert (after.content, after.status, after.timestamp) == (before.content, before.status, before.timestamp)
    assert [message.parent_id for message in new] == [None, *(message.message_id for message in new[:-1])]
    assert await manager.import_conversation(data, session_id="copy", user_id="bob") is copy
    assert await exported(first) == data


async def test_another_provider_answers_from_now_on(there: SessionManager, open_manager: OpenManager) -> None:
    first = await talked(there)
    data = await exported(first)
    data["session"].update(provider="openai", model="gpt-5", provider_config={"temperature": 1})
    manager = open_manager("memory")
    with pytest.raises(ConfigurationError, match=r"OPENAI_API_KEY.*provider=, model="):
        await manager.import_conversation(data)
    assert await rows_of(manager, "SELECT * FROM sessions") == []
    with pytest.raises(ConfigurationError, match="name both"):
        await manager.import_conversation(data, provider="mock")
    session = await manager.import_conversation(data, provider="mock", model="mock-model")
    assert (session.provider, session.model) == ("mock", "mock-model")
    assert (await exported(session))["session"]["provider_config"] == {}
    assert (await session.send_message("hi")).content == "Mock response to: hi"
    assert "gpt-5" not in (await manager.get_analytics()).model_usage
    other = await manager.import_conversation(
        data, session_id="o", provider="mock", model="m", provider_config={"temperature": 0.1}
    )
    assert (await exported(other))["session"]["provider_config"] == {"temperature": 0.1}


async def test_an_archived_session_stays_archived(there: SessionManager, manager: SessionManager) -> None:
    first = await talked(there)
    await first.archive()
    data = await exported(first)
    session = await manager.import_conversation(data)
    assert session.status == "archived"
    assert await exported(session) == data
    assert await manager.cleanup_archived_sessions(1) == 0
    await session.restore()
    await session.send_message("hi")


async def test_clean_up_goes_by_the_times_that_came_along_and_loses_nothing(manager: SessionManager) -> None:
    old = {"status": "archived", "archived_at": LONG_AGO.isoformat()}
    session = await manager.import_conversation(plain_export({"content": "hi"}, **old))
    assert await manager.cleanup_archived_sessions(365) == 1
    assert await manager.cleanup_deleted_sessions(30) == 0, "it was deleted just now"
    await session.restore()
    assert [message.content for message in await session.get_messages()] == ["hi"]
    assert await manager.cleanup_inactive_sessions(365) == 1, "nothing was said in it for years"
    assert await manager.cleanup_archived_sessions(365) == 0, "it was archived just now"


async def test_an_archived_session_of_unknown_age_is_not_cleaned_up_at_once(manager: SessionManager) -> None:
    await manager.import_conversation(plain_export(status="archived"))
    assert await manager.cleanup_archived_sessions(1) == 0


async def test_a_summary_covers_the_same_messages(there: SessionManager, manager: SessionManager) -> None:
    first = await there.create_session("ada", "mock", "m", session_id="s")
    await first.add_message("user", "forgotten")
    await first.clear_messages()
    added = [await first.add_message("user", f"number {number}") for number in range(4)]
    await first.retract_messages([added[1].message_id])
    summary = SessionSummary(
        up_to_seq=added[2].seq or 0, text="in short", tokens=3, created_at=LONG_AGO, provider="mock", model="m"
    )
    await there._services.storage.save_summary("s", summary)
    data = await exported(first)
    assert data["summary"]["up_to_message_id"] == added[2].message_id
    session = await manager.import_conversation(data)
    brought = await session.get_summary()
    assert brought is not None
    assert (brought.text, brought.tokens, brought.created_at) == ("in short", 3, LONG_AGO)
    covered = [message.content for message in await session.get_messages() if (message.seq or 0) <= brought.up_to_seq]
    assert covered == ["number 0", "number 2"]
    assert (await exported(session))["summary"]["up_to_message_id"] == added[2].message_id
    del data["summary"]["up_to_message_id"]
    assert await (await manager.import_conversation(data, session_id="other")).get_summary() is None


async def test_groups_and_payloads_come_along(there: SessionManager, manager: SessionManager) -> None:
    first = await there.create_session("ada", "mock", "m", session_id="s")
    told = SessionMessage(
        role="assistant",  # type: ignore[arg-type]
        parts=[ReasoningPart(text="hm"), TextPart("ok"), ToolCall(id="c", name="n", raw_arguments="{")],
        group_id="group",
        provider_payload={"raw": [1, {"deep": None}]},
        provider_metadata={"model": "m", "usage": {"total_tokens": 3}},
        provider_message_id="resp_1",
    )
    await first.amend(Amendment(append=(told,)))
    data = await exported(first)
    session = await manager.import_conversation(data)
    assert await exported(session) == data
    [message] = await session.get_messages()
    assert message.group_id == "group"
    assert message.tokens == estimate_tokens(message)


async def test_the_least_an_export_says_is_enough(manager: SessionManager) -> None:
    session = await manager.import_conversation(plain_export({"content": "hi"}, {"content": "you", "turn_id": "t"}))
    assert [message.content for message in await session.get_messages()] == ["hi", "you"]
    assert (session.config, session.status) == (SessionConfig(), "active")
    assert (await session.send_message("?")).status == "completed"
    assert (await manager.import_conversation(plain_export(session_id="empty"))).message_count == 0


async def test_a_turn_that_still_ran_was_interrupted(manager: SessionManager) -> None:
    data = plain_export({"content": "hi", "turn_id": "t", "status": "pending"})
    session = await manager.import_conversation(data)
    assert [message.status.value for message in await session.get_messages()] == ["interrupted"]
    assert await manager.import_conversation(data) is session


async def test_hooks_and_subscribers_learn_of_the_session(manager: SessionManager) -> None:
    created: list[tuple[str, ...]] = []

    class Told:
        async def on_session_created(self, session_id: str, user_id: str, provider: str, model: str) -> None:
            created.append((session_id, user_id, provider, model))

    manager.add_lifecycle_hook(Told())  # type: ignore[arg-type]
    events = manager.session_events()
    for _ in range(2):
        await manager.import_conversation(plain_export({"content": "hi"}))
    assert created == [("s", "ada", "mock", "m")]
    event = await anext(events)
    assert (event.type, event.session_id) == (EventType.SESSION_CREATED, "s")


async def test_a_storage_that_fails_midway_keeps_nothing(
    there: SessionManager, manager: SessionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = await exported(await talked(there))
    stored: list[int] = []

    def fails(connection: Connection, _: Any) -> None:
        stored.append(connection.execute(text("SELECT count(*) FROM messages")).scalar_one())
        raise StorageError("The disk is full.")

    monkeypatch.setattr("langswarm_sessions.storage.sql.restore.insert_ended_turns", fails)
    with pytest.raises(StorageError, match="disk is full"):
        await manager.import_conversation(data)
    assert stored == [len(data["messages"])]
    for table in ("sessions", "messages", "turns", "session_tags"):
        assert await rows_of(manager, f"SELECT * FROM {table}") == []
    monkeypatch.undo()
    assert await exported(await manager.import_conversation(data)) == data


async def test_a_storage_of_six_methods_refuses(open_manager: OpenManager) -> None:
    storage = Lists()
    manager = open_manager(storage)
    with pytest.raises(StorageError, match="Lists cannot do this: import_conversation"):
        await manager.import_conversation(plain_export({"content": "hi"}))
    assert storage.sessions == {}


async def test_a_long_conversation_outside_turns(manager: SessionManager) -> None:
    """It has more ids than a statement of SQLite takes."""
    data = plain_export(*({"content": f"number {number}"} for number in range(33_000)))
    session = await manager.import_conversation(data)
    assert session.message_count == 33_000
    assert [message.content for message in await session.get_messages(limit=1)] == ["number 32999"]


async def test_the_blocking_face_has_it(there: SessionManager, manager: SessionManager) -> None:
    from langswarm_sessions.blocking import BlockingSession, BlockingSessionManager

    data = await exported(await talked(there))
    blocking = BlockingSessionManager(manager)
    session = await asyncio.to_thread(blocking.import_conversation, data, user_id="bob")
    assert isinstance(session, BlockingSession)
    assert session.user_id == "bob"
