"""What importing loads, and what works without the SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING

import langswarm_sessions_otel

if TYPE_CHECKING:
    from tests.telemetry.conftest import RunPython

TURN = """
with telemetry.turn(session_id="s", agent_name="session", operation="send", mode="native", provider="mock",
                    model="m", stream=False) as turn:
    with turn.storage("load", backend="memory") as load:
        load.done(count=1)
    with turn.chat(provider="mock", model="m", stream=False) as chat:
        chat.finished(input_tokens=1, output_tokens=1)
with telemetry.lifecycle("archive", session_id="s"):
    telemetry.session_closed("native")
"""


def test_importing_and_recording_loads_the_api_alone_and_sets_no_provider(run_python: RunPython) -> None:
    printed = run_python(f"""
import sys
from langswarm_sessions_otel import Telemetry, configure_telemetry, force_flush
telemetry = Telemetry()
{TURN}
assert force_flush() is True
from opentelemetry import metrics, trace
print(type(trace.get_tracer_provider()).__name__, type(metrics.get_meter_provider()).__name__)
heavy = ("opentelemetry.sdk", "opentelemetry.exporter", "google", "requests", "grpc", "langswarm_sessions.")
print([name for name in sys.modules if name.startswith(heavy)])
""")
    assert printed == "ProxyTracerProvider _ProxyMeterProvider\n[]\n"


def test_without_the_sdk_everything_works_but_configuring(run_python: RunPython) -> None:
    printed = run_python(f"""
import sys
sys.modules["opentelemetry.sdk"] = None
from langswarm_sessions_otel import MissingTelemetryDependencyError, Telemetry, configure_telemetry
telemetry = Telemetry()
{TURN}
try:
    configure_telemetry()
except ImportError as error:
    print(type(error).__name__, error)
""")
    assert printed.startswith("MissingTelemetryDependencyError configure_telemetry needs")
    assert "pip install 'langswarm-sessions[otel]'" in printed


def test_without_the_exporter_a_span_file_still_works(run_python: RunPython) -> None:
    printed = run_python(f"""
import os, sys, tempfile
sys.modules["opentelemetry.exporter"] = None
from langswarm_sessions_otel import MissingTelemetryDependencyError, Telemetry, configure_telemetry, read_span_file
try:
    configure_telemetry(endpoint="http://127.0.0.1:1")
except MissingTelemetryDependencyError as error:
    print("missing", error.name)
path = os.path.join(tempfile.mkdtemp(), "spans.jsonl")
configure_telemetry(span_file=path)
telemetry = Telemetry()
{TURN}
print([record.name for record in read_span_file(path)])
""")
    missing, names = printed.splitlines()
    assert missing.startswith("missing opentelemetry.exporter")
    assert names == str(["invoke_agent session", "langswarm.storage.load", "chat m", "langswarm.session.archive"])


def test_providers_set_after_construction_are_used(run_python: RunPython) -> None:
    printed = run_python(f"""
from langswarm_sessions_otel import Telemetry
telemetry = Telemetry()
{TURN}
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
exporter, reader, provider = InMemorySpanExporter(), InMemoryMetricReader(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
metrics.set_meter_provider(MeterProvider([reader]))
{TURN}
print([span.name for span in exporter.get_finished_spans()])
[resource] = reader.get_metrics_data().resource_metrics
print(sorted(metric.name for scope in resource.scope_metrics for metric in scope.metrics))
""")
    assert printed.splitlines() == [
        str(["langswarm.storage.load", "chat m", "invoke_agent session", "langswarm.session.archive"]),
        str([
            "gen_ai.client.operation.duration",
            "gen_ai.client.token.usage",
            "gen_ai.invoke_agent.duration",
            "langswarm.session.open",
            "langswarm.session.transitions",
            "langswarm.session.turn.duration",
            "langswarm.session.turn.oldest_age",
            "langswarm.storage.operation.duration",
        ]),
    ]  # fmt: skip


def test_every_public_name_is_there() -> None:
    for name in langswarm_sessions_otel.__all__:
        assert getattr(langswarm_sessions_otel, name).__doc__
    assert set(langswarm_sessions_otel.__all__) <= set(dir(langswarm_sessions_otel))
    assert not hasattr(langswarm_sessions_otel, "nothing_of_that_name")
