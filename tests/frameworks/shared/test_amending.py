"""Transcripts changed outside turns: taken back, appended, checked, all or nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from langswarm_sessions import InvalidInputError, SessionManager, SessionMessage, StorageError, create_session_manager
from langswarm_sessions.errors import SessionArchivedError, SessionNotFoundError, TurnConflictError
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


async def test_a_native_thread_that_never_heard_of_it_goes_on(session: Session) -> None:
    await session.send_message("one")
    native = session.record.native
    later = await session.add_message("user", "two")
    await session.retract_messages([later.message_id])
    assert session.record.native == native


async def test_what_comes_next_follows_the_newest_message_left(session: Session) -> None:
    kept = await session.add_message("user", "kept")
    gone = await session.add_message("assistant", "gone")
    await session.retract_messages([gone.message_id])
    new = await session.add_message("assistant", "new")
    assert new.parent_id == kept.message_id


async def test_instructions_taken_back_give_way_to_those_before(session: Session) -> None:
    await session.send_message("hi", instructions="Be brief.")
    await session.send_message("hi", instructions="Be verbose.")
    newest = next(m for m in reversed(await session.get_messages()) if m.kind is MessageKind.INSTRUCTIONS)
    await session.retract_messages([newest.message_id])
    assert session.record.instructions == "Be brief."


async def test_ids_that_are_not_there_are_passed_over(session: Session) -> None:
    message = await session.add_message("user", "one")
    await session.retract_messages(["nothing", message.message_id, message.message_id])
    await session.retract_messages([message.message_id])
    assert session.message_count == 0


async def test_another_sessions_message_is_out_of_reach(durable: SessionManager, session: Session) -> None:
    other = await durable.create_session("user", "mock", "mock-model")
    message = await other.add_message("user", "mine")
    await session.retract_messages([message.message_id])
    assert await texts(other) == ["mine"]


async def test_a_change_that_refuses_stores_nothing_at_all(session: Session) -> None:
    first = await session.add_message("user", "one")

    def refuse(_: SessionRecord) -> SessionRecord:
        raise TurnConflictError("no")

    amendment = Amendment(append=(said("two"),), retract=(first.message_id,), change=refuse)
    with pytest.raises(TurnConflictError):
        await session.amend(amendment)
    assert await texts(session) == ["one"]


async def test_change_retraction_and_append_are_one(session: Session) -> None:
    first = await session.add_message("user", "one")
    stored = await session.amend(
        Amendment(
            append=(said("two"),),
            retract=(first.message_id,),
            change=lambda record: replace(record, context={**record.context, "n": 1}),
        )
    )
    assert [message.content for message in stored] == ["two"]
    assert (await session.get_context()).get("n") == 1
    assert (await texts(session), session.message_count) == (["two"], 1)


async def test_what_is_known_already_is_not_appended_twice(session: Session) -> None:
    batch = (said("one", message_id="a"), said("two", message_id="b"))
    await session.amend(Amendment(append=batch[:1], skip_known=True))
    assert [m.content for m in await session.amend(Amendment(append=batch, skip_known=True))] == ["two"]
    assert await texts(session) == ["one", "two"]


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
