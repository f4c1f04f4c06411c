"""Conversations read back from a user's own storage: after a restart, and after they were forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from langswarm_sessions import create_session_manager
from langswarm_sessions.config import SessionConfig
from langswarm_sessions.errors import ProviderTimeoutError, SessionExistsError
from langswarm_sessions.messages import Role, TurnState
from langswarm_sessions.storage import SimpleStorageAdapter
from langswarm_sessions.testing.storage_kit import StorageKit, everything, session_record, texts
from tests.session.kit import AT_ONCE, Gate
from tests.storage.lists import Lists

KEEP = 2


@pytest.fixture
def lists() -> Lists:
    return Lists()


@pytest.fixture
async def adapter(lists: Lists) -> AsyncIterator[SimpleStorageAdapter]:
    adapter = SimpleStorageAdapter(lists, keep=KEEP)
    yield adapter
    await adapter.close()


async def _held(adapter: SimpleStorageAdapter) -> int:
    return int((await adapter._memory.statistics())["sessions"])


async def _use(adapter: SimpleStorageAdapter, *session_ids: str) -> None:
    for session_id in session_ids:
        kit = await StorageKit.of_new_session(adapter, session_id=session_id)
        await kit.turn("question", "answer")


# A restart


async def test_what_was_said_while_a_turn_ran_is_read_back(lists: Lists) -> None:
    gate = Gate("answer")
    async with create_session_manager(lists) as manager:
        session = await manager.create_session("user", "mock", "m", session_id="s")
        session.provider_session.set_responses([gate])
        turn = asyncio.create_task(session.send_message("question"))
        await gate.asked.wait()
        await session.send_system_message("said meanwhile")
        gate.let()
        answer = await turn
    async with create_session_manager(lists) as manager:
        session = await manager.get_session("s")
        transcript = await session.get_messages()
        assert texts(transcript) == ["question", "said meanwhile", "answer"]
        assert [message.turn_id for message in transcript] == [answer.turn_id, None, answer.turn_id]
        await session.send_message("goes on")


async def test_a_failed_turn_that_was_run_again_is_read_back(lists: Lists) -> None:
    async with create_session_manager(lists, retry=AT_ONCE) as manager:
        session = await manager.create_session("user", "mock", "m", session_id="s")
        session.provider_session.fail_next("timeout", times=AT_ONCE.max_attempts)
        with pytest.raises(ProviderTimeoutError):
            await session.send_message("one", idempotency_key="key")
        await session.send_message("two")
        await session.send_message("one", idempotency_key="key")
    async with create_session_manager(lists) as manager:
        session = await manager.get_session("s")
        assert [message.status for message in await session.get_messages()] == [TurnState.COMPLETED] * 4
        assert session.record.counters.turns == 2


async def test_what_an_earlier_attempt_answered_is_no_part_of_the_answer(lists: Lists) -> None:
    before = SimpleStorageAdapter(lists)
    kit = await StorageKit.of_new_session(before, session_id="s")
    turn = await kit.begin("question", idempotency_key="key")
    await kit.finish(turn, "half an ans", state=TurnState.INTERRUPTED)
    await kit.turn("question", "whole answer", idempotency_key="key")
    told = texts((await kit.begin("next", needs=everything)).history)
    await before.close()
    after = StorageKit(SimpleStorageAdapter(lists), "s", kit.moment)
    assert [message.status.value for message in await after.transcript()] == [
        "completed",
        "failed",
        "completed",
        "interrupted",
    ]
    again = await after.begin("next", needs=everything)
    assert texts(again.history) == [*told, "next"]
    await after.storage.close()


# Forgotten


async def test_of_conversations_nobody_uses_a_few_stay_in_memory(lists: Lists, adapter: SimpleStorageAdapter) -> None:
    await _use(adapter, *map(str, range(40)))
    assert await _held(adapter) <= KEEP
    assert texts(await StorageKit(adapter, "0", session_record().created_at).transcript()) == ["question", "answer"]
    assert await _held(adapter) <= KEEP + 1


async def test_a_forgotten_conversation_goes_on_where_it_was(lists: Lists) -> None:
    manager = create_session_manager(SimpleStorageAdapter(lists, keep=KEEP))
    session = await manager.create_session(
        "user", "mock", "m", session_id="s", session_config=SessionConfig(name="kept", tags=("t",))
    )
    for number in range(3):
        await session.send_message(f"question {number}", instructions="Be brief.")
        for other in range(4):
            await (await manager.create_session("user", "mock", "m")).send_message(f"{other}")
        await session.send_message(f"again {number}")
        assert session.record.counters.messages == 4 * (number + 1) + 1, "the handle has the newest row"
    record = await manager._services.storage.load_session("s")
    assert record is not None
    assert (record.config.name, record.config.tags, record.instructions) == ("kept", ("t",), "Be brief.")
    assert [entry["role"] for entry in lists.messages["s"]].count("system") == 1
    await manager.close()


async def test_a_conversation_with_a_turn_underway_is_not_forgotten(adapter: SimpleStorageAdapter) -> None:
    kit = await StorageKit.of_new_session(adapter, session_id="s")
    turn = await kit.begin("question")
    await _use(adapter, *map(str, range(40)))
    finished = await kit.finish(turn, "answer")
    assert finished.answers[0].content == "answer"
    assert texts(await kit.transcript()) == ["question", "answer"]


async def test_a_conversation_is_not_forgotten_while_it_is_worked_on(
    lists: Lists, adapter: SimpleStorageAdapter
) -> None:
    kit = await StorageKit.of_new_session(adapter, session_id="s")
    asked, gate = asyncio.Event(), asyncio.Event()
    write = lists.add_message

    async def slow(session_id: str, message: dict[str, Any]) -> None:
        if session_id == "s":
            asked.set()
            await gate.wait()
        await write(session_id, message)

    lists.add_message = slow  # type: ignore[method-assign]
    appending = asyncio.create_task(kit.append("said"))
    await asked.wait()
    await _use(adapter, *map(str, range(40)))
    appending.cancel()  # it is carried out all the same
    await asyncio.gather(appending, return_exceptions=True)
    await _use(adapter, *map(str, range(40, 60)))
    gate.set()
    assert texts((await kit.begin("next", needs=everything)).history) == ["said"]


async def test_many_conversations_at_once_lose_nothing(lists: Lists, adapter: SimpleStorageAdapter) -> None:
    kits = [await StorageKit.of_new_session(adapter, session_id=str(number)) for number in range(12)]

    async def talk(kit: StorageKit) -> None:
        for number in range(6):
            await kit.turn(f"question {number}", f"answer {number}")
            await kit.append(f"between {number}", role=Role.SYSTEM)

    await asyncio.gather(*map(talk, kits))
    for kit in kits:
        expected = [f"{what} {number}" for number in range(6) for what in ("question", "answer", "between")]
        assert texts(await kit.transcript()) == expected
        assert [entry["content"] for entry in lists.messages[kit.session_id]] == expected


# Created


class Slow(Lists):
    """Creates when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.gate, self.calls = asyncio.Event(), asyncio.Event(), 0

    async def create_session(
        self,
        session_id: str,
        user_id: str,
        provider: str,
        model: str,
        config: dict[str, Any],
        context: dict[str, Any],
    ) -> None:
        self.calls += 1
        self.asked.set()
        await self.gate.wait()
        await super().create_session(session_id, user_id, provider, model, config, context)


