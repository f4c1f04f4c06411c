"""One-call set-up: real exports to a loopback receiver, and receivers that are not there."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from langswarm_sessions_otel import read_span_file

if TYPE_CHECKING:
    from tests.support.otlp import Receiver
    from tests.telemetry.conftest import RunPython

TURN = """
from langswarm_sessions_otel import Telemetry
with Telemetry().turn(session_id="s-1", agent_name="session", operation="send", mode="native", provider="mock",
                      model="m", stream=False) as turn:
    with turn.chat(provider="mock", model="m", stream=False) as chat:
        chat.finished(input_tokens=3, output_tokens=4)
"""


def test_a_short_script_exports_traces_and_metrics_at_its_end(run_sdk: RunPython, receiver: Receiver) -> None:
    run_sdk(
        f"""
from langswarm_sessions_otel import configure_telemetry
configure_telemetry(service_name="bot", endpoint="{receiver.url}/", headers={{"authorization": "Bearer x"}},
                    resource_attributes={{"deployment.environment.name": "test"}})
{TURN}
"""
    )
    [spans] = receiver.traces().resource_spans
    resource = {pair.key: pair.value.string_value for pair in spans.resource.attributes}
    assert resource["service.name"] == "bot"
    assert resource["deployment.environment.name"] == "test"
    [scope] = spans.scope_spans
    assert scope.scope.name == "langswarm_sessions"
    assert sorted(span.name for span in scope.spans) == ["chat m", "invoke_agent session"]
    child, root = sorted(scope.spans, key=lambda span: span.name)
    assert child.parent_span_id == root.span_id
    attributes = {pair.key: pair.value for pair in root.attributes}
    assert attributes["gen_ai.conversation.id"].string_value == "s-1"
    metrics = {metric.name for item in receiver.metrics().resource_metrics[0].scope_metrics for metric in item.metrics}
    assert {"langswarm.session.turn.duration", "gen_ai.client.token.usage"} <= metrics
    assert {headers["authorization"] for _, headers, _ in receiver.requests} == {"Bearer x"}
    assert "s-1" not in str(receiver.metrics()), "measurements name no session"


def test_the_standard_variables_are_enough(run_sdk: RunPython, receiver: Receiver) -> None:
    run_sdk(
        f"""
from langswarm_sessions_otel import configure_telemetry, force_flush
configure_telemetry(console=False)
{TURN}
assert force_flush()
""",
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url,
        OTEL_SERVICE_NAME="named-by-variable",
    )
    [spans] = receiver.traces().resource_spans
    assert {pair.key: pair.value.string_value for pair in spans.resource.attributes}["service.name"] == (
        "named-by-variable"
    )


def test_a_plain_set_up_of_somebody_elses_just_works(run_sdk: RunPython, receiver: Receiver) -> None:
    run_sdk(
        f"""
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
{TURN}
""",
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url,
    )
    assert len(receiver.traces().resource_spans[0].scope_spans[0].spans) == 2


def test_providers_that_are_set_stay_and_get_our_export_beside_their_own(
    run_sdk: RunPython, receiver: Receiver
) -> None:
    printed = run_sdk(
        f"""
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
theirs, exporter, reader = TracerProvider(), InMemorySpanExporter(), InMemoryMetricReader()
theirs.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(theirs)
meters = MeterProvider([reader])
metrics.set_meter_provider(meters)
from langswarm_sessions_otel import configure_telemetry
handle = configure_telemetry(endpoint="{receiver.url}", service_name="bot")
assert trace.get_tracer_provider() is theirs and metrics.get_meter_provider() is meters
{TURN}
print(len(exporter.get_finished_spans()), handle.force_flush())
""",
        with_errors=True,
    )
    assert printed.splitlines() == [
        "2 True",
        "service_name and resource_attributes have no effect on spans: the provider that is set already has its own",
    ]
    assert len(receiver.traces().resource_spans[0].scope_spans[0].spans) == 2


def test_providers_that_stand_before_an_sdks_are_taken_for_what_they_are(
    run_sdk: RunPython, receiver: Receiver
) -> None:
    """As those of Logfire, which are called what OpenTelemetry's own stand-ins are, and cannot be hashed."""
    printed = run_sdk(
        f"""
from dataclasses import dataclass
from opentelemetry import _logs, metrics, trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
flushed = []
@dataclass
class ProxyTracerProvider(trace.TracerProvider):
    provider: object
    def get_tracer(self, *arguments, **options): return self.provider.get_tracer(*arguments, **options)
    def add_span_processor(self, processor): self.provider.add_span_processor(processor)
    def force_flush(self, timeout_millis=30_000): flushed.append("spans"); return True
@dataclass
class ProxyMeterProvider(metrics.MeterProvider):
    provider: object
    def get_meter(self, *arguments, **options): return self.provider.get_meter(*arguments, **options)
    def force_flush(self, timeout_millis=30_000): flushed.append("metrics"); return True
@dataclass
class ProxyLoggerProvider(_logs.LoggerProvider):
    provider: object
    def get_logger(self, *arguments, **options): return self.provider.get_logger(*arguments, **options)
    def add_log_record_processor(self, processor): self.provider.add_log_record_processor(processor)
trace.set_tracer_provider(ProxyTracerProvider(TracerProvider()))
metrics.set_meter_provider(ProxyMeterProvider(MeterProvider()))
_logs.set_logger_provider(ProxyLoggerProvider(LoggerProvider()))
from langswarm_sessions_otel import configure_telemetry, force_flush
for _ in range(2):
    handle = configure_telemetry(endpoint="{receiver.url}")
    {TURN.strip().replace(chr(10), chr(10) + "    ")}
    with Telemetry().lifecycle("create", session_id="s-1"): pass
    print(force_flush(30), force_flush(30), sorted(flushed), handle.shutdown(30))
""",
        LANGSWARM_SESSIONS_EVENTS="on",
    )
    first, second = ["metrics", "spans"] * 2, ["metrics", "spans"] * 4
    assert printed == f"True True {sorted(first)} True\nTrue True {sorted(second)} True\n"
    spans = [span for item in receiver.traces().resource_spans for scope in item.scope_spans for span in scope.spans]
    named = Counter(span.name for span in spans)
    assert named == {"chat m": 2, "invoke_agent session": 2, "langswarm.session.create": 2}
    events = [log for item in receiver.logs().resource_logs for scope in item.scope_logs for log in scope.log_records]
    assert len(events) == 2


