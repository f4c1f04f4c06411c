"""A turn that went well is gone at once: nothing of it is left to the garbage collector, whose runs hold up others."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

from langswarm_sessions import MockProviderSession, Session, SessionManager, ToolCall
from langswarm_sessions_otel import Telemetry

OURS = ("langswarm_sessions", "opentelemetry")


def recorded() -> Telemetry:
    tracing = TracerProvider()
    tracing.add_span_processor(SpanProcessor())
    return Telemetry(tracer_provider=tracing, meter_provider=MeterProvider([InMemoryMetricReader()]))


async def sends(session: Session) -> None:
    await session.send_message("hello")


async def reads_a_stream(session: Session) -> None:
    async for _ in session.send_message_stream("hello"):
        pass


async def clock(zone: str) -> str:
    """Tell the time."""
    return f"noon in {zone}"


async def has_tools_run(session: Session) -> None:
    assert isinstance(session.provider_session, MockProviderSession)
    session.provider_session.set_responses([[ToolCall(id="c1", name="clock", arguments={"zone": "UTC"})], "noon"])
    await session.send_message("what time?", tools=[clock])


@contextmanager
def nothing_left() -> Generator[None]:
    """Fail if what is done meanwhile leaves objects behind that only the garbage collector can free."""
    gc.collect()
    gc.disable()
    there_before = {id(one) for one in gc.get_objects()}  # what earlier tests left may be let go of just now
    try:
        yield
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
    finally:
        gc.set_debug(0)
        left = [one for one in gc.garbage if id(one) not in there_before]
        found = Counter(type(one).__qualname__ for one in left if type(one).__module__.startswith(OURS))
        del left
        gc.garbage.clear()
        gc.enable()
    assert found == {}


@pytest.mark.parametrize("telemetry", [False, True], ids=["silent", "recorded"])
@pytest.mark.parametrize("strategy", ["native", "client"])
@pytest.mark.parametrize("turn", [sends, reads_a_stream, has_tools_run])
async def test_a_turn_leaves_no_garbage(
    turn: Callable[[Session], Awaitable[None]], strategy: str, telemetry: bool
) -> None:
    told: Any = recorded() if telemetry else False
    async with SessionManager("memory", telemetry=told) as manager:
        session = await manager.create_session("user", "mock", "m", strategy=strategy)
        await turn(session)
        with nothing_left():
            await turn(session)
