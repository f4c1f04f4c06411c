"""Switching telemetry off, and what it is when nobody listens."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from opentelemetry import context as context_api
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from langswarm_sessions_otel import Telemetry, TurnScope, semconv
from langswarm_sessions_otel.content.capture import ContentCapture, ContentSettings
from langswarm_sessions_otel.settings import TelemetrySettings, read_settings

if TYPE_CHECKING:
    from tests.support.recorded import Recorded
    from tests.telemetry.conftest import RunPython

WholeTurn = Callable[..., str | None]


@pytest.mark.parametrize("value", ["off", "OFF", "false", "0"])
def test_the_environment_switches_everything_off(
    recorded: Recorded, whole_turn: WholeTurn, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("LANGSWARM_SESSIONS_TELEMETRY", value)
    telemetry = recorded.telemetry()
    assert whole_turn(telemetry) is None
    telemetry.session_opened("native")
    assert not telemetry.enabled
    assert recorded.spans == ()
    assert recorded.all_points() == {}


def test_disabled_telemetry_keeps_the_callers_exceptions(recorded: Recorded, whole_turn: WholeTurn) -> None:
    telemetry = Telemetry(
        enabled=False, tracer_provider=recorded.tracer_provider, meter_provider=recorded.meter_provider
    )
    before = context_api.get_current()
    assert whole_turn(telemetry) is None
    with pytest.raises(ValueError, match="mine"), telemetry.lifecycle("create", session_id="s"):
        raise ValueError("mine")
    with pytest.raises(ValueError, match="mine"), telemetry.hook(name="A.b", point="b", session_id="s"):
        raise ValueError("mine")
    assert context_api.get_current() is before
    assert recorded.spans == ()


def test_without_a_provider_a_turn_is_one_shared_object(
    start_turn: Callable[..., TurnScope], run_python: RunPython
) -> None:
    printed = run_python("""
        from langswarm_sessions_otel import Telemetry
        from opentelemetry import context
        telemetry = Telemetry()
        arguments = dict(session_id="s", agent_name="a", operation="send", mode="native", provider="mock",
                         model="m", stream=False)
        before = context.get_current()
        with telemetry.turn(**arguments) as turn:
            assert context.get_current() is before
            assert turn.traceparent is None and not turn.captures_content
            with turn.chat(provider="mock", model="m", stream=False) as chat:
                chat.finished(input_tokens=1)
        print(telemetry.turn(**arguments) is turn)
    """)
    assert printed == "True\n"


def test_metrics_alone(recorded: Recorded, run_python: RunPython) -> None:
    printed = run_python("""
        from opentelemetry import metrics
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
        from langswarm_sessions_otel import Telemetry
        telemetry = Telemetry()
        reader = InMemoryMetricReader()
        metrics.set_meter_provider(MeterProvider([reader]))
        with telemetry.turn(session_id="s", agent_name="a", operation="send", mode="native", provider="mock",
                            model="m", stream=False) as turn:
            assert turn.traceparent is None
        [resource] = reader.get_metrics_data().resource_metrics
        print(sorted(metric.name for scope in resource.scope_metrics for metric in scope.metrics))
    """)
    assert printed == str([
        "gen_ai.invoke_agent.duration", "langswarm.session.turn.duration", "langswarm.session.turn.oldest_age"
    ]) + "\n"  # fmt: skip


def test_a_turn_that_is_not_sampled_is_measured_and_has_no_traceparent(
    recorded: Recorded, whole_turn: WholeTurn
) -> None:
    unsampled = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    telemetry = Telemetry(tracer_provider=unsampled, meter_provider=recorded.meter_provider)
    assert whole_turn(telemetry) is None
    assert len(recorded.points("langswarm.session.turn.duration")) == 1


def test_settings_read_from_variables() -> None:
    assert read_settings(environ={}) == TelemetrySettings()
    assert read_settings(
        environ={
            "LANGSWARM_SESSIONS_BAGGAGE": "on",
            "LANGSWARM_SESSIONS_LIFECYCLE_GROUPING": "Always",
            "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "SPAN_ONLY",
            "OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental",
        }
    ) == TelemetrySettings(
        content=ContentSettings(capture=ContentCapture.SPAN_ONLY),
        baggage=True,
        group_lifecycle=True,
        client_metrics=semconv.NEWEST,
    )
    assert not read_settings(enabled=False, environ={}).enabled
    assert not read_settings(environ={"LANGSWARM_SESSIONS_TELEMETRY": " Off "}).enabled
