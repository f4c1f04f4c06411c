"""What the turn engine relies on when it begins and finishes turns."""

# ruff: noqa: D102 - the name of a test says what holds

from __future__ import annotations

from dataclasses import replace

import pytest

from langswarm_sessions.errors import (
    SessionArchivedError,
    SessionExistsError,
    SessionNotFoundError,
)
from langswarm_sessions.interfaces.storage import EngineStorage
from langswarm_sessions.messages import MessageKind, Role, SessionMessage, ToolCall, ToolResult, TurnState
from langswarm_sessions.records import (
    Begun,
    SessionStatus,
    TurnOptions,
    Usage,
)
from langswarm_sessions.testing.storage_kit import (
    StorageFixtures,
    StorageKit,
    everything,
    instructions,
    native_state,
    said,
    session_record,
    texts,
)

__all__ = ["RetiredSessionContract", "TurnContract"]


class TurnContract(StorageFixtures):
    """Input, answer, counters, instructions, native state, ids."""

    async def test_a_session_id_is_taken_once(self, storage: EngineStorage) -> None:
        record = session_record("taken")
        await storage.insert_session(record)
        with pytest.raises(SessionExistsError) as caught:
            await storage.insert_session(record)
        assert caught.value.session_id == "taken"

    async def test_a_session_is_loaded_as_it_was_stored(self, storage: EngineStorage) -> None:
        record = session_record(provider_config={"temperature": 0.5}, context={"plan": "gold", "näme": [1, None]})
        await storage.insert_session(record)
        loaded = await storage.load_session(record.session_id)
        assert loaded is not None
        assert (loaded.user_id, loaded.provider, loaded.model) == ("user", "mock", "mock-model")
        assert dict(loaded.context) == dict(record.context)
        assert dict(loaded.provider_config) == {"temperature": 0.5}
        assert await storage.load_session("nobody") is None

    async def test_a_turn_stores_input_and_answer_in_order(self, kit: StorageKit) -> None:
        turn = await kit.begin("question")
        assert [(message.content, message.status) for message in await kit.transcript()] == [
            ("question", TurnState.PENDING)
        ]
        finished = await kit.finish(turn, "answer")
        first, second = await kit.transcript()
        assert (first.content, second.content) == ("question", "answer")
        assert (first.seq, second.seq) == (1, 2)
        assert second.parent_id == first.message_id
        assert first.turn_id == second.turn_id == turn.turn.turn_id
        assert first.status is second.status is TurnState.COMPLETED
        assert finished.answers[0].message_id == second.message_id
        assert finished.session == await kit.record()

    async def test_begun_tells_the_row_after_the_beginning(self, kit: StorageKit) -> None:
        turn = await kit.begin("question", options=TurnOptions(tools=({"name": "clock"},), tool_choice="auto"))
        assert turn.session == await kit.record()
        assert turn.session.counters.messages == turn.session.counters.user_messages == turn.session.counters.turns == 1
        assert turn.turn.state is TurnState.PENDING
        assert turn.turn == await kit.storage.load_turn(kit.session_id, turn.turn.turn_id)
        assert turn.turn.options.tools[0]["name"] == "clock"
        assert await kit.storage.load_turn(kit.session_id, "nothing") is None

    async def test_counters_add_up(self, kit: StorageKit) -> None:
        usage = Usage(input_tokens=10, output_tokens=5, total_tokens=15, cached_tokens=2, reasoning_tokens=1)
        for number in range(3):
            turn = await kit.begin(f"question {number}")
            await kit.finish(turn, f"answer {number}", usage=usage, duration_ms=20.0, retries=2, rebuilds=1)
        await kit.failed_turn("lost")
        counters = (await kit.record()).counters
        assert (counters.messages, counters.user_messages, counters.assistant_messages) == (7, 4, 3)
        assert (counters.turns, counters.failed_turns, counters.response_count) == (4, 1, 3)
        assert (counters.input_tokens, counters.output_tokens, counters.total_tokens) == (30, 15, 45)
        assert (counters.response_ms, counters.retries, counters.rebuilds) == (60.0, 6, 3)

    async def test_a_turn_may_answer_with_several_messages(self, kit: StorageKit) -> None:
        call = ToolCall(id="call-1", name="clock", arguments={"zone": "UTC"})
        turn = await kit.begin("what time is it?")
        asked = SessionMessage(role=Role.ASSISTANT, parts=[call], group_id="group")
        await kit.finish(turn, answers=(asked,))
        result = SessionMessage(role=Role.TOOL, parts=[ToolResult(tool_call_id="call-1", content="noon")])
        second = await kit.begin(inputs=(result,), needs=everything)
        await kit.finish(second, "It is noon.")
        stored = await kit.transcript()
        assert stored[1].tool_calls == [call]
        assert stored[1].group_id == "group"
        assert stored[2].tool_results[0].content == "noon"
        assert [message.role for message in second.history] == [Role.USER, Role.ASSISTANT]

    async def test_who_may_not_begin(self, kit: StorageKit) -> None:
        with pytest.raises(SessionNotFoundError):
            await kit.storage.begin_turn(replace(kit.beginning("hello"), session_id="nobody"))
        with pytest.raises(SessionNotFoundError):
            await kit.begin("hello", user_id="somebody else")
        assert isinstance(await kit.storage.begin_turn(kit.beginning("hello", user_id="user")), Begun)

    async def test_instructions_are_stored_when_they_change(self, kit: StorageKit) -> None:
        for content in ("Be brief.", "Be brief.", "Be kind."):
            turn = await kit.begin("hello", instructions=instructions(content), needs=everything)
            assert turn.session.instructions == content
            assert "hello" not in texts(turn.history)[len(turn.history) - 1 :]
            await kit.finish(turn, "hi")
        stored = await kit.transcript(role=Role.SYSTEM)
        assert [(message.content, message.kind) for message in stored] == [
            ("Be brief.", MessageKind.INSTRUCTIONS),
            ("Be kind.", MessageKind.INSTRUCTIONS),
        ]
        assert (await kit.record()).counters.system_messages == 2
        failed = await kit.begin("hello", instructions=instructions("Be bold."))
        await kit.finish(failed, state=TurnState.FAILED, usage=None)
        assert (await kit.transcript(role=Role.SYSTEM))[-1].status is TurnState.COMPLETED

    async def test_native_state_is_kept_with_the_answer(self, kit: StorageKit) -> None:
        turn = await kit.begin("question")
        state = native_state(cursor=1, turn_id=turn.turn.turn_id, open_calls=("call-1",), model="m")
        finished = await kit.finish(turn, "answer", native=state, native_changed=True)
        assert finished.session.native == replace(state, cursor=2)
        assert (await kit.record()).native == replace(state, cursor=2)
        turn = await kit.begin("more")
        assert turn.session.native == replace(state, cursor=2)
        await kit.finish(turn, "answer")
        assert (await kit.record()).native == replace(state, cursor=2)
        turn = await kit.begin("and more")
        await kit.append("meanwhile")
        seq = turn.inputs[0].seq or 0
        finished = await kit.finish(turn, "answer", native=replace(state, cursor=seq), native_changed=True)
        assert finished.session.native == replace(state, cursor=seq)
        turn = await kit.begin("last")
        assert (await kit.finish(turn, "answer", native_changed=True)).session.native is None

    async def test_ids_are_ours_and_unique(self, kit: StorageKit) -> None:
        first = await kit.begin(inputs=(said("one", message_id="mine"),))
        assert first.inputs[0].message_id == "mine"
        finished = await kit.finish(first, answers=(said("two", Role.ASSISTANT, message_id="mine"),))
        assert finished.answers[0].message_id != "mine"
        assert finished.answers[0].provider_message_id == "mine"
        other = await StorageKit.of_new_session(kit.storage)
        appended = await other.storage.append_messages(
            other.session_id, [said("a", message_id="twice"), said("b", message_id="twice"), said("c")]
        )
        ids = [message.message_id for message in appended.answers]
        assert ids[0] == "twice"
        assert len(set(ids)) == 3


class RetiredSessionContract(StorageFixtures):
    """Sessions that are archived or deleted take no turns."""

    async def test_no_turn_without_an_active_session(self, kit: StorageKit) -> None:
        await kit.change(status=SessionStatus.ARCHIVED)
        with pytest.raises(SessionArchivedError):
            await kit.begin("hello")
        with pytest.raises(SessionArchivedError):
            await kit.append("hello")
        await kit.change(status=SessionStatus.DELETED)
        with pytest.raises(SessionNotFoundError):
            await kit.begin("hello")
        with pytest.raises(SessionNotFoundError):
            await kit.append("hello")
        with pytest.raises(SessionNotFoundError):
            await kit.storage.append_messages("nobody", [said("hello")])
