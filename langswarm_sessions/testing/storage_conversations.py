"""What `import_conversation` relies on: a whole conversation is stored as it was, at once or not at all."""

# ruff: noqa: D102 - the name of a test says what holds

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from langswarm_sessions.config import SessionConfig
from langswarm_sessions.errors import InvalidInputError, SessionExistsError
from langswarm_sessions.interfaces.storage import EngineStorage
from langswarm_sessions.messages import ReasoningPart, Role, SessionMessage, TextPart, ToolCall, ToolResult, TurnState
from langswarm_sessions.records import SessionCounters, SessionFilter, SessionRecord, SessionStatus, SessionSummary
from langswarm_sessions.testing.storage_kit import (
    StorageFixtures,
    StorageKit,
    everything,
    instructions,
    said,
    session_record,
    texts,
)

__all__ = ["ConversationContract", "spoken"]

_LONG_AGO = datetime(2020, 2, 29, 12, 0, 0, 123456, UTC)
_FIGURES = SessionCounters(
    turns=7,
    failed_turns=2,
    input_tokens=30,
    output_tokens=40,
    total_tokens=70,
    response_count=4,
    response_ms=1000.5,
    retries=3,
    rebuilds=1,
    cost=Decimal("0.125"),
    priced_turns=3,
    unpriced_turns=1,
)
_TOLD = ("role", "kind", "content", "parts", "timestamp", "metadata", "status", "turn_id", "group_id", "tool_calls")
_PROVIDERS = ("provider_message_id", "provider_metadata", "provider_payload")


class ConversationContract(StorageFixtures):
    """A conversation that was held elsewhere becomes a session: everything of it, or nothing."""

    async def test_what_was_said_is_stored_as_it_was(self, storage: EngineStorage) -> None:
        given = _conversation()
        kit, stored = await _stored(storage, given, counters=_FIGURES)
        transcript = await kit.transcript()
        for before, after in zip(given, transcript, strict=True):
            for name in ("message_id", *_TOLD, *_PROVIDERS):
                assert getattr(after, name) == getattr(before, name), name
            assert (after.session_id, after.schema_version) == (kit.session_id, before.schema_version)
            assert (after.tokens or 0) > 0
        assert [message.seq for message in transcript] == list(range(1, len(given) + 1))
        assert [message.parent_id for message in transcript] == [None, *(one.message_id for one in given[:-1])]
        assert stored == await kit.record()
        assert (stored.next_seq, stored.cleared_seq, stored.native) == (len(given) + 1, 0, None)

    async def test_the_rows_own_values_and_figures_are_kept_and_messages_counted(self, storage: EngineStorage) -> None:
        values: dict[str, Any] = {
            "user_id": "ada",
            "status": SessionStatus.ARCHIVED,
            "archived_at": _LONG_AGO + timedelta(days=1),
            "created_at": _LONG_AGO,
            "last_activity": _LONG_AGO + timedelta(hours=1),
            "config": SessionConfig(name="Trip", tags=("food", "rome")),
            "provider_config": {"temperature": 0.5},
            "context": {"city": "Rome"},
        }
        given = _conversation()
        kit, stored = await _stored(storage, given, counters=_FIGURES, **values)
        assert {name: getattr(stored, name) for name in values} == values
        counted: dict[str, Any] = {
            "messages": len(given),
            "user_messages": sum(message.role is Role.USER for message in given),
            "assistant_messages": sum(message.role is Role.ASSISTANT for message in given),
            "system_messages": sum(message.role is Role.SYSTEM for message in given),
            "content_bytes": sum(len(message.content.encode()) for message in given),
        }
        assert stored.counters == replace(_FIGURES, **counted)
        found = await storage.list_sessions(SessionFilter(tags=("rome",), statuses=(SessionStatus.ARCHIVED,)))
        assert [record.session_id for record in found] == [kit.session_id]

    async def test_turns_are_known_with_how_they_ended(self, storage: EngineStorage) -> None:
        kit, _ = await _stored(storage, _conversation())
        found = [await storage.load_turn(kit.session_id, name) for name in ("t1", "t2", "t3")]
        assert [(turn.index, turn.state, turn.idempotency_key) for turn in found if turn is not None] == [
            (1, TurnState.COMPLETED, None),
            (2, TurnState.FAILED, None),
            (3, TurnState.INTERRUPTED, None),
        ]
        assert all(turn is not None and turn.started_at >= _LONG_AGO for turn in found)

    async def test_figures_tell_what_the_answers_tell(self, storage: EngineStorage) -> None:
        await _stored(storage, _conversation(), counters=_FIGURES)
        figures = await storage.analytics(None, None)
        assert (figures.model_usage, figures.provider_usage) == ({"gpt-5": 1}, {"openai": 1})
        assert (figures.total_tokens, figures.total_cost, figures.unpriced_turns) == (7, Decimal("0.25"), 1)

    async def test_it_goes_on_where_it_ended(self, storage: EngineStorage) -> None:
        given = _conversation()
        kit, stored = await _stored(storage, given)
        assert stored.instructions == "Be brief."
        turn = await kit.begin("And now?", needs=everything)
        assert turn.turn.index == 4
        shown = [message for message in given[1:] if message.status is not TurnState.FAILED]
        assert texts(turn.history) == texts(shown)
        answers = (await kit.finish(turn, "Now this.")).answers
        question, answer = (await kit.transcript())[-2:]
        assert (question.seq, question.parent_id) == (len(given) + 1, given[-1].message_id)
        assert (answer.message_id, answer.parent_id) == (answers[0].message_id, question.message_id)

    async def test_what_was_said_outside_of_turns_needs_none(self, storage: EngineStorage) -> None:
        kit, stored = await _stored(storage, spoken(3))
        assert texts(await kit.transcript()) == ["number 0", "number 1", "number 2"]
        assert (stored.counters.messages, stored.counters.turns) == (3, 0)
        kit, stored = await _stored(storage, [])
        assert (await kit.transcript(), stored.next_seq, stored.counters) == ([], 1, SessionCounters())
        await kit.turn("question", "answer")

    async def test_its_summary_stands_for_the_messages_from_the_first_on(self, storage: EngineStorage) -> None:
        summary = SessionSummary(up_to_seq=2, text="in short", tokens=3, created_at=_LONG_AGO, provider="p", model="m")
        record = session_record()
        await storage.insert_conversation(record, _conversation(), summary=summary)
        assert await storage.load_summary(record.session_id) == summary

    async def test_an_id_that_is_taken_is_replaced_and_kept_as_the_providers(self, storage: EngineStorage) -> None:
        given = [*_conversation(), *spoken(2)]
        first, _ = await _stored(storage, given)
        before = await first.transcript()
        second, stored = await _stored(storage, given)
        assert await first.transcript() == before
        copies = await second.transcript()
        assert not {message.message_id for message in before} & {message.message_id for message in copies}
        for original, copy in zip(given, copies, strict=True):
            assert copy.provider_message_id == (original.provider_message_id or original.message_id)
            assert [getattr(copy, name) for name in _TOLD] == [getattr(original, name) for name in _TOLD]
        assert [message.parent_id for message in copies] == [None, *(message.message_id for message in copies[:-1])]
        (added,) = (await second.append("added")).answers
        assert (added.parent_id, added.seq) == (copies[-1].message_id, stored.next_seq)

    @pytest.mark.parametrize("status", list(SessionStatus))
    async def test_a_session_of_its_id_stays_as_it_is(self, kit: StorageKit, status: SessionStatus) -> None:
        await kit.turn("question", "answer")
        before = await kit.change(status=status)
        with pytest.raises(SessionExistsError) as caught:
            await kit.storage.insert_conversation(session_record(kit.session_id), _conversation())
        assert caught.value.session_id == kit.session_id
        assert await kit.record() == before
        assert texts(await kit.transcript()) == ["question", "answer"]

    @pytest.mark.parametrize("place", [0, -1])
    async def test_what_cannot_be_stored_leaves_nothing(self, storage: EngineStorage, place: int) -> None:
        record = session_record(config=SessionConfig(tags=("spoilt",)))
        given = _conversation()
        kept, given[place].metadata = given[place].metadata, {"no": object()}
        with pytest.raises(InvalidInputError, match="metadata"):
            await storage.insert_conversation(record, given)
        assert await storage.load_session(record.session_id) is None
        assert await storage.load_turn(record.session_id, "t1") is None
        given[place].metadata = kept
        stored = await storage.insert_conversation(record, given)
        kit = StorageKit(storage, record.session_id, _LONG_AGO)
        assert [message.message_id for message in await kit.transcript()] == [message.message_id for message in given]
        assert stored.counters.messages == len(given)

    async def test_of_many_at_once_one_is_stored(self, storage: EngineStorage) -> None:
        record, given = session_record(), spoken(20)
        ends = await asyncio.gather(
            *(storage.insert_conversation(record, given) for _ in range(5)), return_exceptions=True
        )
        assert sorted(type(end).__name__ for end in ends) == ["SessionExistsError"] * 4 + ["SessionRecord"]
        transcript = await StorageKit(storage, record.session_id, _LONG_AGO).transcript()
        assert [message.message_id for message in transcript] == [message.message_id for message in given]


