"""What is recorded after the set-up: sampled traces, histograms with the right buckets, in which resource."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased

from langswarm_sessions_otel import semconv
from tests.support.recorded import Recorded

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

    from langswarm_sessions_otel import TurnScope
    from tests.support.otlp import Receiver
    from tests.telemetry.conftest import RunPython

TURNS = """
from langswarm_sessions_otel import Telemetry, configure_telemetry
def turns(count):
    for _ in range(count):
        with Telemetry().turn(session_id="s-1", agent_name="session", operation="send", mode="native", provider="mock",
                              model="m", stream=True) as turn:
            turn.began(turn_index=1, previous="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", mode="native")
            with turn.rebuild(reason="not_found", provider="mock", attempt=1) as rebuild:
                rebuild.replayed(messages=3, tokens=40)
            turn.rate_limited(provider="mock", wait_seconds=1.5)
            with turn.storage("load", backend="memory") as load:
                load.done(count=1)
            with turn.chat(provider="mock", model="m", stream=True) as chat:
                chat.chunk()
                chat.finished(input_tokens=3, output_tokens=4)
"""


def _metrics(receiver: Receiver) -> dict[str, Metric]:
    return {
        metric.name: metric
        for resource in receiver.metrics().resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


def _turn_count(receiver: Receiver) -> int:
    metric = _metrics(receiver)[semconv.TURN_DURATION]
    return sum(point.count for point in metric.histogram.data_points)


@pytest.mark.parametrize("variables", [{}, {"OTEL_TRACES_SAMPLER": "always_off"}])
def test_sampled_traces_are_whole_and_metrics_tell_of_all(
    run_sdk: RunPython, receiver: Receiver, variables: dict[str, str]
) -> None:
    run_sdk(
        f"{TURNS}\nconfigure_telemetry(endpoint='{receiver.url}', sampling_ratio=0.5)\nturns(60)",
        **variables,
    )
    spans = [
        span for resource in receiver.traces().resource_spans for scope in resource.scope_spans for span in scope.spans
    ]
    roots = [span for span in spans if span.name == "invoke_agent session"]
    assert 5 < len(roots) < 55
    assert len(spans) == 4 * len(roots)
    assert _turn_count(receiver) == 60


def test_the_standard_sampler_holds_when_no_ratio_is_given(run_sdk: RunPython, receiver: Receiver) -> None:
    run_sdk(
        f"{TURNS}\nconfigure_telemetry(endpoint='{receiver.url}')\nturns(2)",
        OTEL_TRACES_SAMPLER="parentbased_always_off",
    )
    assert not receiver.traces().resource_spans
    assert _turn_count(receiver) == 2


def test_who_begins_the_trace_decides_whether_it_is_recorded(run_sdk: RunPython, receiver: Receiver) -> None:
    run_sdk(f"""{TURNS}
configure_telemetry(endpoint="{receiver.url}", sampling_ratio=0)
from opentelemetry import context, trace
decided = trace.SpanContext(1, 2, is_remote=True, trace_flags=trace.TraceFlags(1))
turns(1)
context.attach(trace.set_span_in_context(trace.NonRecordingSpan(decided)))
turns(1)
""")
    [spans] = receiver.traces().resource_spans
    assert {span.trace_id for span in spans.scope_spans[0].spans} == {(1).to_bytes(16, "big")}


def test_a_turn_that_is_not_sampled_is_measured_and_leaves_nothing_to_link_to(
    recorded: Recorded, start_turn: Callable[..., TurnScope]
) -> None:
    recorded.tracer_provider = TracerProvider(sampler=ParentBased(ALWAYS_OFF), shutdown_on_exit=False)
    recorded.tracer_provider.add_span_processor(SimpleSpanProcessor(recorded.exporter))
    with start_turn(recorded.telemetry()) as first:
        first.began(turn_index=1, previous=None, mode="native")
        first.finished(input_tokens=1, output_tokens=1)
    with start_turn(recorded.telemetry()) as second:
        second.began(turn_index=2, previous=first.traceparent, mode="native")

    assert first.traceparent is None
    assert recorded.spans == ()
    assert sum(getattr(point, "count", 0) for point in recorded.points(semconv.TURN_DURATION)) == 2


@pytest.mark.parametrize("newest", [False, True])
def test_every_histogram_has_its_buckets_in_whoevers_provider(
    run_sdk: RunPython, recorded: Recorded, receiver: Receiver, newest: bool
) -> None:
    """A provider without views takes the boundaries that the instruments advise; ours has views of the same."""
    names = "{'langswarm.', 'gen_ai.'}"
    printed = run_sdk(
        f"""{TURNS}
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
reader = InMemoryMetricReader()
metrics.set_meter_provider(MeterProvider([reader]))
turns(1)
[resource] = reader.get_metrics_data().resource_metrics
print({{metric.name: metric.data.data_points[0].explicit_bounds for scope in resource.scope_metrics
       for metric in scope.metrics if hasattr(metric.data.data_points[0], "explicit_bounds")}})
