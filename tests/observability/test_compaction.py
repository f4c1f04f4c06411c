"""`gen_ai.conversation.compacted`: where the model saw less than was said, and nowhere else."""

from __future__ import annotations

from langswarm_sessions import SessionManager, SessionMessage
from langswarm_sessions.interfaces.provider import Completed
from langswarm_sessions.messages import OtherPart, Role, TextPart
from langswarm_sessions.records import Usage
from langswarm_sessions.strategies import Mode, TurnPlan
from langswarm_sessions.turns.told import note_answer, note_compaction
from tests.support.recorded import Recorded

COMPACTED = "gen_ai.conversation.compacted"


def told(recorded: Recorded) -> list[object]:
    return [(span.attributes or {}).get(COMPACTED) for span in recorded.spans if span.name.startswith("chat ")]


async def test_a_window_that_leaves_something_out(recorded: Recorded) -> None:
    async with SessionManager("memory", telemetry=recorded.telemetry(), strategy="client") as manager:
        session = await manager.create_session("user", "mock", "mock-model", session_config={"max_messages": 2})
        for number in range(3):
            await session.send_message(f"question {number}")
    assert told(recorded) == [None, True, True]


async def test_a_summary(recorded: Recorded) -> None:
    async def summarise(messages: object) -> str:
        return "what was said"

    async with SessionManager(
        "memory", telemetry=recorded.telemetry(), strategy="client", summarizer=summarise
    ) as manager:
        session = await manager.create_session("user", "mock", "mock-model", session_config={"max_messages": 2})
        for number in range(4):
            await session.send_message(f"question {number}")
    assert told(recorded)[-1] is True
    assert told(recorded)[0] is None


def test_a_provider_that_sums_up_before_it_answers(recorded: Recorded) -> None:
    compaction = OtherPart(data={"type": "compaction", "encrypted_content": "x"})
    answer, summed_up = TextPart(text="an answer"), SessionMessage(role=Role.ASSISTANT, parts=[compaction])
    turn = recorded.telemetry().turn(
        session_id="s", agent_name="a", operation="send", mode="client", provider="openai", model="m", stream=False
    )
    with turn:
        for parts in ((compaction, answer), (answer,)):
            with turn.chat(provider="openai", model="m", stream=False) as chat:
                note_answer(chat, Completed(parts=parts, model="m", usage=Usage()))
        for config in ({"compact_threshold": 1_000}, {}):
            plan = TurnPlan(mode=Mode.CLIENT, messages=(summed_up,))
            with turn.chat(provider="openai", model="m", stream=False) as chat:
                note_compaction(chat, plan, config)
    assert told(recorded) == [True, None, True, None]
