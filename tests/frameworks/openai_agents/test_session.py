"""The contract of the SDK's sessions, kept by ours."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from agents import Runner
from agents.extensions.memory import EncryptedSession
from agents.memory import OpenAIResponsesCompactionSession, Session, SessionSettings, SQLiteSession

from langswarm_sessions import InvalidInputError, SessionManager, SessionNotFoundError
from langswarm_sessions.errors import SessionArchivedError
from langswarm_sessions.messages import MessageKind
from langswarm_sessions.records import MessageFilter
from langswarm_sessions_frameworks import AgentsSession
from tests.frameworks.openai_agents.scripted import QUIET, Scripted, agent, says

ODD = ["", "a\0b", "é\u0301 𝔘𝔫𝔦 🧑‍🚀", "'; DROP TABLE messages; --", "\r\n\t ", "x" * 10_000]


def user(text: str) -> Any:
    return {"role": "user", "content": text}


def answer(*texts: str) -> Any:
    blocks: Any = [{"type": "output_text", "text": text, "annotations": []} for text in texts]
    return {"type": "message", "role": "assistant", "id": "msg_1", "status": "completed", "content": blocks}


def call(call_id: str) -> Any:
    return {"type": "function_call", "call_id": call_id, "name": "f", "arguments": "{}"}


@pytest.fixture
def session(durable: SessionManager) -> AgentsSession:
    return AgentsSession("s", manager=durable)


def test_it_is_a_session_to_the_sdk(session: AgentsSession) -> None:
    checked: Session = session
    assert isinstance(checked, Session)
    assert repr(session) == "AgentsSession(session_id='s')"


async def test_items_come_back_in_order_and_the_newest_of_them_by_limit(session: AgentsSession) -> None:
    items = [user(f"u{n}") if n % 2 else answer(f"a{n}") for n in range(1, 8)]
    await session.add_items(items[:3])
    await session.add_items(items[3:])
    await session.add_items([])
    assert await session.get_items() == items
    for limit in range(9):
        assert await session.get_items(limit) == items[max(0, len(items) - limit) :]
    assert await session.get_items(-1) == []


async def test_a_limit_counts_items_within_an_answer(session: AgentsSession) -> None:
    items = [user("u"), answer("a"), call("c1"), call("c2")]
    await session.add_items(items)
    assert [await session.get_items(limit) for limit in (1, 2, 3, 4)] == [items[-1:], items[-2:], items[-3:], items]


async def test_the_settings_limit_holds_where_no_other_is_given(durable: SessionManager) -> None:
    session = AgentsSession("s", manager=durable, session_settings=SessionSettings(limit=2))
    items = [user(str(n)) for n in range(4)]
    await session.add_items(items)
    assert await session.get_items() == items[-2:]
    assert await session.get_items(3) == items[-3:]


async def test_odd_texts_come_back(session: AgentsSession) -> None:
    items = [user(text) for text in ODD]
    await session.add_items(items)
    assert await session.get_items() == items


async def test_pop_takes_the_newest_item_back_and_keeps_it_stored(
    durable: SessionManager, session: AgentsSession
) -> None:
    items = [user("u"), answer("a"), call("c1"), call("c2")]
    await session.add_items(items)
    assert [await session.pop_item() for _ in range(3)] == [items[3], items[2], items[1]]
    assert await session.get_items() == items[:1]
    assert [await session.pop_item(), await session.pop_item()] == [items[0], None]
    stored = await (await durable.get_session("s")).list_messages(MessageFilter(with_retracted=True))
    assert {message.kind for message in stored} == {MessageKind.RETRACTED}
    assert [message.content for message in stored][:2] == ["u", "a"]


async def test_pops_at_the_same_time_take_different_items(session: AgentsSession) -> None:
    items = [user(str(n)) for n in range(6)]
    await session.add_items(items)
    popped = await asyncio.gather(*(session.pop_item() for _ in range(4)))
    assert sorted(popped, key=str) == sorted(items[2:], key=str)
    assert await session.get_items() == items[:2]


async def test_pop_and_add_as_in_the_sdks_own_session(session: AgentsSession) -> None:
    own = SQLiteSession("s")
    for step in ("add", "pop", "add", "add", "pop", "pop", "clear", "pop", "add"):
        for one in (own, session):
            if step == "add":
                await one.add_items([user("q"), answer("a"), call("c")])
            elif step == "pop":
                await one.pop_item()
            else:
                await one.clear_session()
        assert await session.get_items() == await own.get_items()
    own.close()


async def test_clear_hides_everything(durable: SessionManager, session: AgentsSession) -> None:
    await session.add_items([user("u")])
    await session.clear_session()
    assert await session.get_items() == []
    assert await session.pop_item() is None
    await session.add_items([user("v")])
    assert await session.get_items() == [user("v")]


async def test_sessions_are_apart_and_found_again(durable: SessionManager, session: AgentsSession) -> None:
    await session.add_items([user("u")])
    assert await AgentsSession("other", manager=durable).get_items() == []
    assert await AgentsSession("s", manager=durable).get_items() == [user("u")]


async def test_what_is_given_out_may_be_changed(session: AgentsSession) -> None:
    given = [user("u")]
    await session.add_items(given)
    given[0]["content"] = "changed"
    read: Any = await session.get_items()
    read[0]["content"] = "changed"
    assert await session.get_items() == [user("u")]


async def test_a_batch_is_stored_whole_or_not_at_all(session: AgentsSession) -> None:
    broken: Any = {"role": "user", "content": object()}
    with pytest.raises(InvalidInputError):
        await session.add_items([user("fine"), broken])
    nothing: Any = ["text"]
    with pytest.raises(InvalidInputError, match=r"items\[0\] must be a dict"):
        await session.add_items(nothing)
    malformed: list[Any] = [
        {"type": "message", "role": "assistant", "content": [None]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text"}]},
        {"type": "reasoning", "summary": ["hm"]},
        {"role": "user", "content": "half a \ud800 pair"},
    ]
    for item in malformed:
        with pytest.raises(InvalidInputError, match="items"):
            await session.add_items([user("fine"), item])
    assert await session.get_items() == []


async def test_a_session_is_its_users_alone(durable: SessionManager) -> None:
    await AgentsSession("s", manager=durable, user_id="alice").add_items([user("secret")])
    his = AgentsSession("s", manager=durable, user_id="bob")
    for work in (his.get_items(), his.add_items([user("x")]), his.pop_item(), his.clear_session()):
        with pytest.raises(SessionNotFoundError):
            await work
    session = await durable.get_session("s")
    assert (session.user_id, session.provider, session.model) == ("alice", "framework", "openai-agents")


async def test_a_deleted_or_archived_session_takes_nothing(durable: SessionManager, session: AgentsSession) -> None:
    await session.add_items([user("u")])
    await durable.archive_session("s")
    with pytest.raises(SessionArchivedError):
        await session.add_items([user("late")])
    assert await session.get_items() == [user("u")]
    await durable.delete_session("s")
    for work in (session.get_items(), session.add_items([user("late")]), session.pop_item()):
        with pytest.raises(SessionNotFoundError):
            await work


async def test_the_sdks_compaction_works_over_it(session: AgentsSession) -> None:
    await session.add_items([user("u"), answer("a")])
    compacting: Any = OpenAIResponsesCompactionSession
    wrapped = compacting("s", session)
    assert await wrapped.get_items() == [user("u"), answer("a")]
    await wrapped.add_items([user("v")])
    assert await session.get_items() == [user("u"), answer("a"), user("v")]


async def test_the_sdks_encryption_works_over_it(session: AgentsSession) -> None:
    encrypting: Any = EncryptedSession
    wrapped = encrypting("s", session, "a key of high entropy, for the sake of this test")
    questions = [f"question number {number}" for number in range(4)]
    await asyncio.gather(
        *(Runner.run(agent(Scripted([says("a")])), text, session=wrapped, run_config=QUIET) for text in questions)
    )
    told = [item.get("content") for item in await wrapped.get_items()]
    assert (sorted(told[::2]), len(told)) == (questions, 8)
    assert (await wrapped.pop_item())["role"] == "assistant"
    assert len(await session.get_items()) == 7
    assert "question" not in str(await session.get_items())


async def test_many_items_are_read_in_pages(session: AgentsSession) -> None:
    items = [user(str(n)) for n in range(1500)]
    await session.add_items(items)
    assert await session.get_items() == items
    assert await session.get_items(1200) == items[-1200:]
