"""What changes a transcript outside any turn: taken back, appended, checked, all or nothing."""

# ruff: noqa: D102 - the name of a test says what holds

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from langswarm_sessions.errors import InvalidInputError, SessionNotFoundError, TurnConflictError
from langswarm_sessions.messages import MessageKind, Role
from langswarm_sessions.records import Amendment, SessionRecord
from langswarm_sessions.testing.storage_kit import (
    StorageFixtures,
    StorageKit,
    instructions,
    native_state,
    said,
    texts,
)

__all__ = ["AmendmentContract"]


class AmendmentContract(StorageFixtures):
    """Messages are taken back and appended, and rows changed, in one unit of work."""

    async def test_what_is_taken_back_is_hidden_uncounted_and_stays_stored(self, kit: StorageKit) -> None:
        kept, gone = (await kit.append("kept", "gone")).answers
        await kit.storage.amend_session(kit.session_id, Amendment(retract=(gone.message_id, gone.message_id, "none")))
        assert texts(await kit.transcript()) == ["kept"]
        assert await kit.storage.load_message(kit.session_id, gone.message_id) is None
        stored = await kit.transcript(with_retracted=True)
        assert [(message.content, message.kind) for message in stored][1:] == [("gone", MessageKind.RETRACTED)]
        again = await kit.storage.amend_session(kit.session_id, Amendment(retract=(gone.message_id,)))
        assert again.session.counters == (await kit.record()).counters
        counters = (await kit.record()).counters
        assert (counters.messages, counters.user_messages, counters.content_bytes) == (1, 1, 4)
        (new,) = (await kit.append("new")).answers
        assert (new.parent_id, new.seq) == (kept.message_id, 3)

    @pytest.mark.parametrize(("taken_back", "is_kept"), [(0, False), (1, False), (2, True)])
    async def test_native_state_that_knows_what_is_taken_back_is_dropped(
        self, kit: StorageKit, taken_back: int, is_kept: bool
    ) -> None:
        turn = await kit.begin("question")
        native = native_state(cursor=2, turn_id=turn.turn.turn_id)
        await kit.finish(turn, "answer", native=native, native_changed=True)
        await kit.append("later")
        message_id = (await kit.transcript())[taken_back].message_id
        done = await kit.storage.amend_session(kit.session_id, Amendment(retract=(message_id,)))
        assert (done.session.native is not None) is is_kept
        assert (await kit.record()).native == done.session.native

    async def test_instructions_taken_back_give_way_to_those_before(self, kit: StorageKit) -> None:
        given = [instructions("Be brief."), instructions("Be verbose.")]
        stored = (await kit.storage.append_messages(kit.session_id, given)).answers
        for message, left in zip(reversed(stored), ("Be brief.", None), strict=True):
            done = await kit.storage.amend_session(kit.session_id, Amendment(retract=(message.message_id,)))
            assert (done.session.instructions, (await kit.record()).instructions) == (left, left)

    async def test_another_sessions_message_is_out_of_reach(self, kit: StorageKit) -> None:
        (mine,) = (await kit.append("mine")).answers
        other = await StorageKit.of_new_session(kit.storage)
        await other.storage.amend_session(other.session_id, Amendment(retract=(mine.message_id,)))
        assert texts(await kit.transcript()) == ["mine"]

    async def test_all_of_it_is_one_unit_of_work(self, kit: StorageKit) -> None:
        (first,) = (await kit.append("one")).answers
        other = await StorageKit.of_new_session(kit.storage)
        done = await kit.storage.amend_session(
            kit.session_id,
            Amendment(
                append=(said("two"), said("three")),
                retract=(first.message_id,),
                change=_noting("own"),
                also={other.session_id: _noting("other")},
            ),
        )
        assert texts(done.answers) == texts(await kit.transcript()) == ["two", "three"]
        record = await kit.record()
        assert (record.context, record.counters.messages) == ({"noted": "own"}, 2)
        assert (done.session.context, done.session.counters) == (record.context, record.counters)
        assert (await other.record()).context == {"noted": "other"}

    @pytest.mark.parametrize("why", ["change", "also", "no other", "append", "lease"])
    async def test_what_refuses_a_part_of_it_refuses_everything(self, kit: StorageKit, why: str) -> None:
        (first,) = (await kit.append("one")).answers
        other = await StorageKit.of_new_session(kit.storage)
        whole: dict[str, Any] = {
            "append": (said("two"),),
            "retract": (first.message_id,),
            "change": _noting("own"),
            "also": {other.session_id: _noting("other")},
        }
        before = await kit.record()
        if why == "lease":
            turn = await kit.begin()
            await kit.finish(turn)
            whole["held"], before = turn.lease, await kit.record()
        refusing: dict[str, dict[str, Any]] = {
            "change": {"change": _refuse},
            "also": {"also": {other.session_id: _refuse}},
            "no other": {"also": {other.session_id: _noting("other"), "~nobody": _noting("nobody")}},
            "append": {"append": (said("two"), said("three", metadata={"no": object()}))},
        }
        with pytest.raises((TurnConflictError, SessionNotFoundError, InvalidInputError)):
            await kit.storage.amend_session(kit.session_id, Amendment(**whole | refusing.get(why, {})))
        assert texts(await kit.transcript()) == ["one"]
        assert await kit.record() == before
        assert (await other.record()).context == {}

    async def test_what_is_known_already_is_not_appended_twice(self, kit: StorageKit) -> None:
        batch = (said("one", message_id="a"), said("two", message_id="b"), said("three"))
        for given, stored in ((batch[:1], ["one"]), (batch[:2], ["two"]), (batch, ["three"])):
            done = await kit.storage.amend_session(kit.session_id, Amendment(append=given, skip_known=True))
            assert texts(done.answers) == stored
        assert texts(await kit.transcript()) == ["one", "two", "three"]

    async def test_of_many_that_check_the_same_row_one_succeeds(self, kit: StorageKit) -> None:
        seen = (await kit.record()).version

        def unchanged(record: SessionRecord) -> SessionRecord:
            if record.version != seen:
                raise TurnConflictError("it was changed meanwhile")
            return record

        async def amend(number: int) -> None:
            amendment = Amendment(append=(said(str(number), Role.ASSISTANT),), change=unchanged)
            await kit.storage.amend_session(kit.session_id, amendment)

        ends = await asyncio.gather(*(amend(number) for number in range(10)), return_exceptions=True)
        assert [type(end) for end in ends if end is not None] == [TurnConflictError] * 9
        assert len(await kit.transcript()) == 1

    async def test_changes_of_a_row_that_many_share_lose_nothing_of_each_other(self, kit: StorageKit) -> None:
        kits = [await StorageKit.of_new_session(kit.storage) for _ in range(10)]

        def counting(record: SessionRecord) -> SessionRecord:
            return replace(record, context={"count": record.context.get("count", 0) + 1})

        amendment = Amendment(append=(said("one"),), also={kit.session_id: counting})
        await asyncio.gather(*(each.storage.amend_session(each.session_id, amendment) for each in kits))
        assert (await kit.record()).context == {"count": 10}


def _noting(what: str) -> Callable[[SessionRecord], SessionRecord]:
    return lambda record: replace(record, context={**record.context, "noted": what})


def _refuse(_: SessionRecord) -> SessionRecord:
    raise TurnConflictError("no")
