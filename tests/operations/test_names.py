"""Names in Prometheus: ours are those that the exporter writes, and queries use no other."""

from __future__ import annotations

import asyncio
import json
import re

import pytest
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import CollectorRegistry, generate_latest

from langswarm_sessions import errors
from langswarm_sessions.turns.readers.log import Interruption
from langswarm_sessions.turns.send.beginning import _ClearedError
from langswarm_sessions_otel import semconv
from langswarm_sessions_otel.instruments import Instrument, Instruments
from langswarm_sessions_otel.operations import QUERIES, label, pack_files, prometheus_metrics
from langswarm_sessions_otel.operations.names import BROKEN_OFF, CALLERS_ERRORS, INTERNAL_ERRORS, error_types
from langswarm_sessions_otel.propagation import error_type_of

WORDS = {
    *{"sum", "by", "rate", "increase", "histogram_quantile", "or", "unless", "offset", "le", "m", "label_values"},
    *{"last_over_time", "round", "on", "job", "instance", "__rate_interval", "provider", "model"},
}
ATTRIBUTES = {
    semconv.PROVIDER_NAME,
    semconv.REQUEST_MODEL,
    semconv.ERROR_TYPE,
    semconv.SESSION_MODE,
    semconv.SESSION_TRANSITION,
    semconv.REBUILD_REASON,
    semconv.STORAGE_BACKEND,
    semconv.STORAGE_OPERATION,
    semconv.LEASE_HELD_BY,
    semconv.TOKEN_TYPE,
    semconv.TOOL_NAME,
    semconv.HOOK_NAME,
    semconv.JOB_NAME,
    semconv.FAILED_STAGE,
}
OPERATORS_ERRORS = {
    *{"SessionError", "SessionBusyError", "ConfigurationError", "MissingDependencyError", "MiddlewareError"},
    *{"NativeStateLostError", "ProviderError", "AuthenticationError", "RateLimitError", "QuotaExceededError"},
    *{"ProviderTimeoutError", "ContextOverflowError", "InvalidRequestError", "ProviderUnavailableError"},
    *{"IncompleteStreamError", "StorageError", "SchemaError"},
}
SERIES = {name for metric in prometheus_metrics().values() for name in metric.series}


def test_the_exporter_calls_every_metric_as_we_say() -> None:
    registry = CollectorRegistry()
    meter = MeterProvider([PrometheusMetricReader(registry=registry)], shutdown_on_exit=False).get_meter("m")
    _record_all(Instruments(meter, semconv.RELEASED))
    _record_all(Instruments(meter, semconv.NEWEST))
    exposed = generate_latest(registry).decode()
    written = {line.split("{")[0] for line in exposed.splitlines() if not line.startswith(("#", "target_info"))}
    first = {metric.names[0]: metric for metric in prometheus_metrics().values()}
    ours = {f"{name}{end}" for name, metric in first.items() for end in _ends(metric.kind)}
    assert written == ours


def _ends(kind: str) -> tuple[str, ...]:
    return ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)


def _record_all(instruments: Instruments) -> None:
    attributes = {semconv.PROVIDER_NAME: "p"}
    named = [getattr(instruments, name) for name in Instruments.__slots__]
    for instrument in (*named, *(instrument for _, instrument in instruments.tokens)):
        if isinstance(instrument, Instrument):
            instrument.measure(1, attributes, None)
    instruments.open_sessions.add(1, attributes)
    instruments.telemetry_errors.add(1, attributes)


def test_a_collector_leaves_out_a_unit_that_the_name_has() -> None:
    two_names = {metric.otel_name: metric.names for metric in prometheus_metrics().values() if len(metric.names) > 1}
    assert two_names == {
        semconv.HISTORY_BYTES_AVOIDED: (
            "langswarm_session_history_bytes_avoided_bytes_total",
            "langswarm_session_history_bytes_avoided_total",
        )
    }


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_knows_no_name_that_is_not_written(name: str) -> None:
    query = QUERIES[name].over("5m", choices={"@model": 'gen_ai_provider_name=~".*"', "@provider": ""})
    assert "@" not in query
    assert "{}" not in query
    assert _names_in(query) <= SERIES | {label(attribute) for attribute in ATTRIBUTES}
    assert _names_in(query) & SERIES


def test_the_files_know_no_name_that_is_not_written() -> None:
    board = json.loads(pack_files()["grafana/dashboard.json"])
    queries = [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]
    queries += [variable["query"]["query"] for variable in board["templating"]["list"]]
    legends = [target["legendFormat"] for panel in board["panels"] for target in panel.get("targets", ())]
    labels = {"job", "instance", *(label(attribute) for attribute in ATTRIBUTES)}
    assert {name for query in queries for name in _names_in(query)} <= SERIES | labels
    assert {name for legend in legends for name in re.findall(r"{{(\w+)}}", legend)} <= labels


def test_each_error_of_the_package_is_the_concern_of_its_caller_or_of_operators() -> None:
    assert not CALLERS_ERRORS & OPERATORS_ERRORS
    assert {*errors.__all__} == CALLERS_ERRORS | OPERATORS_ERRORS


def test_what_alerts_leave_out_is_what_error_type_says() -> None:
    """Compare with what spans and metrics write, for every error."""
    written = {error_type_of(kind()): name for name, kind in vars(errors).items() if name in errors.__all__}
    left_out = {name for kind, name in written.items() if re.fullmatch(error_types(*CALLERS_ERRORS), kind)}
    assert left_out == CALLERS_ERRORS
    internal = re.compile(error_types(INTERNAL_ERRORS))
    assert internal.fullmatch(error_type_of(_ClearedError()))
    assert not any(map(internal.fullmatch, written))
    assert {error_type_of(kind()) for kind in (asyncio.CancelledError, GeneratorExit)} <= BROKEN_OFF
    assert {reason.value for reason in Interruption} - {"lease_lost"} == BROKEN_OFF


def test_every_metric_of_ours_is_queried() -> None:
    asked = {name for query in QUERIES.values() for name in _names_in(query.text)}
    ours = [metric for metric in prometheus_metrics().values() if metric.otel_name.startswith("langswarm.")]
    assert [metric.otel_name for metric in ours if not asked & {*metric.series}] == []


def _names_in(query: str) -> set[str]:
    without_values = re.sub(r'"[^"]*"', "", query)
    words = re.findall(r"[a-zA-Z_]\w*", re.sub(r"\[[^\]]*\]|@\w+", "", without_values))
    return {*words} - WORDS
