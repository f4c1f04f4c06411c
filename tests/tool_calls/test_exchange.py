"""What lies between an answer that calls tools and the next one, as data."""

from __future__ import annotations

from langswarm_sessions import InMemorySessionStorage
from langswarm_sessions.messages import Role, SessionMessage, ToolResult, TurnState
from langswarm_sessions.records import HistoryQuery
from langswarm_sessions.testing.storage_kit import StorageKit, everything, texts
from langswarm_sessions.turns.history import following, history_of
from langswarm_sessions.turns.send.exchange import asked_at, exchange_after, round_key

RESULT = SessionMessage(role=Role.TOOL, parts=[ToolResult(tool_call_id="c1", content="noon")])


def test_the_keys_of_later_turns_are_nobodys() -> None:
    assert round_key("key", 1) == "key"
    later = {round_key("key", number) for number in range(2, 5)} | {round_key("k" * 255, 2)}
    assert len(later) == 4
    assert all(key is not None and len(key) == 64 for key in later)
    assert round_key("key", 2) == round_key("key", 2)
    assert round_key(None, 3) is None


def test_what_ends_an_exchange() -> None:
    asked = SessionMessage(role=Role.ASSISTANT, content="let me see", seq=5)
    partial = SessionMessage(role=Role.ASSISTANT, content="half", status=TurnState.INTERRUPTED)
    open_still = exchange_after(asked, [RESULT, partial], cleared_seq=4)
    assert not open_still.is_over
    assert open_still.results == {"c1": RESULT}
    for later in (SessionMessage(role=Role.USER, content="?"), SessionMessage(role=Role.ASSISTANT, content="!")):
        assert exchange_after(asked, [RESULT, later], cleared_seq=4).is_over
    assert exchange_after(asked, [], cleared_seq=5).is_over


async def test_results_are_inputs_and_no_history() -> None:
    storage = InMemorySessionStorage()
    kit = await StorageKit.of_new_session(storage)
    await kit.turn("before", "said before")
    turn = await kit.begin("question")
    answered = await kit.finish(turn, "let me see", keep_lease=True)
    assert await asked_at(storage, answered.answers[0]) == 3
    stored = (await storage.append_messages(kit.session_id, [RESULT], held=turn.lease)).answers
    begun = following(await kit.begin(held=turn.lease, needs=everything, input_digest=""), stored, down_to=3)
    assert begun.inputs == stored
    assert texts(begun.history) == ["before", "said before", "question", "let me see"]
    again = await history_of(storage, begun, HistoryQuery(max_messages=1))
    assert texts(again) == ["question", "let me see"], "what is being answered is never left out"
    await kit.finish(begun, "half", state=TurnState.INTERRUPTED)
    resumed = await kit.begin(resumes=turn.turn.turn_id, input_digest="")
    once_more = await kit.begin(held=resumed.lease, needs=everything, input_digest="")
    assert texts(once_more.history)[-1] == "half"
    assert texts(following(once_more, stored, down_to=3).history)[-1] == "let me see", "half an answer is none"
    await storage.close()
