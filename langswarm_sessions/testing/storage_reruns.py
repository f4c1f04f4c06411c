"""What the turn engine relies on when a turn is asked for again."""

# ruff: noqa: D102 - the name of a test says what holds

from __future__ import annotations

import pytest

from langswarm_sessions.errors import (
    TurnConflictError,
)
from langswarm_sessions.messages import TurnState
from langswarm_sessions.records import (
    Begun,
    Busy,
    Recorded,
)
from langswarm_sessions.testing.storage_kit import (
    StorageFixtures,
    StorageKit,
    dead_owner,
    everything,
    texts,
)

__all__ = ["RerunContract"]


class RerunContract(StorageFixtures):
    """Idempotency keys and failed turns."""

    async def test_a_key_that_completed_is_answered_from_the_record(self, kit: StorageKit) -> None:
        await kit.turn("question", "answer", idempotency_key="key")
        outcome = await kit.storage.begin_turn(kit.beginning("question", idempotency_key="key"))
        assert isinstance(outcome, Recorded)
        assert outcome.answer.content == "answer"
        assert outcome.turn.state is TurnState.COMPLETED
        with pytest.raises(TurnConflictError):
            await kit.begin("another question", idempotency_key="key")
        assert texts(await kit.transcript()) == ["question", "answer"]
        other = await StorageKit.of_new_session(kit.storage)
        assert isinstance(await other.storage.begin_turn(other.beginning("x", idempotency_key="key")), Begun)

    async def test_a_pending_key_waits(self, kit: StorageKit) -> None:
        turn = await kit.begin("question", idempotency_key="key")
        busy = await kit.storage.begin_turn(kit.beginning("question", idempotency_key="key"))
        assert isinstance(busy, Busy)
        await kit.finish(turn, "answer")
        again = kit.beginning("question", idempotency_key="key", ticket=busy.ticket)
        assert isinstance(await kit.storage.begin_turn(again), Recorded)

    async def test_a_key_that_failed_is_rerun_in_place(self, kit: StorageKit) -> None:
        failed = await kit.failed_turn("question", idempotency_key="key")
        assert (await kit.record()).counters.failed_turns == 1
        again = await kit.begin("question", idempotency_key="key", needs=everything)
        assert again.turn.turn_id == failed.turn.turn_id
        assert again.turn.index == failed.turn.index
        assert [message.message_id for message in again.inputs] == [message.message_id for message in failed.inputs]
        assert again.history == ()
        await kit.finish(again, "answer")
        first, second = await kit.transcript()
        assert (first.content, second.content) == ("question", "answer")
        assert first.status is TurnState.COMPLETED
        counters = (await kit.record()).counters
        assert (counters.messages, counters.turns, counters.failed_turns) == (2, 1, 0)

    async def test_a_rerun_comes_after_what_was_said_meanwhile(self, kit: StorageKit) -> None:
        await kit.failed_turn("first", idempotency_key="key")
        await kit.turn("second", "answer to second")
        again = await kit.begin("first", idempotency_key="key", needs=everything)
        assert texts(again.history) == ["second", "answer to second"]
        await kit.finish(again, "answer to first")
        stored = await kit.transcript()
        assert texts(stored) == ["second", "answer to second", "first", "answer to first"]
        assert stored[2].parent_id == stored[1].message_id
        assert stored[3].parent_id == stored[2].message_id
        assert (await kit.record()).counters.messages == 4

    async def test_a_rerun_replaces_a_partial_answer(self, kit: StorageKit) -> None:
        turn = await kit.begin("question", idempotency_key="key")
        await kit.finish(turn, "half an ans", state=TurnState.INTERRUPTED)
        await kit.turn("meanwhile", "yes")
        again = await kit.begin("question", idempotency_key="key", needs=everything)
        assert texts(again.history) == ["meanwhile", "yes"]
        await kit.finish(again, "whole answer")
        outcome = await kit.storage.begin_turn(kit.beginning("question", idempotency_key="key"))
        assert isinstance(outcome, Recorded)
        assert outcome.answer.content == "whole answer"
        after = await kit.begin("more", needs=everything)
        assert texts(after.history) == ["meanwhile", "yes", "question", "whole answer"]
        assert "half an ans" in texts(await kit.transcript())

    async def test_a_key_whose_process_died_is_rerun(self, kit: StorageKit) -> None:
        dead = await kit.begin("question", idempotency_key="key", owner=dead_owner())
        again = await kit.begin("question", idempotency_key="key", after_s=1)
        assert again.took_over
        assert again.turn.turn_id == dead.turn.turn_id
        with pytest.raises(TurnConflictError):
            await kit.finish(dead, "from the dead")
        await kit.finish(again, "answer")
        assert texts(await kit.transcript()) == ["question", "answer"]

    async def test_a_failed_turn_is_resumed_without_a_key(self, kit: StorageKit) -> None:
        failed = await kit.failed_turn("question")
        fresh = await kit.begin("another", resume_failed=True)
        assert fresh.turn.turn_id != failed.turn.turn_id
        await kit.finish(fresh, state=TurnState.FAILED, usage=None)
        again = await kit.begin("another", resume_failed=True)
        assert again.turn.turn_id == fresh.turn.turn_id
        await kit.finish(again, "answer")
        unrelated = await kit.begin("another", resume_failed=True)
        assert unrelated.turn.turn_id != fresh.turn.turn_id
