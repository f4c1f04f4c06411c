"""What the turn engine relies on when several callers want one session."""

# ruff: noqa: D102 - the name of a test says what holds

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from langswarm_sessions.errors import (
    TurnConflictError,
)
from langswarm_sessions.messages import TurnState
from langswarm_sessions.records import (
    Begun,
    Busy,
    HistoryQuery,
    SessionRecord,
)
from langswarm_sessions.testing.storage_kit import (
    LEASE_SECONDS,
    StorageFixtures,
    StorageKit,
    begun,
    dead_owner,
    native_state,
    texts,
)

__all__ = ["LeaseContract"]


class LeaseContract(StorageFixtures):
    """Leases, the line of waiters, takeovers, cancellation."""

    async def test_a_held_session_is_busy(self, kit: StorageKit) -> None:
        turn = await kit.begin("first")
        busy = await kit.storage.begin_turn(kit.beginning("second", after_s=1))
        assert isinstance(busy, Busy)
        assert busy.holder is not None
        assert busy.expires_at == kit.moment + timedelta(seconds=LEASE_SECONDS)
        assert texts(await kit.transcript()) == ["first"]
        await kit.finish(turn, "answer")
        assert isinstance(await kit.storage.begin_turn(kit.beginning("second", ticket=busy.ticket)), Begun)

    async def test_waiters_are_served_in_order(self, kit: StorageKit) -> None:
        turn = await kit.begin("zero")
        tickets: list[int] = []
        for content in ("one", "two"):
            outcome = await kit.storage.begin_turn(kit.beginning(content))
            assert isinstance(outcome, Busy)
            tickets.append(outcome.ticket)
        assert tickets == sorted(tickets)
        await kit.finish(turn, "answer zero")
        assert isinstance(await kit.storage.begin_turn(kit.beginning("late")), Busy)
        again = await kit.storage.begin_turn(kit.beginning("two", ticket=tickets[1]))
        assert isinstance(again, Busy)
        assert again.ticket == tickets[1]
        first = begun(await kit.storage.begin_turn(kit.beginning("one", ticket=tickets[0])))
        await kit.finish(first, "answer one")
        assert isinstance(await kit.storage.begin_turn(kit.beginning("two", ticket=tickets[1])), Begun)

    async def test_who_left_the_line_holds_nobody_up(self, kit: StorageKit) -> None:
        turn = await kit.begin("zero")
        gone = await kit.storage.begin_turn(kit.beginning("one"))
        silent = await kit.storage.begin_turn(kit.beginning("two"))
        dead = await kit.storage.begin_turn(kit.beginning("three", owner=dead_owner()))
        assert isinstance(gone, Busy)
        assert isinstance(silent, Busy)
        assert isinstance(dead, Busy)
        await kit.storage.leave_line(kit.session_id, gone.ticket)
        await kit.finish(turn, "answer")
        assert isinstance(await kit.storage.begin_turn(kit.beginning("four")), Busy)
        assert isinstance(await kit.storage.begin_turn(kit.beginning("five", after_s=20)), Begun)

    async def test_a_dead_holder_is_replaced_at_once(self, kit: StorageKit) -> None:
        done = await kit.turn("question", "answer")
        state = native_state(cursor=1, turn_id=done.answers[0].turn_id or "")
        await kit.change(native=state)
        dead = await kit.begin("lost", owner=dead_owner())
        seen: list[SessionRecord] = []

        def needs(record: SessionRecord) -> HistoryQuery:
            seen.append(record)
            return HistoryQuery()

        turn = await kit.begin("next", after_s=1, needs=needs)
        assert turn.took_over
        assert turn.lease.fence > dead.lease.fence
        assert seen[0].native == replace(state, suspect=True)
        assert turn.session.native == replace(state, suspect=True)
        assert texts(turn.history) == ["question", "answer", "lost"]
        lost = await kit.storage.load_turn(kit.session_id, dead.turn.turn_id)
        assert lost is not None
        assert lost.state is TurnState.INTERRUPTED
        with pytest.raises(TurnConflictError):
            await kit.finish(dead, "too late")
        await kit.finish(turn, "in time")
        assert texts(await kit.transcript()) == ["question", "answer", "lost", "next", "in time"]

    async def test_an_expired_lease_is_taken_over_but_else_stays_valid(self, kit: StorageKit) -> None:
        slow = await kit.begin("slow")
        await kit.finish(slow, "late but alone", now=kit.moment + timedelta(seconds=LEASE_SECONDS * 10))
        slow = await kit.begin("slow again")
        waiter = await kit.storage.begin_turn(kit.beginning("x", after_s=LEASE_SECONDS - 1))
        assert isinstance(waiter, Busy)
        await kit.storage.leave_line(kit.session_id, waiter.ticket)
        taken = await kit.begin("eager", after_s=LEASE_SECONDS + 1)
        assert taken.took_over
        with pytest.raises(TurnConflictError):
            await kit.finish(slow, "too late")
        await kit.finish(taken, "answer")
        assert [message.status.value for message in await kit.transcript()] == [
            "completed",
            "completed",
            "interrupted",
            "completed",
            "completed",
        ]

    async def test_beats_keep_a_lease_and_tell_of_lost_ones(self, kit: StorageKit) -> None:
        turn = await kit.begin("slow")
        until = kit.moment + timedelta(seconds=LEASE_SECONDS * 3)
        assert await asyncio.to_thread(kit.storage.beat, [turn.lease], until) == []
        assert isinstance(await kit.storage.begin_turn(kit.beginning("x", after_s=LEASE_SECONDS * 2)), Busy)
        await kit.finish(turn, "answer")
        assert await asyncio.to_thread(kit.storage.beat, [turn.lease], until) == [turn.lease]

    async def test_a_turn_ends_once(self, kit: StorageKit) -> None:
        turn = await kit.begin("question")
        await kit.finish(turn, "answer")
        before = await kit.record()
        with pytest.raises(TurnConflictError):
            await kit.finish(turn, "another answer")
        assert await kit.record() == before
        assert texts(await kit.transcript()) == ["question", "answer"]

    async def test_turns_of_many_callers_never_interleave(self, kit: StorageKit) -> None:
        async def caller(number: int) -> None:
            ticket: int | None = None
            while True:
                begin = replace(kit.beginning(f"question {number}", ticket=ticket), now=kit.moment)
                outcome = await kit.storage.begin_turn(begin)
                if isinstance(outcome, Begun):
                    await kit.finish(outcome, f"answer {number}")
                    return
                assert isinstance(outcome, Busy)
                ticket = outcome.ticket
                await asyncio.sleep(0)

        await asyncio.gather(*(caller(number) for number in range(12)))
        stored = await kit.transcript()
        questions, answers = texts(stored)[::2], texts(stored)[1::2]
        assert [text.replace("question", "answer") for text in questions] == answers
        assert len(set(questions)) == 12
        assert [message.seq for message in stored] == list(range(1, 25))

    async def test_a_cancelled_beginning_leaves_no_lease(self, kit: StorageKit) -> None:
        for yields in range(6):
            task = asyncio.ensure_future(kit.storage.begin_turn(kit.beginning("cancelled")))
            for _ in range(yields):
                await asyncio.sleep(0)
            task.cancel()
            try:
                outcome = await task
            except asyncio.CancelledError:
                continue
            await kit.finish(begun(outcome), "was too fast")
        turn = await kit.begin("next")
        assert not turn.took_over
        await kit.finish(turn, "answer")
        assert TurnState.PENDING not in {message.status for message in await kit.transcript()}

    async def test_a_finish_is_carried_out_even_if_cancelled(self, kit: StorageKit) -> None:
        turn = await kit.begin("question")
        task = asyncio.ensure_future(kit.finish(turn, "answer"))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await kit.begin("next")
        assert texts(await kit.transcript()) == ["question", "answer", "next"]
