"""What the turn engine relies on when it runs tools between two turns of one send."""

# ruff: noqa: D102 - the name of a test says what holds

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from langswarm_sessions.errors import TurnConflictError
from langswarm_sessions.messages import Role, SessionMessage, ToolCall, ToolResult, TurnState
from langswarm_sessions.records import Begun, Busy, Finished, HistoryQuery, Lease, Recorded, SessionRecord
from langswarm_sessions.testing.storage_kit import (
    LEASE_SECONDS,
    StorageFixtures,
    StorageKit,
    begun,
    dead_owner,
    everything,
    native_state,
    texts,
)

__all__ = ["KeptLeaseContract"]

ASKED = SessionMessage(role=Role.ASSISTANT, parts=[ToolCall(id="call-1", name="clock")])
RESULT = SessionMessage(role=Role.TOOL, parts=[ToolResult(tool_call_id="call-1", content="noon")])


class KeptLeaseContract(StorageFixtures):
    """A lease that outlives its turn: kept, followed by another turn, given back, lost."""

    async def test_a_kept_lease_holds_off_others_though_its_turn_is_done(self, kit: StorageKit) -> None:
        turn = await _asking(kit)
        assert (await kit.transcript())[1].status is TurnState.COMPLETED
        waiter = await kit.storage.begin_turn(kit.beginning("other"))
        assert isinstance(waiter, Busy)
        await kit.storage.leave_line(kit.session_id, waiter.ticket)
        until = kit.moment + timedelta(seconds=LEASE_SECONDS * 3)
        assert await asyncio.to_thread(kit.storage.beat, [turn.lease], until) == []
        assert isinstance(await kit.storage.begin_turn(kit.beginning("x", after_s=LEASE_SECONDS * 2)), Busy)

    async def test_results_are_stored_under_it(self, kit: StorageKit) -> None:
        turn = await _asking(kit)
        stored = await kit.storage.append_messages(kit.session_id, [RESULT], held=turn.lease)
        assert stored.answers[0].seq == 3
        assert stored.session == await kit.record()
        assert (await kit.transcript())[2].tool_results == RESULT.tool_results

    async def test_the_next_turn_follows_without_a_line(self, kit: StorageKit) -> None:
        turn = await _asking(kit)
        waiter = await kit.storage.begin_turn(kit.beginning("other"))
        assert isinstance(waiter, Busy)
        await kit.storage.append_messages(kit.session_id, [RESULT], held=turn.lease)
        following = await _follow(kit, turn.lease)
        assert not following.took_over
        assert following.inputs == ()
        assert following.lease.fence > turn.lease.fence
        assert following.turn.index == turn.turn.index + 1
        assert [message.role for message in following.history] == [Role.USER, Role.ASSISTANT, Role.TOOL]
        assert await asyncio.to_thread(kit.storage.beat, [turn.lease], kit.moment) == [turn.lease]
        finished = await kit.finish(following, "It is noon.")
        assert finished.session.counters.turns == finished.session.counters.response_count == 2
        other = await kit.begin("other", ticket=waiter.ticket)
        assert not other.took_over

    async def test_native_state_moves_on_over_the_results(self, kit: StorageKit) -> None:
        turn = await kit.begin("what time is it?")
        asked = native_state(cursor=1, turn_id=turn.turn.turn_id, open_calls=("call-1",))
        first = await kit.finish(turn, answers=(ASKED,), native=asked, native_changed=True, keep_lease=True)
        assert first.session.native is not None
        assert first.session.native.cursor == 2
        await kit.storage.append_messages(kit.session_id, [RESULT], held=turn.lease)
        following = await _follow(kit, turn.lease)
        answered = native_state(cursor=3, turn_id=following.turn.turn_id)
        last = await kit.finish(following, "noon", native=answered, native_changed=True)
        assert last.session.native is not None
        assert last.session.native.cursor == 4

    async def test_a_lease_that_was_given_back_is_free(self, kit: StorageKit) -> None:
        turn = await _asking(kit)
        await kit.storage.release_lease(turn.lease)
        with pytest.raises(TurnConflictError):
            await kit.storage.append_messages(kit.session_id, [RESULT], held=turn.lease)
        other = await kit.begin("other")
        assert not other.took_over
        await kit.storage.release_lease(turn.lease)
        await kit.finish(other, "answer")
        assert texts(await kit.transcript()) == ["what time is it?", "", "other", "answer"]

    async def test_a_takeover_leaves_the_completed_turn_as_it_is(self, kit: StorageKit) -> None:
        turn = await _asking(kit, owner=dead_owner())
        before = await kit.storage.load_turn(kit.session_id, turn.turn.turn_id)
        other = await kit.begin("other", needs=everything)
        assert other.took_over
        assert await kit.storage.load_turn(kit.session_id, turn.turn.turn_id) == before
        assert len(other.history) == 2
        with pytest.raises(TurnConflictError):
            await kit.storage.append_messages(kit.session_id, [RESULT], held=turn.lease)
        with pytest.raises(TurnConflictError):
            await _follow(kit, turn.lease)
        await kit.storage.release_lease(turn.lease)
        await kit.finish(other, "answer")
        assert texts(await kit.transcript()) == ["what time is it?", "", "other", "answer"]

    async def test_a_turn_ends_once(self, kit: StorageKit) -> None:
        turn = await _asking(kit)
        stored = await kit.storage.load_turn(kit.session_id, turn.turn.turn_id)
        before, said = await kit.record(), await kit.transcript()
        with pytest.raises(TurnConflictError):
            await kit.finish(turn, "again", state=TurnState.FAILED, error_type="StorageError")
        assert await kit.storage.load_turn(kit.session_id, turn.turn.turn_id) == stored
        assert (await kit.record(), await kit.transcript()) == (before, said)
        following = await _follow(kit, turn.lease)
        await kit.finish(following, "noon")

    async def test_a_completed_turn_is_gone_on_with(self, kit: StorageKit) -> None:
        turn = await _asking(kit, owner=dead_owner())
        await kit.storage.append_messages(kit.session_id, [RESULT], held=turn.lease)
        resumed = await _resume(kit, turn, needs=_after_the_answer)
        assert resumed.took_over
        assert resumed.turn.turn_id == resumed.lease.turn_id == turn.turn.turn_id
        assert [message.tool_results for message in resumed.history] == [RESULT.tool_results]
        assert resumed.session.counters.turns == 1
        following = await _follow(kit, resumed.lease, idempotency_key="next")
        await kit.finish(following, "noon", keep_lease=True)
        await kit.storage.release_lease(following.lease)
        recorded = await kit.storage.begin_turn(
            kit.beginning(resumes=turn.turn.turn_id, idempotency_key="next", input_digest="")
        )
        assert isinstance(recorded, Recorded)
        assert recorded.answer.content == "noon"

    async def test_a_turn_that_did_not_complete_is_not_gone_on_with(self, kit: StorageKit) -> None:
        failed = await kit.failed_turn("lost")
        for turn_id in (failed.turn.turn_id, "nothing"):
            with pytest.raises(TurnConflictError):
                await kit.storage.begin_turn(kit.beginning(resumes=turn_id))
        assert not (await kit.begin("next")).took_over

    async def test_a_following_turn_that_failed_is_run_again_in_place(self, kit: StorageKit) -> None:
        turn = await _asking(kit)
        await kit.storage.append_messages(kit.session_id, [RESULT], held=turn.lease)
        following = await _follow(kit, turn.lease, idempotency_key="next")
        await kit.finish(following, "half", state=TurnState.INTERRUPTED)
        resumed = await _resume(kit, turn)
        again = await _follow(kit, resumed.lease, idempotency_key="next")
        assert again.turn.turn_id == following.turn.turn_id
        assert [message.role for message in again.history] == [Role.USER, Role.ASSISTANT, Role.TOOL]
        await kit.finish(again, "whole")
        assert (await kit.record()).counters.turns == 2

    async def test_a_following_turn_that_is_cancelled_leaves_no_lease(self, kit: StorageKit) -> None:
        for yields in range(6):
            turn = await _asking(kit)
            task = asyncio.ensure_future(_follow(kit, turn.lease))
            for _ in range(yields):
                await asyncio.sleep(0)
            task.cancel()
            try:
                await kit.finish(await task, "was too fast")
            except asyncio.CancelledError:
                await kit.storage.release_lease(turn.lease)
        other = await kit.begin("next")
        assert not other.took_over

    async def test_bounds_do_not_cut_what_must_be_read(self, kit: StorageKit) -> None:
        for number in range(4):
            await kit.append(f"message {number}")

        def bounded(_: SessionRecord) -> HistoryQuery | None:
            return HistoryQuery(max_messages=1, max_tokens=1, down_to=2)

        turn = await kit.begin("question", needs=bounded)
        assert texts(turn.history) == ["message 1", "message 2", "message 3"]
        for query in (HistoryQuery(max_messages=0, down_to=4), HistoryQuery(max_tokens=0, down_to=4)):
            assert texts(await kit.storage.load_history(kit.session_id, query)) == ["message 3"]


def _after_the_answer(_: SessionRecord) -> HistoryQuery | None:
    return HistoryQuery(after_seq=2, with_system=False)


async def _asking(kit: StorageKit, **fields: Any) -> Begun:
    """Run a turn whose answer calls a tool, and keep its lease."""
    turn = await kit.begin("what time is it?", **fields)
    finished: Finished = await kit.finish(turn, answers=(ASKED,), keep_lease=True)
    assert finished.answers[0].tool_calls == ASKED.tool_calls
    return turn


async def _follow(kit: StorageKit, lease: Lease, **fields: Any) -> Begun:
    """Begin the turn after, without input."""
    values: dict[str, Any] = {"input_digest": "", "needs": everything, **fields}
    return begun(await kit.storage.begin_turn(kit.beginning(held=lease, **values)))


async def _resume(kit: StorageKit, turn: Begun, **fields: Any) -> Begun:
    """Take the lease of a completed turn again."""
    return begun(await kit.storage.begin_turn(kit.beginning(resumes=turn.turn.turn_id, input_digest="", **fields)))