def test_providers_that_take_nothing_more_stay_as_they_are(run_sdk: RunPython, receiver: Receiver) -> None:
    printed = run_sdk(
        f"""
import logging
logging.basicConfig(level=logging.INFO, format="%(message)s")
from opentelemetry import metrics, trace
class Tracers(trace.NoOpTracerProvider): pass
class Meters(metrics.NoOpMeterProvider): pass
trace.set_tracer_provider(Tracers())
metrics.set_meter_provider(Meters())
from langswarm_sessions_otel import configure_telemetry
handle = configure_telemetry(endpoint="{receiver.url}")
{TURN}
print(handle.force_flush())
""",
        with_errors=True,
    )
    assert printed.splitlines() == [
        "True",
        "spans stay with the provider that is set already, a Tracers",
        "metrics stay with the provider that is set already, a Meters",
    ]
    assert receiver.requests == []


def test_configuring_twice_changes_nothing(run_sdk: RunPython, receiver: Receiver) -> None:
    printed = run_sdk(
        f"""
from langswarm_sessions_otel import configure_telemetry
first = configure_telemetry(endpoint="{receiver.url}")
assert configure_telemetry(endpoint="{receiver.url}") is first
assert configure_telemetry(endpoint="{receiver.url}", console=True) is first
{TURN}
assert first.shutdown() and first.shutdown() and first.force_flush()
again = configure_telemetry(endpoint="{receiver.url}")
assert again is not first
{TURN}
""",
        with_errors=True,
    )
    assert printed.startswith("telemetry is configured already, with another console, and stays as it is")
    assert sum(len(item.scope_spans[0].spans) for item in receiver.traces().resource_spans) == 4


def test_configuring_again_after_a_provider_was_shut_down_sends_again(run_sdk: RunPython, receiver: Receiver) -> None:
    run_sdk(
        f"""
from opentelemetry import trace
from langswarm_sessions_otel import configure_telemetry
first = configure_telemetry(endpoint="{receiver.url}")
trace.get_tracer_provider().shutdown()
second = configure_telemetry(endpoint="{receiver.url}")
assert second is not first
assert first.closed and not second.closed
{TURN}
assert second.force_flush()
"""
    )
    spans = [span for item in receiver.traces().resource_spans for scope in item.scope_spans for span in scope.spans]
    assert sorted(span.name for span in spans) == ["chat m", "invoke_agent session"]


def test_the_console_and_the_file_need_no_receiver(run_sdk: RunPython, tmp_path: Path) -> None:
    printed = run_sdk(
        f"""
from langswarm_sessions_otel import configure_telemetry
configure_telemetry(console=True, span_file="{tmp_path / "spans.jsonl"}")
{TURN}
""",
        with_errors=True,
    )
    root, chat = printed.splitlines()
    assert root.startswith("invoke_agent session  ")
    assert chat.startswith("└─ chat m  ")
    assert [record.name for record in read_span_file(tmp_path / "spans.jsonl")] == ["invoke_agent session", "chat m"]


