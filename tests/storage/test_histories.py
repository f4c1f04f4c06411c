"""Random conversations: whatever happened, pages cover the transcript once and histories keep their bounds."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from langswarm_sessions.messages import MessageKind, Role, SessionMessage, TurnState
from langswarm_sessions.records import HistoryQuery, MessageFilter
from langswarm_sessions.storage import InMemorySessionStorage
from langswarm_sessions.testing.storage_kit import StorageKit, instructions, texts

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("turn"), st.sampled_from(["completed", "failed", "interrupted"]), st.booleans()),
        st.tuples(st.just("rerun"), st.sampled_from(["completed", "failed", "interrupted"])),
        st.tuples(st.just("append"), st.sampled_from(list(Role)), st.integers(1, 4)),
        st.tuples(st.just("clear")),
    ),
    max_size=25,
)
BOUNDS = st.fixed_dictionaries(
    {
        "after_seq": st.integers(0, 30),
        "max_messages": st.none() | st.integers(0, 20),
        "max_tokens": st.none() | st.integers(0, 200),
        "with_system": st.booleans(),
    }
)


async def _play(kit: StorageKit, steps: list[tuple[Any, ...]]) -> None:
    unanswered: list[tuple[str, str]] = []
    for number, step in enumerate(steps):
        match step:
            case ("turn", state, with_instructions):
                given_instructions = instructions(f"rule {number % 3}") if with_instructions else None
                question = (f"question {number}", f"key {number}")
                turn = await kit.begin(question[0], idempotency_key=question[1], instructions=given_instructions)
                await kit.finish(turn, *_answers(state, number), state=TurnState(state))
                if state != "completed":
                    unanswered.append(question)
            case ("rerun", state) if unanswered:
                content, key = unanswered.pop(0)
                turn = await kit.begin(content, idempotency_key=key)
                await kit.finish(turn, *_answers(state, number), state=TurnState(state))
                if state != "completed":
                    unanswered.append((content, key))
            case ("append", role, count):
                await kit.append(*(f"appended {number}.{index}" for index in range(count)), role=role)
            case ("clear",):
                await kit.clear()
            case _:
                pass


def _answers(state: str, number: int) -> list[str]:
    return [] if state == "failed" else [f"answer {number}"]


@given(steps=STEPS, size=st.integers(1, 7), bounds=BOUNDS)
def test_random_conversations(steps: list[tuple[Any, ...]], size: int, bounds: dict[str, Any]) -> None:
    async def scenario() -> None:
        storage = InMemorySessionStorage()
        kit = await StorageKit.of_new_session(storage)
        await _play(kit, steps)
        await _check_transcript(kit)
        await _check_pages(kit, size)
        await _check_history(kit, HistoryQuery(**bounds))
        await storage.close()

    asyncio.run(scenario())


async def _check_transcript(kit: StorageKit) -> None:
    stored, record = await kit.transcript(), await kit.record()
    seqs = [message.seq or 0 for message in stored]
    assert seqs == sorted(set(seqs))
    assert all(record.cleared_seq < seq < record.next_seq for seq in seqs)
    assert len({message.message_id for message in stored}) == len(stored)
    assert record.counters.messages == len(stored)
    for role, name in ((Role.USER, "user"), (Role.ASSISTANT, "assistant"), (Role.SYSTEM, "system")):
        assert getattr(record.counters, f"{name}_messages") == sum(message.role is role for message in stored)
    by_turn: dict[str, list[SessionMessage]] = {}
    for message in stored:
        if message.turn_id is not None and message.status is TurnState.COMPLETED:
            by_turn.setdefault(message.turn_id, []).append(message)
    for said in by_turn.values():  # a question is followed by its own answer
        assert [message.role for message in said] == [Role.USER, Role.ASSISTANT]
        between = [m for m in stored if (said[0].seq or 0) < (m.seq or 0) < (said[1].seq or 0)]
        assert {message.status for message in between} <= {TurnState.FAILED}


async def _check_pages(kit: StorageKit, size: int) -> None:
    pages: list[SessionMessage] = []
    cursor: str | None = None
    while True:
        page = await kit.storage.list_messages(kit.session_id, MessageFilter(limit=size, cursor=cursor))
        assert len(page) <= size
        pages[:0] = page
        if (cursor := page.next_cursor) is None:
            break
        assert len(page) == size
    assert pages == await kit.transcript()


async def _check_history(kit: StorageKit, query: HistoryQuery) -> None:
    history = await kit.storage.load_history(kit.session_id, query)
    known = [message for message in await kit.transcript(for_model=True) if (message.seq or 0) > query.after_seq]
    system = [message for message in known if message.role is Role.SYSTEM]
    said = [message for message in known if message.role is not Role.SYSTEM]
    newest: list[SessionMessage] = []
    wanted = len(said) + 1 if query.max_messages is None else query.max_messages
    budget = 10**9 if query.max_tokens is None else query.max_tokens
    while said and len(newest) < wanted and budget > 0:
        newest.insert(0, said.pop())
        budget -= newest[0].tokens or 0
    if not query.with_system and (len(newest) >= wanted or budget <= 0):
        system = [message for message in system if newest and (message.seq or 0) > (newest[0].seq or 0)]
    kept = sorted([*system, *newest], key=lambda message: message.seq or 0)
    assert texts(history) == texts([message for message in kept if message.kind is not MessageKind.INSTRUCTIONS])
