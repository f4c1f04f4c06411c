"""`session.explain`: what a turn would send, without sending it."""

from __future__ import annotations

import pytest

from langswarm_sessions import InvalidInputError, Session, SessionManager, ToolCall, create_session_manager
from langswarm_sessions.strategies import Mode
from tests.session.kit import rows_of

CANARY = "the canary sings"


async def begun(manager: SessionManager, strategy: str, turns: int, **config: object) -> Session:
    session = await manager.create_session("user", "mock", "m", strategy=strategy, session_config=config)
    for number in range(turns):
        await session.send_message(f"question {number}")
    return session


async def test_a_first_turn(manager: SessionManager) -> None:
    plan = await (await begun(manager, "hybrid", 0)).explain(CANARY)
    assert (plan.mode, plan.native_id, plan.cursor, plan.stored, plan.dropped) == (Mode.NATIVE, None, None, 0, 0)
    assert [(message.role, message.is_new, message.parts) for message in plan.messages] == [("user", True, ("text",))]
    assert plan.tokens == plan.messages[0].tokens > 0


async def test_a_native_turn_sends_the_delta(manager: SessionManager) -> None:
    session = await begun(manager, "native", 3)
    plan = await session.explain(CANARY)
    assert (plan.mode, plan.native_id, plan.cursor) == (Mode.NATIVE, session.provider_session_id, 6)
    assert len(plan.messages) == 1
    assert (plan.stored, plan.cached_tokens) == (6, 0)
    assert "continuing" in str(plan)


async def test_a_client_turn_sends_the_window_and_says_what_a_cache_can_hold(manager: SessionManager) -> None:
    session = await begun(manager, "client", 3)
    plan = await session.explain(CANARY)
    assert (plan.mode, plan.native_id) == (Mode.CLIENT, None)
    assert [message.is_new for message in plan.messages] == [False] * 6 + [True]
    assert plan.cached_tokens == sum(message.tokens for message in plan.messages[:5])
    await session.send_message(CANARY)
    [*_, last] = session.provider_session.requests
    assert [message.role for message in last.messages] == [message.role for message in plan.messages]


async def test_what_does_not_fit_is_dropped_and_spoils_the_cache(manager: SessionManager) -> None:
    plan = await (await begun(manager, "client", 3, max_messages=4)).explain(CANARY)
    assert (len(plan.messages), plan.stored, plan.cached_tokens) == (3, 6, 0)


async def test_a_call_without_a_result_is_shown_as_repaired(manager: SessionManager) -> None:
    session = await manager.create_session("user", "mock", "m", strategy="client")
    session.provider_session.set_responses([[ToolCall(id="c", name="clock")]])
    await session.send_message("time?")
    plan = await session.explain("never mind")
    assert [(message.role, message.is_repaired) for message in plan.messages] == [
        ("user", False),
        ("assistant", False),
        ("tool", True),
        ("user", False),
    ]
    assert "repaired" in str(plan)


async def test_nothing_is_sent_or_stored_or_shown(manager: SessionManager) -> None:
    session = await begun(manager, "client", 1)
    before = (await rows_of(manager, "SELECT * FROM messages"), len(session.provider_session.requests))
    plan = await session.explain(CANARY)
    assert (await rows_of(manager, "SELECT * FROM messages"), len(session.provider_session.requests)) == before
    assert CANARY not in str(plan) + repr(plan)
    with pytest.raises(InvalidInputError, match="content"):
        await session.explain("")


def test_it_has_a_blocking_twin() -> None:
    with create_session_manager(storage="memory", blocking=True) as manager:
        session = manager.create_session("user", "mock", "m")
        assert session.explain("hi").messages[0].is_new
