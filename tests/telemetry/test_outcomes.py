"""Every scope, however it ends: one ended span, its status, its metric, and the exception untouched."""

from __future__ import annotations

import asyncio
import concurrent.futures
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from opentelemetry.trace import StatusCode

from langswarm_sessions_otel import Telemetry, TurnScope, error_type_of
from langswarm_sessions_otel.scopes.scope import SpanScope

if TYPE_CHECKING:
    from tests.support.recorded import Recorded

StartTurn = Callable[..., TurnScope]


class ProviderDownError(Exception):
    """An error of a package."""


ProviderDownError.__module__ = "some_sdk._errors"


@dataclass(frozen=True)
class Case:
    name: str
    span: str
    metric: str


CASES = [
    Case("turn", "invoke_agent session", "langswarm.session.turn.duration"),
    Case("storage", "langswarm.storage.load", "langswarm.storage.operation.duration"),
    Case("chat", "chat gpt-5", "gen_ai.client.operation.duration"),
    Case("rebuild", "langswarm.session.rebuild", "langswarm.session.rebuilds"),
    Case("lifecycle", "langswarm.session.create", "langswarm.session.transitions"),
    Case("hook", "langswarm.hook Audit.on_message_sent", "langswarm.hook.duration"),
    Case("job", "langswarm.session.cleanup", "langswarm.job.duration"),
    Case("tool", "execute_tool clock", "gen_ai.execute_tool.duration"),
    Case("summary", "langswarm.session.summarize", "langswarm.session.summaries"),
    Case("write", "langswarm.storage.replace", "langswarm.storage.operation.duration"),
]
OUTCOMES: list[tuple[type[BaseException], str]] = [
    (ValueError, "ValueError"),
    (ProviderDownError, "some_sdk.ProviderDownError"),
    (asyncio.CancelledError, "cancelled"),
    (GeneratorExit, "abandoned"),
    (KeyboardInterrupt, "KeyboardInterrupt"),
]


@contextmanager
def _scope(case: Case, telemetry: Telemetry, start_turn: StartTurn) -> Generator[SpanScope]:
    if case.name == "turn":
        with start_turn(telemetry) as turn:
            yield turn
    elif case.name == "lifecycle":
        with telemetry.lifecycle("create", session_id="session-1", mode="native") as lifecycle:
            yield lifecycle
    elif case.name == "hook":
        with telemetry.hook(name="Audit.on_message_sent", point="on_message_sent", session_id="session-1") as hook:
            yield hook
    elif case.name == "job":
        with telemetry.job("cleanup") as job:
            yield job
    else:
        with start_turn(telemetry) as turn:
            scopes: dict[str, Callable[[], SpanScope]] = {
                "storage": lambda: turn.storage("load", backend="memory"),
                "chat": lambda: turn.chat(provider="openai", model="gpt-5", stream=False),
                "rebuild": lambda: turn.rebuild(reason="expired", provider="openai"),
                "tool": lambda: turn.tool(name="clock", call_id="call_1"),
                "summary": turn.summary,
                "write": lambda: telemetry.storage("replace", backend="memory", session_id="session-1"),
            }
            with scopes[case.name]() as scope:
                yield scope


