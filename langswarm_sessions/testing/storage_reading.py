"""What the session and the manager rely on when they read transcripts and append to them."""

# ruff: noqa: D102 - the name of a test says what holds

from __future__ import annotations

import asyncio
import gc
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from langswarm_sessions.errors import InvalidInputError, TurnConflictError
from langswarm_sessions.messages import (
    AudioPart,
    FilePart,
    ImagePart,
    MessageKind,
    OtherPart,
    ReasoningPart,
    RefusalPart,
    Role,
    SessionMessage,
    TextPart,
    ToolCall,
    ToolResult,
    TurnState,
)
from langswarm_sessions.records import HistoryQuery, MessageFilter, SessionRecord
from langswarm_sessions.testing.storage_kit import (
    StorageFixtures,
    StorageKit,
    begun,
    everything,
    instructions,
    native_state,
    said,
    texts,
)

__all__ = ["ClearingContract", "ReadingContract"]

ODD_TEXTS = ("", "a\0b", "é\u0301 𝔘𝔫𝔦𝔠𝔬𝔡𝔢 🧑‍🚀", "'; DROP TABLE messages; --", "%_\\", "\r\n\t ", "x" * 100_000)


class ReadingContract(StorageFixtures):
    """Messages come back as they were stored; pages and histories hold what they should."""

    async def test_messages_come_back_as_they_were_stored(self, kit: StorageKit) -> None:
        message = SessionMessage(
            role=Role.ASSISTANT,
            content="before after",
            parts=[
                TextPart("before "),
                ReasoningPart(text="thinking"),
                TextPart("after"),
                ImagePart(url="https://example.org/a.png", detail="low"),
                FilePart(file_id="file-1", name="ä.pdf"),
                AudioPart(data="QUJD", media_type="audio/wav"),
                ToolCall(id="call-1", name="clock", arguments={"zone": "UTC"}),
                OtherPart(data={"type": "strange", "n": 1.5}),
            ],
            metadata={"nested": {"list": [1, 2.5, None, True, "ü"]}},
            provider_metadata={"model": "m", "usage": {"total_tokens": 3}},
            provider_message_id="msg-1",
            provider_payload={"raw": [1]},
            group_id="group",
            timestamp=datetime(2020, 2, 29, 12, 0, 0, 123456, UTC),
            tokens=17,
        )
        others = [
            SessionMessage(role=Role.ASSISTANT, parts=[RefusalPart("no")]),
            SessionMessage(role=Role.TOOL, parts=[ToolResult(tool_call_id="call-1", content="noon", is_error=True)]),
            *(said(text) for text in ODD_TEXTS),
        ]
        stored = (await kit.storage.append_messages(kit.session_id, [message, *others])).answers
        read = await kit.transcript()
        assert list(stored) == read
        first = read[0]
        for name in ("content", "parts", "tool_calls", "metadata", "provider_metadata", "provider_message_id"):
            assert getattr(first, name) == getattr(message, name), name
        for name in ("provider_payload", "group_id", "timestamp", "tokens", "kind", "schema_version"):
            assert getattr(first, name) == getattr(message, name), name
        assert first.timestamp.tzinfo is UTC
        assert texts(read[3:]) == list(ODD_TEXTS)
        assert await kit.storage.load_message(kit.session_id, first.message_id) == first
        assert message.message_id == ""  # what the caller gave is left alone

    async def test_appending_is_counted_and_ordered(self, kit: StorageKit) -> None:
        before = await kit.record()
        finished = await kit.append("one", "two")
        await kit.append("three", role=Role.SYSTEM)
        assert [message.seq for message in finished.answers] == [1, 2]
        stored = await kit.transcript()
        assert texts(stored) == ["one", "two", "three"]
        assert [message.parent_id for message in stored] == [None, stored[0].message_id, stored[1].message_id]
        assert {message.status for message in stored} == {TurnState.COMPLETED}
        record = await kit.record()
        assert (record.counters.messages, record.counters.user_messages, record.counters.system_messages) == (3, 2, 1)
        assert record.last_activity >= before.last_activity
        assert (await kit.storage.append_messages(kit.session_id, [])).answers == ()

    async def test_appending_after_a_message_that_is_no_longer_the_newest_is_refused(self, kit: StorageKit) -> None:
        await kit.storage.append_messages(kit.session_id, [said("one")], after_seq=0)
        for stale in (0, 2):
            with pytest.raises(TurnConflictError):
                await kit.storage.append_messages(kit.session_id, [said("two")], after_seq=stale)
        await kit.storage.append_messages(kit.session_id, [said("two")], after_seq=1)
        assert texts(await kit.transcript()) == ["one", "two"]

    async def test_appending_is_all_or_nothing(self, kit: StorageKit) -> None:
        broken = [said("one"), said("two", metadata={"not": object()})]
        with pytest.raises(InvalidInputError):
            await kit.storage.append_messages(kit.session_id, broken)
        with pytest.raises(InvalidInputError, match="content"):
            await kit.append("fine", "lone \ud800 surrogate")
        assert await kit.transcript() == []
        assert (await kit.record()).counters.messages == 0

    async def test_pages_cover_the_transcript_once(self, kit: StorageKit) -> None:
        await kit.append(*(str(number) for number in range(25)))
        pages: list[list[str]] = []
        cursor: str | None = None
        while True:
            page = await kit.storage.list_messages(kit.session_id, MessageFilter(limit=10, cursor=cursor))
            pages.append(texts(page))
            cursor = page.next_cursor
            if cursor is None:
                break
        assert pages == [
            [str(number) for number in range(15, 25)],
            [str(number) for number in range(5, 15)],
            [str(number) for number in range(5)],
        ]
        await kit.append("newer")
        assert (await kit.storage.list_messages(kit.session_id, MessageFilter(limit=26))).next_cursor is None

    @pytest.mark.parametrize("cursor", ["", "x", "é", "bm90IGpzb24", "WyJ4Il0", "WzEsMl0", "e30", "W3RydWVd"])
    async def test_a_bad_cursor_is_refused(self, kit: StorageKit, cursor: str) -> None:
        await kit.append("one")
        with pytest.raises(InvalidInputError, match="cursor"):
            await kit.transcript(cursor=cursor)

    async def test_messages_are_filtered(self, kit: StorageKit) -> None:
        start = datetime(2024, 1, 1, tzinfo=UTC)
        given = [
            said(str(hour), Role.USER if hour % 2 else Role.ASSISTANT, timestamp=start + timedelta(hours=hour))
            for hour in range(6)
        ]
        await kit.storage.append_messages(kit.session_id, given)
        assert texts(await kit.transcript(role=Role.USER)) == ["1", "3", "5"]
        assert texts(await kit.transcript(role=Role.USER, limit=2)) == ["3", "5"]
        assert texts(await kit.transcript(start_time=start + timedelta(hours=4))) == ["4", "5"]
        assert texts(await kit.transcript(end_time=start + timedelta(hours=1))) == ["0", "1"]
        second = (await kit.transcript())[1].seq
        assert texts(await kit.transcript(before_seq=second)) == ["0"]
        assert texts(await kit.transcript(before_seq=(second or 0) + 2, limit=2)) == ["1", "2"]
        assert await kit.transcript(limit=0) == []
        with pytest.raises(InvalidInputError, match="limit"):
            await kit.transcript(limit=-1)
        assert await kit.storage.list_messages("nobody", MessageFilter()) == []

    async def test_a_message_belongs_to_its_session(self, kit: StorageKit) -> None:
        stored = (await kit.append("mine")).answers[0]
        other = await StorageKit.of_new_session(kit.storage)
        assert await other.storage.load_message(other.session_id, stored.message_id) is None
        assert await kit.storage.load_message(kit.session_id, "nothing") is None

    async def test_what_a_model_is_given(self, kit: StorageKit) -> None:
        await kit.turn("one", "answer one")
        await kit.failed_turn("failed")
        partial = await kit.begin("two")
        await kit.finish(partial, "half", state=TurnState.INTERRUPTED)
        pending = await kit.begin("pending", needs=everything)
        expected = ["one", "answer one", "two", "half"]
        assert texts(pending.history) == expected
        assert texts(await kit.storage.load_history(kit.session_id, HistoryQuery())) == expected
        assert texts(await kit.transcript(for_model=True)) == expected
        assert texts(await kit.transcript()) == ["one", "answer one", "failed", "two", "half", "pending"]
        assert [message.status.value for message in await kit.transcript()] == [
            "completed",
            "completed",
            "failed",
            "interrupted",
            "interrupted",
            "pending",
        ]
        assert await kit.storage.load_history("nobody", HistoryQuery()) == ()

    async def test_a_history_is_bounded(self, kit: StorageKit) -> None:
        await kit.append("system", role=Role.SYSTEM)
        await kit.append(*(str(number) for number in range(200)), tokens=10)

        async def history(**bounds: Any) -> list[str]:
            query = HistoryQuery(**bounds)
            return texts(await kit.storage.load_history(kit.session_id, query))

        assert await history(max_messages=2) == ["system", "198", "199"]
        assert await history(max_messages=2, with_system=False) == ["198", "199"]
        assert await history(max_messages=0) == ["system"]
        assert len(await history()) == 201
        assert await history(after_seq=199) == ["198", "199"]
        assert await history(max_tokens=30) == ["system", "197", "198", "199"]
        assert len(await history(max_tokens=1_500)) == 151
        assert await history(max_tokens=1_000_000, max_messages=3, with_system=False) == ["197", "198", "199"]

    async def test_system_messages_count_for_no_bound_of_a_history(self, kit: StorageKit) -> None:
        for number in range(10):
            await kit.append(str(number), tokens=10)
            await kit.append(f"note {number}", role=Role.SYSTEM, tokens=10)
        notes = [f"note {number}" for number in range(10)]
        for bound in (HistoryQuery(max_messages=3), HistoryQuery(max_tokens=30)):
            history = await kit.storage.load_history(kit.session_id, bound)
            assert texts(history) == [*notes[:7], "7", "note 7", "8", "note 8", "9", "note 9"]
            newest = await kit.storage.load_history(kit.session_id, replace(bound, with_system=False))
            assert texts(newest) == ["7", "note 7", "8", "note 8", "9", "note 9"]

    async def test_instructions_are_no_part_of_a_history(self, kit: StorageKit) -> None:
        for number in range(5):
            await kit.finish(await kit.begin(str(number), instructions=instructions(f"rule {number}")), f"to {number}")
        last = await kit.begin("last", instructions=instructions("rule 5"), needs=everything)
        said_so_far = [text for number in range(5) for text in (str(number), f"to {number}")]
        assert texts(last.history) == said_so_far
        for most, expected in ((None, said_so_far), (2, said_so_far[-2:]), (0, [])):
            assert texts(await kit.storage.load_history(kit.session_id, HistoryQuery(max_messages=most))) == expected
        assert len(await kit.transcript(role=Role.SYSTEM)) == 6, "and stay in the transcript"

    async def test_a_native_turn_needs_only_what_is_new(self, kit: StorageKit) -> None:
        first = await kit.begin("one")
        turn_id = first.turn.turn_id
        await kit.append("came between")
        await kit.finish(first, "answer", native=native_state(cursor=1, turn_id=turn_id), native_changed=True)

        def unsent(_: SessionRecord) -> HistoryQuery:
            return HistoryQuery(after_seq=1, not_turn=turn_id)

        second = await kit.begin("two", needs=unsent)
        assert texts(second.history) == ["came between"]

    async def test_appended_instructions_are_in_force(self, kit: StorageKit) -> None:
        await kit.storage.append_messages(kit.session_id, [instructions("Be brief.")])
        assert (await kit.record()).instructions == "Be brief."
        await kit.begin("hello", instructions=instructions("Be brief."))
        stored = await kit.transcript(role=Role.SYSTEM)
        assert [message.kind for message in stored] == [MessageKind.INSTRUCTIONS]

    async def test_many_appenders_lose_nothing(self, kit: StorageKit) -> None:
        await asyncio.gather(*(kit.append(f"{number}a", f"{number}b") for number in range(20)))
        stored = await kit.transcript()
        assert [message.seq for message in stored] == list(range(1, 41))
        said_by = texts(stored)
        assert all(first[:-1] == second[:-1] for first, second in zip(said_by[::2], said_by[1::2], strict=True))
        assert (await kit.record()).counters.messages == 40

    async def test_reading_keeps_nothing_alive(self, kit: StorageKit) -> None:
        await kit.append(*(str(number) for number in range(50)))
        for _ in range(3):
            await kit.transcript()
        patience = 500
        while _messages_alive(kit.session_id) and patience:  # a loop or a thread may still be about to let go
            patience -= 1
            await asyncio.sleep(0.01)
        assert not _messages_alive(kit.session_id)


