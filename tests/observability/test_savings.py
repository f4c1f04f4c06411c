"""What a native turn did not have to send, as its span and metrics tell it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from opentelemetry.sdk.metrics.export import NumberDataPoint

from langswarm_sessions import SessionManager, create_session_manager
from tests.support.recorded import Recorded

QUESTION, ANSWER = "häufig", "Mock response to: häufig"
TURN_BYTES = len((QUESTION + ANSWER).encode())


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


@pytest.fixture
async def manager(recorded: Recorded) -> AsyncIterator[SessionManager]:
    async with create_session_manager(storage="memory", telemetry=recorded.telemetry()) as made:
        yield made


def total(recorded: Recorded, metric: str) -> float:
    return sum(point.value for point in recorded.points(metric) if isinstance(point, NumberDataPoint))


@pytest.mark.parametrize(("strategy", "messages"), [("native", 2 + 4), ("client", 0)])
async def test_what_the_provider_holds_is_counted_as_avoided(
    manager: SessionManager, recorded: Recorded, strategy: str, messages: int
) -> None:
    session = await manager.create_session("user", "mock", "m", strategy=strategy)
    for _ in range(3):
        await session.send_message(QUESTION)
    assert total(recorded, "langswarm.session.history.messages_avoided") == messages
    assert total(recorded, "langswarm.session.history.bytes_avoided") == messages / 2 * TURN_BYTES
    last = recorded.spans[-1].attributes or {}
    assert last["langswarm.history.messages_total"] == 5
    assert last["langswarm.history.messages_sent"] == (1 if strategy == "native" else 5)


async def test_what_was_cleared_is_neither_held_nor_avoided(manager: SessionManager, recorded: Recorded) -> None:
    session = await manager.create_session("user", "mock", "m")
    await session.send_message(QUESTION)
    await session.clear_messages()
    for _ in range(2):
        await session.send_message(QUESTION)
    assert total(recorded, "langswarm.session.history.bytes_avoided") == TURN_BYTES


async def test_storage_spans_say_how_much_they_moved(manager: SessionManager, recorded: Recorded) -> None:
    session = await manager.create_session("user", "mock", "m", strategy="client")
    for _ in range(2):
        await session.send_message(QUESTION)
    moved = [
        (span.name.removeprefix("langswarm.storage."), (span.attributes or {})["langswarm.storage.bytes"])
        for span in recorded.spans
        if span.name in ("langswarm.storage.load", "langswarm.storage.append")
    ]
    assert moved == [
        ("load", 0),
        ("append", len(ANSWER.encode())),
        ("load", TURN_BYTES),
        ("append", len(ANSWER.encode())),
    ]