def test_a_console_that_a_variable_asks_for_shows_a_turn_once(run_sdk: RunPython, tmp_path: Path) -> None:
    printed = run_sdk(
        f"""
from langswarm_sessions_otel import configure_telemetry
{TURN}
configure_telemetry()
{TURN}
""",
        with_errors=True,
        OTEL_TRACES_EXPORTER="console",
        LANGSWARM_SESSIONS_SPAN_FILE=str(tmp_path / "spans.jsonl"),
    )
    assert len([line for line in printed.splitlines() if line.startswith("invoke_agent")]) == 1
    assert len((tmp_path / "spans.jsonl").read_text().splitlines()) >= 4


def test_a_span_file_that_the_sdk_has_no_provider_for_is_warned_of_once(run_python: RunPython, tmp_path: Path) -> None:
    printed = run_python(
        f"""
{TURN}
{TURN}
""",
        with_errors=True,
        OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT="many",
        LANGSWARM_SESSIONS_SPAN_FILE=str(tmp_path / "spans.jsonl"),
    )
    assert printed.splitlines() == [
        "spans are not written to the file of LANGSWARM_SESSIONS_SPAN_FILE: one of the OTEL_* variables must be "
        "corrected: OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT must be a non-negative integer but got many"
    ]


def test_the_exit_of_the_process_is_bounded(run_sdk: RunPython, receiver: Receiver) -> None:
    receiver.answers.clear()
    started = time.monotonic()
    run_sdk(
        f"""
import logging
logging.disable(logging.CRITICAL)
from langswarm_sessions_otel import configure_telemetry
configure_telemetry(endpoint="{receiver.url}", export_timeout=60, shutdown_timeout=0.1)
{TURN}
"""
    )
    assert time.monotonic() - started < 10


def test_a_providers_own_exit_is_bounded_too(run_sdk: RunPython, receiver: Receiver) -> None:
    receiver.answers.clear()
    printed = run_sdk(
        f"""
import logging, time
logging.disable(logging.CRITICAL)
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
theirs = TracerProvider(shutdown_on_exit=False)
trace.set_tracer_provider(theirs)
from langswarm_sessions_otel import configure_telemetry
handle = configure_telemetry(endpoint="{receiver.url}", export_timeout=60, shutdown_timeout=0.1)
{TURN}
started = time.perf_counter()
assert not theirs.force_flush()
theirs.shutdown()
handle.shutdown()
print(time.perf_counter() - started)
""",
        with_errors=True,
    )
    assert float(printed) < 4.0


def test_a_span_file_that_cannot_be_written_ends_all_or_is_warned_of_if_the_variable_named_it(
    run_sdk: RunPython, receiver: Receiver, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "spans.jsonl"
    told = f"must be a file that can be written: {path} cannot (Not a directory)"
    printed = run_sdk(
        f"""
from langswarm_sessions_otel import TelemetryConfigurationError, configure_telemetry
try:
    configure_telemetry(span_file="{path}")
except TelemetryConfigurationError as error:
    print(error)
configure_telemetry(endpoint="{receiver.url}")
{TURN}
""",
        with_errors=True,
        LANGSWARM_SESSIONS_SPAN_FILE=str(path),
    )
    assert printed.splitlines() == [
        f"span_file {told}.",
        f"LANGSWARM_SESSIONS_SPAN_FILE {told}; its spans are written nowhere",
    ]
    assert len(receiver.traces().resource_spans[0].scope_spans[0].spans) == 2


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        *[
            ("endpoint", value)
            for value in ("", " ", "localhost:4318", "ftp://host", "http://", "http://[bad", "http://h:99999", 5)
        ],
        ("endpoint", " http://localhost:4318"),
        ("endpoint", "http://local\x00host:4318"),
        *[("service_name", value) for value in ("", " ", 5)],
        *[("console", value) for value in ("no", 1, None)],
        *[("span_file", value) for value in ("", " ", "a\0b", b"spans", 5, "~nobody-of-this-name/spans", ".")],
        *[
            (name, value)
            for name in ("export_timeout", "shutdown_timeout")
            for value in (0, -1, float("inf"), "5", True)
        ],
    ],
)
def test_a_wrong_argument_is_named_and_nothing_is_set_up(argument: str, value: object) -> None:
    from langswarm_sessions_otel import TelemetryConfigurationError, configure_telemetry
    from langswarm_sessions_otel.setup import configure

    arguments: dict[str, Any] = {argument: value}
    with pytest.raises(TelemetryConfigurationError, match=f"^{argument} must be"):
        configure_telemetry(**arguments)
    assert configure._configured is None
