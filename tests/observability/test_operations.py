"""A session's life on spans and metrics: done, for nothing, failed, cancelled; and the agent's name."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from opentelemetry.sdk.metrics.export import NumberDataPoint
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import StatusCode

from langswarm_sessions import Session, SessionManager, StorageError
from tests.support.recorded import Recorded

STEPS: dict[str, Callable[[Session], Awaitable[Any]]] = {
    "archive": lambda session: session.archive(),
    "restore": lambda session: session.restore(),
    "delete": lambda session: session.delete(),
    "clear": lambda session: session.clear_messages(),
}


def span_of(recorded: Recorded, step: str) -> ReadableSpan:
    return recorded.span(f"langswarm.session.{step}")


def transitions(recorded: Recorded, step: str) -> list[tuple[object, float]]:
    """Return the errors and counts of a step's metric."""
    points = [point for point in recorded.points("langswarm.session.transitions") if isinstance(point, NumberDataPoint)]
    of_step = [point for point in points if (point.attributes or {})["langswarm.session.transition"] == step]
    return [((point.attributes or {}).get("error.type"), point.value) for point in of_step]


async def new_session(manager: SessionManager, step: str) -> Session:
    session = await manager.create_session("user", "mock", "mock-model", session_config={"agent_name": "support"})
    if step == "restore":
        await session.archive()
    return session


@pytest.mark.parametrize("step", STEPS)
async def test_a_step_that_fails(
    manager: SessionManager, recorded: Recorded, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    session = await new_session(manager, step)

    async def fails(*_: object) -> None:
        raise StorageError("The disk is full.")

    monkeypatch.setattr(manager._services.storage, "change_session", fails)
    with pytest.raises(StorageError):
        await STEPS[step](session)
    span = span_of(recorded, step)
    assert span.status.status_code is StatusCode.ERROR
    assert str((span.attributes or {})["error.type"]).endswith("StorageError")
    assert [count for error, count in transitions(recorded, step) if str(error).endswith("StorageError")] == [1]


@pytest.mark.parametrize("step", STEPS)
async def test_a_step_that_is_cancelled(
    manager: SessionManager, recorded: Recorded, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    session = await new_session(manager, step)
    asked = asyncio.Event()

    async def never(*_: object) -> None:
        asked.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(manager._services.storage, "change_session", never)
    call = asyncio.ensure_future(STEPS[step](session))
    await asked.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert (span_of(recorded, step).attributes or {})["error.type"] == "cancelled"
    assert transitions(recorded, step) == [("cancelled", 1)]


async def test_a_step_for_nothing_is_no_transition(manager: SessionManager, recorded: Recorded) -> None:
    session = await new_session(manager, "archive")
    for _ in range(3):
        await session.archive()
    assert transitions(recorded, "archive") == [(None, 1)]
    assert len([span for span in recorded.spans if span.name == "langswarm.session.archive"]) == 3


async def test_the_agents_name_is_on_its_turns(manager: SessionManager, recorded: Recorded) -> None:
    session = await new_session(manager, "send")
    await session.send_message("hi")
    turn = recorded.span("invoke_agent support")
    assert (turn.attributes or {})["gen_ai.agent.name"] == "support"