""",
        OTEL_SEMCONV_STABILITY_OPT_IN=semconv.OPT_IN_NEWEST_GENAI if newest else "",
    )
    run_sdk(
        f"{TURNS}\nconfigure_telemetry(endpoint='{receiver.url}')\nturns(1)",
        OTEL_SEMCONV_STABILITY_OPT_IN=semconv.OPT_IN_NEWEST_GENAI if newest else "",
    )
    theirs = ast.literal_eval(printed)
    ours = {
        name: tuple(metric.histogram.data_points[0].explicit_bounds)
        for name, metric in _metrics(receiver).items()
        if metric.HasField("histogram")
    }
    assert theirs == ours == {name: semconv.BUCKETS[name] for name in theirs}, names
    assert {semconv.TURN_DURATION, semconv.TURN_TIME_TO_FIRST_CHUNK, semconv.STORAGE_DURATION} <= set(theirs)
    assert {semconv.REBUILD_TOKEN_COST, semconv.RATE_LIMIT_WAITS} <= set(theirs)
    generation = semconv.NEWEST if newest else semconv.RELEASED
    assert {generation.duration, generation.time_to_first_chunk} <= set(theirs)


def test_histograms_of_others_with_the_same_names_get_the_buckets_too(run_sdk: RunPython, receiver: Receiver) -> None:
    run_sdk(f"""
from langswarm_sessions_otel import configure_telemetry
configure_telemetry(endpoint="{receiver.url}")
from opentelemetry import metrics
metrics.get_meter("somebody else").create_histogram("gen_ai.client.operation.duration").record(1.0)
""")
    [metric] = _metrics(receiver).values()
    bounds = metric.histogram.data_points[0].explicit_bounds
    assert tuple(bounds) == semconv.BUCKETS["gen_ai.client.operation.duration"]


def test_exponential_histograms_stay_what_the_environment_makes_them(run_sdk: RunPython, receiver: Receiver) -> None:
    run_sdk(
        f"{TURNS}\nconfigure_telemetry(endpoint='{receiver.url}')\nturns(1)",
        OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION="base2_exponential_bucket_histogram",
    )
    metric = _metrics(receiver)[semconv.TURN_DURATION]
    assert metric.HasField("exponential_histogram")


def test_metrics_go_out_at_the_interval(run_sdk: RunPython, receiver: Receiver) -> None:
    printed = run_sdk(
        f"""{TURNS}
import threading
from langswarm_sessions_otel.sdk.metrics import BoundedMetricReader
twice = threading.Semaphore(0)
collect = BoundedMetricReader.collect
BoundedMetricReader.collect = lambda self, *a, **k: (collect(self, *a, **k), twice.release())
configure_telemetry(endpoint="{receiver.url}", metric_interval=0.05)
turns(1)
print(twice.acquire(timeout=30), twice.acquire(timeout=30))
""",
        with_errors=True,
    )  # a first tick may come before there is a provider
    assert printed.startswith("True True\n")
    assert len([path for path, _, _ in receiver.requests if path == "/v1/metrics"]) >= 2


@pytest.mark.parametrize(
    ("variable", "value", "paths"),
    [
        ("OTEL_SDK_DISABLED", "true", set[str]()),
        ("OTEL_TRACES_EXPORTER", "none", {"/v1/metrics"}),
    ],
)
def test_what_the_environment_switches_off_stays_off(
    run_sdk: RunPython, receiver: Receiver, variable: str, value: str, paths: set[str]
) -> None:
    run_sdk(
        f"{TURNS}\nhandle = configure_telemetry(endpoint='{receiver.url}')\nturns(1)\nassert handle.force_flush(30)"
        if variable != "OTEL_SDK_DISABLED"
        else f"{TURNS}\nhandle = configure_telemetry(endpoint='{receiver.url}')\nassert handle.force_flush(30)",
        **{variable: value},
    )
    assert {path for path, _, _ in receiver.requests} == paths


def test_points_are_histograms_of_the_sdk(recorded: Recorded, start_turn: Callable[..., TurnScope]) -> None:
    """`Recorded` has no views: what it shows is what any provider of somebody else's shows."""
    assert isinstance(recorded.meter_provider, MeterProvider)
    with start_turn(recorded.telemetry()):
        pass
    [point] = recorded.points(semconv.TURN_DURATION)
    assert isinstance(point, HistogramDataPoint)
    assert tuple(point.explicit_bounds) == semconv.BUCKETS[semconv.TURN_DURATION]
