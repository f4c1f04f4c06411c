"""Transcripts changed outside turns, as sessions do it; what storages must do of it is in their contract."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from langswarm_sessions import InvalidInputError, SessionManager, SessionMessage, StorageError, create_session_manager
from langswarm_sessions.errors import SessionArchivedError, SessionNotFoundError
from langswarm_sessions.messages import MessageKind
from langswarm_sessions.records import Amendment, MessageFilter, SessionRecord
from langswarm_sessions.session import Session


def said(text: str, role: str = "user", **more: Any) -> SessionMessage:
    return SessionMessage(role=role, content=text, **more)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def texts(session: Session, **wanted: Any) -> list[str]:
    return [message.content for message in await session.list_messages(MessageFilter(**wanted))]


@pytest.fixture
async def session(durable: SessionManager) -> Session:
    return await durable.create_session("user", "mock", "mock-model", session_id="s")


async def test_what_is_taken_back_is_hidden_from_readers_models_and_counters_and_stays_stored(session: Session) -> None:
    await session.send_message("one")
    wrong = await session.add_message("user", "two")
    await session.retract_messages([wrong.message_id])
    assert await texts(session) == ["one", "Mock response to: one"]
    assert session.message_count == 2
    assert (await session.export_conversation())["messages"][-1]["content"] == "Mock response to: one"
    stored = await session.list_messages(MessageFilter(with_retracted=True))
    assert [(m.content, m.kind) for m in stored][-1] == ("two", MessageKind.RETRACTED)
    seen = await session.explain("three")
    assert [message.message_id for message in seen.messages if message.message_id == wrong.message_id] == []


async def test_a_native_thread_that_holds_what_was_taken_back_starts_anew(session: Session) -> None:
    reply = await session.send_message("one")
    assert session.record.native is not None
    await session.retract_messages([reply.message_id])
    assert session.record.native is None
    assert (await session.send_message("again")).content == "Mock response to: again"


async def test_as_many_as_one_likes_are_taken_back(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("langswarm_sessions.storage.sql.amend._MOST_PARAMETERS", 2)
    batch = tuple(said(str(number), message_id=f"m{number}") for number in range(7))
    await session.amend(Amendment(append=batch))
    assert await session.amend(Amendment(append=batch, skip_known=True)) == []
    await session.retract_messages([f"m{number}" for number in range(1, 6)] * 2)
    assert (await texts(session), session.message_count) == (["0", "6"], 2)


async def test_a_change_of_several_sessions_is_one(durable: SessionManager, session: Session) -> None:
    other = await durable.create_session("user", "mock", "mock-model")

    def note(record: SessionRecord) -> SessionRecord:
        return replace(record, context={**record.context, "n": 1})

    await session.amend(Amendment(append=(said("one"),), change=note, also={other.session_id: note}))
    assert [(await each.get_context()).get("n") for each in (session, other)] == [1, 1]
    with pytest.raises(SessionNotFoundError):
        await session.amend(Amendment(append=(said("two"),), also={"nobody": note}))
    assert await texts(session) == ["one"]


async def test_what_cannot_be_stored_is_refused_before_anything_is(session: Session) -> None:
    with pytest.raises(InvalidInputError, match=r"append\[1\]"):
        await session.amend(Amendment(append=(said("fine"), said("x", metadata={"no": object()}))))
    assert await texts(session) == []


async def test_archived_and_deleted_sessions_refuse(durable: SessionManager, session: Session) -> None:
    await session.archive()
    with pytest.raises(SessionArchivedError):
        await session.amend(Amendment(append=(said("late"),)))
    await session.delete()
    with pytest.raises(SessionNotFoundError):
        await session.amend(Amendment(append=(said("late"),)))


class _SixMethods:
    def __init__(self) -> None:
        self.sessions: dict[str, dict[str, Any]] = {}
        self.said: list[dict[str, Any]] = []

    async def create_session(self, session_id: str, *values: Any) -> None:
        names = ("user_id", "provider", "model", "config", "context")
        self.sessions[session_id] = {"session_id": session_id, **dict(zip(names, values, strict=True))}

    async def get_session(self, session_id: str) -> Any:
        return self.sessions.get(session_id)

    async def add_message(self, session_id: str, message: dict[str, Any]) -> None:
        self.said.append(message)

    async def get_messages(self, session_id: str, **_: Any) -> Any:
        return self.said

    async def health_check(self) -> bool:
        return True

    async def close(self) -> None:
        pass


async def test_a_storage_of_six_methods_appends_and_says_that_it_cannot_take_back() -> None:
    storage: Any = _SixMethods()
    async with create_session_manager(storage=storage) as manager:
        session = await manager.create_session("user", "mock", "mock-model")
        one = said("one", message_id="a")
        await session.amend(Amendment(append=(one,), skip_known=True))
        await session.amend(Amendment(append=(one, said("two")), skip_known=True))
        assert await texts(session) == ["one", "two"]
        with pytest.raises(StorageError, match="cannot take back"):
            await session.retract_messages(["a"])
