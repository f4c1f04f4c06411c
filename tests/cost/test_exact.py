"""Sums of money are exact, whatever decimals the program around works with."""

from __future__ import annotations

import decimal
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from decimal import Context, Decimal, Inexact, Rounded, localcontext
from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableConfig, RunnableLambda

from langswarm_sessions import ModelPrice, SessionManager
from langswarm_sessions_langchain import SessionRunnable
from tests.session.kit import AT_ONCE, OpenManager

PRICES = {
    "mock/m": ModelPrice(input="1.234567", output="2.345678", cached_input="0.123456"),
    "mock/dear": ModelPrice(input="1001.234567", output="2002.345678", cached_input="500.123456"),
    "in-house/house": ModelPrice(input="1.234567", output="1001.234567"),
}


@contextmanager
def _program_wide() -> Generator[None]:
    """Let threads begin with a context that refuses to round, as programs arrange it before they start any."""
    default = decimal.DefaultContext
    before = default.prec, default.traps[Inexact]
    default.prec, default.traps[Inexact] = 3, True
    try:
        yield
    finally:
        default.prec, default.traps[Inexact] = before


Odd = Callable[[], AbstractContextManager[Any]]
ODD: dict[str, Odd] = {
    "precision": lambda: localcontext(Context(prec=3)),
    "traps": lambda: localcontext(Context(prec=3, traps=[Inexact, Rounded])),
    "threads": _program_wide,
}
odd_decimals = pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())


async def _talk(manager: SessionManager) -> tuple[Decimal | None, Decimal | None, int]:
    """Talk until a window is summarised; return what that cost by the session, in the analytics, and its gaps."""
    settings = {"max_tokens_window": 200}
    session = await manager.create_session("u", "mock", "m", strategy="client", session_config=settings)
    for number in range(4):
        await session.send_message(f"{number} " + "word " * 60)
    assert await session.get_summary() is not None
    metrics = await session.get_metrics()
    return metrics.total_cost, (await manager.get_analytics()).total_cost, metrics.unpriced_turns


@odd_decimals
async def test_what_a_turn_and_a_session_cost(open_manager: OpenManager, odd: Odd) -> None:
    def opened() -> SessionManager:
        return open_manager("memory", prices=PRICES, summarizer="mock/dear", retry=AT_ONCE)

    expected, _, _ = await _talk(opened())
    assert expected is not None
    assert len(expected.as_tuple().digits) > 9
    with odd():
        assert await _talk(opened()) == (expected, expected, 0)


@odd_decimals
async def test_an_answer_of_several_calls(open_manager: OpenManager, odd: Odd) -> None:
    def answer(_: object) -> list[AIMessage]:
        about = {"model_name": "house", "model_provider": "in-house"}
        spent = [(111_111, 1), (7, 33_333)]
        return [
            AIMessage(
                "x",
                usage_metadata={"input_tokens": sent, "output_tokens": made, "total_tokens": sent + made},
                response_metadata=about,
            )
            for sent, made in spent
        ]

    manager = open_manager("memory", prices=PRICES)
    ours: RunnableConfig = {"configurable": {"session_id": "s"}}
    with odd():
        await SessionRunnable(bound=RunnableLambda(answer), manager=manager).ainvoke("hi", ours)
        metrics = await (await manager.get_session("s")).get_metrics()
    assert (metrics.total_cost, metrics.unpriced_turns) == (Decimal("33.512335672284"), 0)


@odd_decimals
async def test_a_conversation_that_is_imported(open_manager: OpenManager, odd: Odd) -> None:
    """Its figures, or else what its answers tell."""
    manager = open_manager("memory", prices=PRICES)
    session = await manager.create_session("u", "mock", "m")
    for number in range(3):
        await session.send_message(f"{number} " + "word " * 60 * number)
    expected = (await session.get_metrics()).total_cost
    data = await session.export_conversation()
    bare = {name: value for name, value in data.items() if name != "figures"}
    with odd():
        for at, given in enumerate((data, bare)):
            other = open_manager("memory")
            imported = await other.import_conversation(given, session_id=f"i{at}")
            assert (await imported.get_metrics()).total_cost == expected
            assert (await other.get_analytics()).total_cost == expected
