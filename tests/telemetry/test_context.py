"""The current context: the caller never sees a turn, and leaving it elsewhere is silent."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from opentelemetry import baggage, trace
from opentelemetry import context as context_api

from langswarm_sessions_otel import Telemetry, TurnScope

if TYPE_CHECKING:
    from tests.support.recorded import Recorded

StartTurn = Callable[..., TurnScope]


@pytest.fixture(autouse=True)
def _nothing_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    assert [record.getMessage() for record in caplog.get_records("call")] == []


async def test_a_turn_in_a_task_of_its_own_leaves_the_callers_context_alone(
    recorded: Recorded, telemetry: Telemetry, start_turn: StartTurn
) -> None:
    before = context_api.get_current()

    async def turn() -> None:
        with start_turn(telemetry) as scope:
            await asyncio.sleep(0)
            assert trace.get_current_span().get_span_context().is_valid
            assert scope.traceparent is not None

    task = asyncio.create_task(turn())
    await asyncio.sleep(0)
    tracer = recorded.tracer_provider.get_tracer("consumer")
    with tracer.start_as_current_span("consumer"):
        await task

    assert context_api.get_current() is before
    assert recorded.span("consumer").parent is None


async def test_a_generator_closed_in_another_task(
    recorded: Recorded, telemetry: Telemetry, start_turn: StartTurn
) -> None:
    async def stream() -> AsyncIterator[str]:
        with start_turn(telemetry) as turn, turn.chat(provider="openai", model="gpt-5", stream=True) as chat:
            chat.chunk()
            yield "a"
            yield "b"

    chunks = stream()
    assert await anext(chunks) == "a"
    await asyncio.create_task(chunks.aclose())  # type: ignore[attr-defined]

    assert [(span.name, (span.attributes or {})["error.type"]) for span in recorded.spans] == [
        ("chat gpt-5", "abandoned"),
        ("invoke_agent session", "abandoned"),
    ]
    assert recorded.points("langswarm.telemetry.errors") == []


def test_leaving_in_another_context(recorded: Recorded, telemetry: Telemetry, start_turn: StartTurn) -> None:
    turn = start_turn(telemetry)
    entered = contextvars.copy_context()
    entered.run(turn.__enter__)
    turn.__exit__(None, None, None)
    also = start_turn(telemetry)
    entered.run(also.__enter__)
    entered.copy().run(also.__exit__, None, None, None)

    assert len(recorded.spans) == 2
    assert not trace.get_current_span().get_span_context().is_valid


def test_steps_started_in_a_bare_thread_still_belong_to_the_turn(
    recorded: Recorded, telemetry: Telemetry, start_turn: StartTurn
) -> None:
    with start_turn(telemetry) as turn:

        def work() -> None:
            with turn.storage("load", backend="sqlite"):
                pass

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

    root = recorded.span("invoke_agent session").context
    parent = recorded.span("langswarm.storage.load").parent
    assert root is not None
    assert parent is not None
    assert parent.span_id == root.span_id


def test_spans_of_others_nest_where_they_happen(
    recorded: Recorded, telemetry: Telemetry, start_turn: StartTurn
) -> None:
    tracer = recorded.tracer_provider.get_tracer("other")
    with tracer.start_as_current_span("chain"), start_turn(telemetry) as turn:
        with (
            tracer.start_as_current_span("middleware"),
            turn.storage("load", backend="sqlite"),
            tracer.start_as_current_span("SELECT"),
        ):
            pass
        with (
            turn.rebuild(reason="expired", provider="openai"),
            turn.chat(provider="openai", model="gpt-5", stream=False),
            tracer.start_as_current_span("POST"),
        ):
            pass

    names = {span.context.span_id: span.name for span in recorded.spans if span.context is not None}
    parents = {span.name: names[span.parent.span_id] for span in recorded.spans if span.parent is not None}
    assert parents == {
        "invoke_agent session": "chain",
        "middleware": "invoke_agent session",
        "langswarm.storage.load": "middleware",
        "SELECT": "langswarm.storage.load",
        "langswarm.session.rebuild": "invoke_agent session",
        "chat gpt-5": "langswarm.session.rebuild",
        "POST": "chat gpt-5",
    }


def test_a_turn_inside_a_turn_of_another_session(
    recorded: Recorded, telemetry: Telemetry, start_turn: StartTurn
) -> None:
    with (
        start_turn(telemetry, session_id="outer") as outer,
        start_turn(telemetry, session_id="inner"),
        outer.storage("load", backend="sqlite"),
    ):
        pass

    inner, root = [span for span in recorded.spans if span.name == "invoke_agent session"]
    load = recorded.span("langswarm.storage.load")
    assert (load.attributes or {})["session.id"] == "outer"
    assert load.parent is not None
    assert root.context is not None
    assert inner.parent is not None
    assert load.parent.span_id == inner.parent.span_id == root.context.span_id


@pytest.mark.parametrize(("switch", "found"), [("", None), ("off", None), ("on", "session-1")])
def test_baggage_only_when_asked_for(
    recorded: Recorded, start_turn: StartTurn, monkeypatch: pytest.MonkeyPatch, switch: str, found: str | None
) -> None:
    monkeypatch.setenv("LANGSWARM_SESSIONS_BAGGAGE", switch)
    with start_turn(recorded.telemetry()):
        assert baggage.get_baggage("gen_ai.conversation.id") == found
    assert baggage.get_all() == {}
