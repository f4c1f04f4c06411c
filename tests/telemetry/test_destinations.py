"""Where the environment sends telemetry, what it is called there, and what is said of values that are wrong."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from langswarm_sessions_otel.sdk import setup
from langswarm_sessions_otel.sdk.batches import BatchLimits, positive_number
from langswarm_sessions_otel.settings import warn_once
from langswarm_sessions_otel.setup import configure
from langswarm_sessions_otel.setup.destinations import Destinations, read_destinations
from langswarm_sessions_otel.setup.request import SIGNALS, TelemetryRequest, span_file_of

OTLP = "OTEL_EXPORTER_OTLP_"
HERE, THERE = "http://localhost:4318", "https://there:4318"


@pytest.fixture(autouse=True)
def _not_warned_before() -> Iterator[None]:
    warn_once.cache_clear()
    yield
    warn_once.cache_clear()


@pytest.mark.parametrize(
    ("variables", "receivers", "left_out"),
    [
        ({}, {}, ""),
        ({f"{OTLP}ENDPOINT": THERE}, dict.fromkeys(SIGNALS, THERE), ""),
        ({f"{OTLP}LOGS_ENDPOINT": THERE}, {"logs": THERE}, ""),
        ({f"{OTLP}METRICS_ENDPOINT": THERE, f"{OTLP}ENDPOINT": " "}, {"metrics": THERE}, ""),
        ({f"{OTLP}ENDPOINT": THERE, f"{OTLP}LOGS_ENDPOINT": HERE}, {**dict.fromkeys(SIGNALS, THERE), "logs": HERE}, ""),
        ({"OTEL_TRACES_EXPORTER": "none"}, {}, "traces"),
        ({"OTEL_TRACES_EXPORTER": "None", f"{OTLP}TRACES_ENDPOINT": THERE}, {}, "traces"),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, {"traces": HERE}, ""),
        ({"OTEL_METRICS_EXPORTER": "otlp_proto_http"}, {"metrics": HERE}, ""),
        ({"OTEL_LOGS_EXPORTER": "otlp", f"{OTLP}PROTOCOL": "grpc"}, {"logs": "http://localhost:4317"}, ""),
        ({"OTEL_TRACES_EXPORTER": "otlp_proto_grpc"}, {"traces": "http://localhost:4317"}, ""),
        ({"OTEL_TRACES_EXPORTER": "otlp_json_file"}, {}, ""),
        ({"OTEL_TRACES_EXPORTER": "otlp,none"}, {}, "traces"),
        ({"OTEL_TRACES_EXPORTER": "console", f"{OTLP}TRACES_ENDPOINT": THERE}, {}, "traces"),
        ({"OTEL_TRACES_EXPORTER": "console, otlp", f"{OTLP}TRACES_ENDPOINT": THERE}, {"traces": THERE}, ""),
    ],
)
def test_variables_say_where_to(variables: dict[str, str], receivers: dict[str, str], left_out: str) -> None:
    said = read_destinations(variables)
    assert dict(said.receivers) == receivers
    assert said.left_out == {*left_out.split()}
    assert said.console is ("console" in variables.get("OTEL_TRACES_EXPORTER", ""))
    assert not said.disabled


def test_passwords_of_addresses_are_in_no_repr() -> None:
    assert "canary" not in repr(Destinations(receivers={"traces": "http://me:canary@there"}))


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({f"{OTLP}ENDPOINT": "collector:4318"}, f"{OTLP}ENDPOINT must be an address such as {HERE}: nothing arrives"),
        (
            {f"{OTLP}LOGS_ENDPOINT": "http://a b"},
            f"{OTLP}LOGS_ENDPOINT must be an address such as {HERE}: nothing arri",
        ),
        ({f"{OTLP}ENDPOINT": "collector:4317", f"{OTLP}PROTOCOL": "grpc"}, None),
        ({"OTEL_SDK_DISABLED": "yes"}, "OTEL_SDK_DISABLED must be true or false: telemetry is not switched off"),
        (
            {"OTEL_TRACES_EXPORTER": "zipkin,otlp"},
            "OTEL_TRACES_EXPORTER must be otlp, console or none: another exporter",
        ),
        ({"OTEL_METRICS_EXPORTER": "console"}, "OTEL_METRICS_EXPORTER must be otlp or none: another exporter"),
        ({"OTEL_LOGS_EXPORTER": "otlp_json_file"}, "OTEL_LOGS_EXPORTER must be otlp or none: another exporter"),
        ({"OTEL_SDK_DISABLED": "False", "OTEL_LOGS_EXPORTER": " "}, None),
    ],
)
def test_a_wrong_value_is_warned_of_once(
    variables: dict[str, str], told: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        read_destinations(variables)
        read_destinations(variables)
    assert [record.getMessage()[: len(told or "")] for record in caplog.records] == ([] if told is None else [told])


def test_a_number_that_is_none_means_the_default(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name, value in {"MAX_QUEUE_SIZE": "100", "MAX_EXPORT_BATCH_SIZE": "0.5", "SCHEDULE_DELAY": "soon"}.items():
        monkeypatch.setenv(f"OTEL_BSP_{name}", value)
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "-1")
    with caplog.at_level(logging.WARNING):
        limits = BatchLimits.read("OTEL_BSP", delay_millis=5000)
        assert (limits.waiting, limits.batch, limits.delay_seconds) == (100, 100, 5.0)
        assert positive_number("OTEL_METRIC_EXPORT_INTERVAL", 60_000) == 60_000
    assert [record.getMessage().partition(" must be a number")[0] for record in caplog.records] == [
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
        "OTEL_BSP_SCHEDULE_DELAY",
        "OTEL_METRIC_EXPORT_INTERVAL",
    ]


@pytest.mark.parametrize(
    ("everything", "looks", "variables", "exports"),
    [
        (False, False, {}, "traces metrics logs"),
        (False, True, {}, ""),
        (True, True, {}, "traces metrics logs"),
        (True, False, {"OTEL_LOGS_EXPORTER": "none"}, "traces metrics"),
        (False, True, {f"{OTLP}LOGS_ENDPOINT": THERE}, "logs"),
        (False, False, {f"{OTLP}LOGS_ENDPOINT": THERE}, "traces metrics logs"),
        (False, False, {"OTEL_TRACES_EXPORTER": "console"}, ""),
        (True, False, {"OTEL_TRACES_EXPORTER": "console"}, "metrics logs"),
        (False, False, {"OTEL_TRACES_EXPORTER": "console,otlp"}, "traces"),
    ],
)
def test_what_is_sent(
    everything: bool, looks: bool, variables: dict[str, str], exports: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert configure._exports(everything=everything, looks=looks) == {*exports.split()}


@pytest.mark.parametrize(
    ("arguments", "variables", "name"),
    [
        ({}, {}, "langswarm-sessions"),
        ({}, {"OTEL_SERVICE_NAME": ""}, "langswarm-sessions"),
        ({}, {"OTEL_SERVICE_NAME": " "}, "langswarm-sessions"),
        ({}, {"OTEL_SERVICE_NAME": "variable"}, "variable"),
        ({}, {"OTEL_RESOURCE_ATTRIBUTES": "service.name=attribute"}, "attribute"),
        ({}, {"OTEL_RESOURCE_ATTRIBUTES": "peer.service.name=peer"}, "langswarm-sessions"),
        ({"service_name": "langswarm-sessions"}, {"OTEL_SERVICE_NAME": "variable"}, "langswarm-sessions"),
        ({"service_name": "bot"}, {"OTEL_SERVICE_NAME": "variable"}, "bot"),
        ({"resource_attributes": {"service.name": "given"}}, {"OTEL_SERVICE_NAME": "variable"}, "given"),
        ({"resource_attributes": {"service.name": "bot"}, "service_name": "bot"}, {}, "bot"),
    ],
)
def test_the_service_is_named_by_arguments_then_variables(
    arguments: dict[str, object], variables: dict[str, str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    resource = setup._resource(TelemetryRequest(**arguments))  # type: ignore[arg-type]
    assert resource.attributes["service.name"] == name


@pytest.mark.parametrize(
    ("arguments", "is_told"),
    [
        ({}, False),
        ({"service_name": "bot"}, False),
        ({"service_name": "other"}, True),
        ({"resource_attributes": {"deployment.environment.name": "staging"}}, True),
    ],
)
def test_a_name_that_comes_after_the_provider_is_told_to_have_no_effect(
    arguments: dict[str, object],
    is_told: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    provider = TracerProvider(resource=Resource({"service.name": "bot"}), shutdown_on_exit=False)
    monkeypatch.setattr("opentelemetry.trace.get_tracer_provider", lambda: provider)
    with caplog.at_level(logging.WARNING):
        assert setup._spans_are_taken(TelemetryRequest(**arguments))  # type: ignore[arg-type]
    assert ["have no effect" in record.getMessage() for record in caplog.records] == ([True] if is_told else [])


def test_a_span_file_is_found_wherever_the_program_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert span_file_of("~/spans.jsonl") == tmp_path / "spans.jsonl"
    assert span_file_of(Path("here.jsonl")) == tmp_path / "here.jsonl"
    assert span_file_of(True) == tmp_path / "langswarm_sessions_spans.jsonl"
    assert span_file_of(None) is span_file_of(False) is None
    monkeypatch.setenv("LANGSWARM_SESSIONS_SPAN_FILE", " ~/named.jsonl ")
    assert span_file_of(None) == span_file_of(True) == tmp_path / "named.jsonl"


def test_a_variable_that_names_no_file_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("LANGSWARM_SESSIONS_SPAN_FILE", "~nobody-of-this-name/spans")
    assert configure._span_file(None) is None
    assert "LANGSWARM_SESSIONS_SPAN_FILE: span_file must be" in caplog.text


def test_what_differs_from_a_request_before_is_named_without_its_value() -> None:
    first = TelemetryRequest(endpoint=HERE, console=True, exports=frozenset({"traces"}))
    second = TelemetryRequest(endpoint="http://me:canary@there", headers={"authorization": "canary"}, console=True)
    assert first.differences(second) == ["endpoint", "headers"]
    assert first.differences(TelemetryRequest(endpoint=HERE, console=True)) == []