def spoken(count: int) -> list[SessionMessage]:
    """Return messages that belong to no turn."""
    return [said(f"number {number}", message_id=f"said-{number}") for number in range(count)]


async def _stored(
    storage: EngineStorage, given: Sequence[SessionMessage], **fields: Any
) -> tuple[StorageKit, SessionRecord]:
    record = session_record(**fields)
    stored = await storage.insert_conversation(record, given)
    return StorageKit(storage, record.session_id, max(record.last_activity, datetime.now(UTC))), stored


def _conversation() -> list[SessionMessage]:
    """Return turns that completed, failed and were interrupted, with something between them."""
    call = ToolCall(id="call-1", name="clock", arguments={"zone": "CET"})
    told = {"provider": "openai", "model": "gpt-5", "usage": {"total_tokens": 7}, "cost_usd": "0.25"}
    messages = [
        instructions("Be brief."),
        _of_turn("t1", said("Was it noon — or später?", metadata={"from": ["app", None]})),
        _of_turn(
            "t1",
            SessionMessage(
                role=Role.ASSISTANT,
                parts=[ReasoningPart(text="hm"), TextPart("I look."), call],
                provider_message_id="resp-1",
                provider_metadata=told,
                provider_payload={"raw": [1, {"deep": None}]},
                group_id="group-1",
            ),
        ),
        said("meanwhile", Role.SYSTEM),
        _of_turn("t1", SessionMessage(role=Role.TOOL, parts=[ToolResult(tool_call_id="call-1", content="12:00")])),
        _of_turn("t2", said("Are you there?"), TurnState.FAILED),
        _of_turn("t3", said("Tell me more."), TurnState.INTERRUPTED),
        _of_turn("t3", said("Once", Role.ASSISTANT), TurnState.INTERRUPTED),
    ]
    for number, message in enumerate(messages):
        message.message_id = f"message-{number}"
        message.timestamp = _LONG_AGO + timedelta(microseconds=number)
    return messages


def _of_turn(turn_id: str, message: SessionMessage, state: TurnState = TurnState.COMPLETED) -> SessionMessage:
    message.turn_id, message.status = turn_id, state
    return message