def _error_types(recorded: Recorded, metric: str) -> list[object]:
    return [(point.attributes or {}).get("error.type") for point in recorded.points(metric)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_ok(recorded: Recorded, telemetry: Telemetry, start_turn: StartTurn, case: Case) -> None:
    with _scope(case, telemetry, start_turn):
        pass

    span = recorded.span(case.span)
    assert span.status.status_code is StatusCode.UNSET
    assert "error.type" not in (span.attributes or {})
    assert span.end_time is not None
    assert _error_types(recorded, case.metric) == [None]


@pytest.mark.parametrize(("kind", "error_type"), OUTCOMES, ids=lambda value: value if isinstance(value, str) else "")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_exception_marks_span_and_metric_alike_and_goes_on(
    recorded: Recorded,
    telemetry: Telemetry,
    start_turn: StartTurn,
    case: Case,
    kind: type[BaseException],
    error_type: str,
) -> None:
    raised = kind("canary")
    with pytest.raises(kind) as caught, _scope(case, telemetry, start_turn):
        raise raised

    assert caught.value is raised
    span = recorded.span(case.span)
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == error_type.rpartition(".")[2]
    assert (span.attributes or {})["error.type"] == error_type
    assert span.events == ()
    assert _error_types(recorded, case.metric) == [error_type]


@pytest.mark.parametrize("reason", ["cancelled", "abandoned", "idle"])
def test_an_interrupted_turn_keeps_its_reason_when_the_task_is_cancelled_next(
    recorded: Recorded, telemetry: Telemetry, start_turn: StartTurn, reason: str
) -> None:
    def run() -> None:
        with start_turn(telemetry) as turn:
            turn.interrupted(reason)
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        run()

    span = recorded.span("invoke_agent session")
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, reason)
    assert _error_types(recorded, "langswarm.session.turn.duration") == [reason]


class TrioCancelled(BaseException):
    """What trio cancels with, and anyio where trio runs."""


class OwnCancelled(asyncio.CancelledError):
    """An application's own kind of cancellation."""


CancelledError = type("CancelledError", (Exception,), {"__module__": "celery.exceptions"})
Cancelled = type("Cancelled", (Exception,), {"__module__": "orders.states"})


@pytest.mark.parametrize(
    ("error", "error_type"),
    [
        (asyncio.CancelledError(), "cancelled"),
        (OwnCancelled(), "cancelled"),
        (concurrent.futures.CancelledError(), "cancelled"),
        (TrioCancelled(), "cancelled"),
        (CancelledError(), "celery.CancelledError"),
        (Cancelled(), "orders.Cancelled"),
        (GeneratorExit(), "abandoned"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_cancellation_is_told_by_its_type_not_by_its_name(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, error_type: str
) -> None:
    monkeypatch.setitem(sys.modules, "trio", SimpleNamespace(Cancelled=TrioCancelled))
    assert error_type_of(error) == error_type


def test_a_failure_that_was_told_but_not_raised(
    recorded: Recorded, telemetry: Telemetry, start_turn: StartTurn
) -> None:
    with start_turn(telemetry) as turn:
        turn.failed(ProviderDownError("canary"))
        turn.failed(ValueError("a later one"))

    assert (recorded.span("invoke_agent session").attributes or {})["error.type"] == "some_sdk.ProviderDownError"


def test_a_call_that_failed_and_was_repeated_leaves_the_turn_well(
    recorded: Recorded, telemetry: Telemetry, start_turn: StartTurn
) -> None:
    with start_turn(telemetry) as turn:
        with pytest.raises(ProviderDownError), turn.chat(provider="openai", model="gpt-5", stream=False):
            raise ProviderDownError
        with turn.chat(provider="openai", model="gpt-5", stream=False) as chat:
            chat.finished(input_tokens=1, output_tokens=1)

    chats = [span.status.status_code for span in recorded.spans if span.name == "chat gpt-5"]
    assert chats == [StatusCode.ERROR, StatusCode.UNSET]
    assert recorded.span("invoke_agent session").status.status_code is StatusCode.UNSET


def test_leaving_twice_ends_once(
    recorded: Recorded, telemetry: Telemetry, start_turn: StartTurn, caplog: pytest.LogCaptureFixture
) -> None:
    turn = start_turn(telemetry)
    turn.__enter__()
    turn.__exit__(None, None, None)
    turn.__exit__(None, None, None)
    turn.failed(ValueError("too late"))

    assert len(recorded.spans) == 1
    [point] = recorded.points("langswarm.session.turn.duration")
    assert getattr(point, "count", None) == 1
    assert caplog.records == []