class ClearingContract(StorageFixtures):
    """Clearing hides what was said so far from every way of reading."""

    async def test_clearing_hides_what_was_said(self, kit: StorageKit) -> None:
        turn = await kit.begin("one", instructions=instructions("Be brief."))
        finished = await kit.finish(
            turn, "answer", native=native_state(cursor=2, turn_id=turn.turn.turn_id), native_changed=True
        )
        cleared = await kit.clear()
        assert (cleared.native, cleared.instructions, cleared.counters.messages) == (None, None, 0)
        assert cleared.counters.total_tokens == finished.session.counters.total_tokens
        assert await kit.transcript() == []
        assert await kit.storage.load_history(kit.session_id, HistoryQuery()) == ()
        assert await kit.storage.load_message(kit.session_id, finished.answers[0].message_id) is None
        again = await kit.begin("two", instructions=instructions("Be brief."), needs=everything)
        assert again.history == ()
        await kit.finish(again, "answer two")
        assert texts(await kit.transcript()) == ["Be brief.", "two", "answer two"]
        assert (await kit.record()).counters.messages == 3

    async def test_clearing_during_a_turn_drops_its_native_state(self, kit: StorageKit) -> None:
        turn = await kit.begin("one")
        await kit.clear()
        state = native_state(cursor=1, turn_id=turn.turn.turn_id)
        finished = await kit.finish(turn, "answer", native=state, native_changed=True)
        assert finished.session.native is None
        assert (await kit.record()).native is None

    async def test_a_rerun_after_clearing_shows_its_input_again(self, kit: StorageKit) -> None:
        await kit.failed_turn("question", idempotency_key="key")
        await kit.clear()
        again = begun(await kit.storage.begin_turn(kit.beginning("question", idempotency_key="key")))
        await kit.finish(again, "answer")
        assert texts(await kit.transcript()) == ["question", "answer"]
        assert (await kit.record()).counters.messages == 2


def _messages_alive(session_id: str) -> int:
    gc.collect()
    messages = [item for item in gc.get_objects() if type(item) is SessionMessage]  # a proxy would load what it is for
    return sum(message.session_id == session_id for message in messages)