async def test_of_several_that_create_one_session_the_first_does() -> None:
    slow = Slow()
    adapter = SimpleStorageAdapter(slow)
    creating = [
        asyncio.create_task(adapter.insert_session(session_record("s", user_id=f"user {number}")))
        for number in range(3)
    ]
    await slow.asked.wait()
    slow.gate.set()
    outcomes = await asyncio.gather(*creating, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [type(None), SessionExistsError, SessionExistsError]
    assert slow.calls == 1
    record = await adapter.load_session("s")
    assert record is not None
    assert record.user_id == slow.sessions["s"]["user_id"] == "user 0"
    await adapter.close()


async def test_a_creation_that_is_given_up_leaves_the_next_one_its_chance() -> None:
    slow = Slow()
    adapter = SimpleStorageAdapter(slow)
    first, second = (asyncio.create_task(adapter.insert_session(session_record("s"))) for _ in range(2))
    await slow.asked.wait()
    first.cancel()
    slow.gate.set()
    assert isinstance((await asyncio.gather(first, return_exceptions=True))[0], asyncio.CancelledError)
    await second
    assert slow.calls == 2
    await adapter.close()


async def test_a_session_that_is_seen_while_it_is_created_is_that_session() -> None:
    lists = Lists()
    adapter = SimpleStorageAdapter(lists)
    create = lists.create_session

    async def seen(*values: Any) -> None:
        await create(*values)
        assert await adapter.load_session("s") is not None

    lists.create_session = seen  # type: ignore[method-assign,assignment]
    await adapter.insert_session(session_record("s"))
    with pytest.raises(SessionExistsError):
        await adapter.insert_session(session_record("s"))
    await adapter.close()
