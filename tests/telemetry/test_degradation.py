"""Telemetry that fails: never the caller's business, counted, logged once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.metrics import Histogram
from opentelemetry.sdk.trace import Span, SpanProcessor, TracerProvider

from langswarm_sessions_otel import Telemetry, TurnScope, force_flush

if TYPE_CHECKING:
    from tests.support.recorded import Recorded

WholeTurn = Callable[..., str | None]


class TelemetryBrokeError(Exception):
    """Raised inside the SDK."""


class _BrokenProcessor(SpanProcessor):
    def on_start(self, span: Span, parent_context: object = None) -> None:
        raise TelemetryBrokeError("canary")


def _broken(*_: object, **__: object) -> Any:
    raise TelemetryBrokeError("canary")


def _stages(recorded: Recorded) -> dict[object, object]:
    points = recorded.points("langswarm.telemetry.errors")
    return {(point.attributes or {}).get("stage"): getattr(point, "value", None) for point in points}


def test_a_broken_tracer_costs_only_the_spans(
    recorded: Recorded, whole_turn: WholeTurn, caplog: pytest.LogCaptureFixture
) -> None:
    broken = TracerProvider(shutdown_on_exit=False)
    broken.add_span_processor(_BrokenProcessor())
    telemetry = Telemetry(tracer_provider=broken, meter_provider=recorded.meter_provider)
    with caplog.at_level(logging.DEBUG, logger="langswarm_sessions.telemetry"):
        whole_turn(telemetry)
        whole_turn(telemetry)

    assert _stages(recorded) == {"start": 12}
    assert [point.count for point in recorded.points("langswarm.session.turn.duration")] == [2]  # type: ignore[union-attr]
    [record] = [record for record in caplog.records if record.name == "langswarm_sessions.telemetry"]
    assert record.levelno == logging.DEBUG
    assert "TelemetryBrokeError" in record.getMessage()
    assert "canary" not in caplog.text


@pytest.mark.parametrize("method", ["set_attributes", "add_link", "add_event", "set_status", "is_recording"])
def test_a_broken_span_still_ends(
    recorded: Recorded,
    telemetry: Telemetry,
    whole_turn: WholeTurn,
    start_turn: Callable[..., TurnScope],
    monkeypatch: pytest.MonkeyPatch,
    method: str,
) -> None:
    monkeypatch.setattr(Span, method, _broken)
    whole_turn(telemetry, previous="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    with pytest.raises(ValueError, match="the caller's"), start_turn(telemetry):
        raise ValueError("the caller's")

    assert len(recorded.spans) == 7
    assert sum(int(str(count)) for count in _stages(recorded).values()) > 0


def test_broken_metrics_cost_only_the_metrics(
    recorded: Recorded, whole_turn: WholeTurn, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind in Histogram.__subclasses__():
        monkeypatch.setattr(kind, "record", _broken)
    whole_turn(recorded.telemetry())

    assert len(recorded.spans) == 6
    assert (recorded.span("invoke_agent session").attributes or {})["gen_ai.usage.input_tokens"] == 12
    assert set(_stages(recorded)) == {"measure"}


def test_an_exception_of_the_block_goes_on_when_telemetry_fails_too(
    telemetry: Telemetry, start_turn: Callable[..., TurnScope], monkeypatch: pytest.MonkeyPatch
) -> None:
    for method in ("set_status", "set_attributes", "end"):
        monkeypatch.setattr(Span, method, _broken)
    raised = ValueError("the caller's")
    with pytest.raises(ValueError, match="the caller's") as caught, start_turn(telemetry):
        raise raised
    assert caught.value is raised


def test_wrong_values_are_no_failure_of_the_caller(
    recorded: Recorded, telemetry: Telemetry, start_turn: Callable[..., TurnScope]
) -> None:
    nonsense: Any = object()
    with start_turn(telemetry) as turn:
        turn.began(turn_index=1, previous=nonsense, mode="native")
        turn.finished(finish_reasons=nonsense)
        with turn.chat(provider="openai", model="gpt-5", stream=True) as chat:
            chat.finished(input_tokens=nonsense)

    assert len(recorded.spans) == 2
    assert set(_stages(recorded)) == {"began", "finished", "measure"}


def test_an_export_that_fails_is_logged_by_its_type_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Provider(TracerProvider):
        force_flush = _broken

    provider = Provider(shutdown_on_exit=False)
    monkeypatch.setattr("opentelemetry.trace.get_tracer_provider", lambda: provider)
    with caplog.at_level(logging.DEBUG, logger="langswarm_sessions.telemetry"):
        assert not force_flush()
        assert not force_flush()

    [record] = [record for record in caplog.records if record.name == "langswarm_sessions.telemetry"]
    assert record.levelno == logging.WARNING
    assert "TelemetryBrokeError" in record.getMessage()
    assert "canary" not in caplog.text
