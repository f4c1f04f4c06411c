"""What is stored when, seen by another program; and that a storage's failure is the caller's to know."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from langswarm_sessions import Session, SessionManager, StorageError, TurnState
from langswarm_sessions.interfaces import ProviderRequest
from langswarm_sessions.records import Begun, FinishTurn
from tests.session.kit import OpenManager, Rows, in_database, rows_of

EVERYTHING = (
    "SELECT m.role, m.content, t.state FROM messages m LEFT JOIN turns t ON t.turn_id = m.turn_id ORDER BY m.seq"
)


async def test_the_input_is_stored_before_the_provider_is_called(open_manager: OpenManager, own_folder: Path) -> None:
    seen: list[Rows] = []

    def look(_: ProviderRequest) -> str:
        seen.append(in_database(own_folder / "sessions.db", EVERYTHING))
        return "answer"

    session = await open_manager().create_session("user", "mock", "m")
    session.provider_session.set_responses([look])
    await session.send_message("question")
    assert seen == [[{"role": "user", "content": "question", "state": "pending"}]]
    after = in_database(own_folder / "sessions.db", EVERYTHING)
    assert [row["state"] for row in after] == ["completed", "completed"]


async def test_the_caller_is_answered_only_when_all_is_stored(open_manager: OpenManager, own_folder: Path) -> None:
    session = await open_manager().create_session("user", "mock", "m")
    for number in range(5):
        await session.send_message(f"question {number}")
        row = in_database(own_folder / "sessions.db", "SELECT * FROM sessions")[0]
        turn = in_database(own_folder / "sessions.db", "SELECT * FROM turns ORDER BY turn_index")[-1]
        assert row["messages"] == 2 * (number + 1)
        assert row["lease_turn_id"] is None
        assert session.provider_session_id is not None
        assert session.provider_session_id in row["native"]
        assert turn["state"] == "completed"
        assert turn["total_tokens"] > 0
        assert row["total_tokens"] == (await session.get_metrics()).total_tokens


async def test_the_answer_is_stored_in_one_transaction(
    open_manager: OpenManager, own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A finish that fails in its last statement leaves nothing of itself: no answer, no state, no counter."""
    from langswarm_sessions.storage.sql import finish

    manager = open_manager(lease_seconds=0.3)
    session = await manager.create_session("user", "mock", "m")

    def break_down(*_: object, **__: object) -> None:
        raise StorageError("The disk is full. Make room.")

    with monkeypatch.context() as patch:
        patch.setattr(finish, "end_turn", break_down)
        with pytest.raises(StorageError, match="disk is full"):
            await session.send_message("question")
        row = in_database(own_folder / "sessions.db", "SELECT * FROM sessions")[0]
        assert (row["native"], row["messages"], row["assistant_messages"], row["total_tokens"]) == (None, 1, 0, 0)
        assert in_database(own_folder / "sessions.db", "SELECT role FROM messages") == [{"role": "user"}]
    await asyncio.wait_for(_works(session), 5)


class _FailsToFinish:
    """Wraps a storage: the first `times` finishes fail."""

    def __init__(self, storage: Any, times: int) -> None:
        self._storage = storage
        self.times = times

    async def __call__(self, finish: FinishTurn) -> Any:
        if self.times:
            self.times -= 1
            raise StorageError("The database could not be written. Make room.")
        return await self._storage(finish)


async def test_a_failed_finish_is_raised_and_blocks_nobody(manager: SessionManager, session: Session) -> None:
    storage: Any = manager._services.storage
    storage.finish_turn = _FailsToFinish(storage.finish_turn, times=1)
    with pytest.raises(StorageError, match="could not be written"):
        await session.send_message("lost")
    assert [turn["state"] for turn in await rows_of(manager, "SELECT state FROM turns")] == ["failed"]
    await asyncio.wait_for(_works(session), 5)
    said = [(message.content, message.status) for message in await session.get_messages()]
    assert said[0] == ("lost", TurnState.FAILED)


async def test_a_failed_begin_calls_no_provider(manager: SessionManager, session: Session) -> None:
    storage: Any = manager._services.storage
    begin = storage.begin_turn

    async def refuse(_: object) -> Begun:
        raise StorageError("The database is locked. Try again.")

    storage.begin_turn = refuse
    with pytest.raises(StorageError, match="locked"):
        await session.send_message("never")
    assert session.provider_session.requests == []
    storage.begin_turn = begin
    await _works(session)
    assert [message.content for message in await session.get_messages()] == ["works?", "Mock response to: works?"]


async def test_a_failed_turn_keeps_its_input_and_is_left_out_of_the_window(session: Session) -> None:
    await session.send_message("one")
    session.provider_session.fail_next("auth")
    with pytest.raises(Exception, match="key was refused"):
        await session.send_message("two")
    await session.send_message("three")
    messages = await session.get_messages()
    assert [message.status for message in messages] == ["completed", "completed", "failed", "completed", "completed"]
    said = [text for role, text in session.provider_session.seen if role == "user"]
    assert said == ["one", "three"]


async def test_messages_are_a_chain_with_seq_and_parents(session: Session) -> None:
    for text in ("a", "b", "c"):
        await session.send_message(text)
    messages = await session.get_messages()
    assert [message.seq for message in messages] == [1, 2, 3, 4, 5, 6]
    assert [message.parent_id for message in messages[1:]] == [message.message_id for message in messages[:-1]]
    assert messages[0].parent_id is None


async def _works(session: Session) -> None:
    reply = await session.send_message("works?")
    assert reply.content == "Mock response to: works?"
