"""How telemetry travels: gRPC and HTTP as arguments and variables say, and with which headers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests
from opentelemetry.util.re import parse_env_headers

from langswarm_sessions_otel import TelemetryConfigurationError
from langswarm_sessions_otel.sdk import exporters
from langswarm_sessions_otel.settings import warn_once
from langswarm_sessions_otel.setup.request import SIGNALS, TelemetryRequest

if TYPE_CHECKING:
    from tests.support.otlp import Receiver
    from tests.telemetry.conftest import RunPython

PROGRAM = Path(__file__).parents[1] / "support" / "otlp_grpc.py"
SEND = """
from langswarm_sessions_otel import Telemetry, configure_telemetry
handle = configure_telemetry({arguments})
with Telemetry().turn(session_id="s-1", agent_name="session", operation="send", mode="native", provider="mock",
                      model="m", stream=False):
    pass
print(handle.force_flush(30), handle.lost_spans)
"""


@pytest.fixture
def grpc_port(receiver: Receiver) -> Iterator[str]:
    """Port of a gRPC receiver that hands on what it gets to the receiver."""
    with subprocess.Popen([sys.executable, str(PROGRAM), receiver.url], stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        yield program.stdout.readline().strip()
        program.terminate()


def _request(**arguments: object) -> TelemetryRequest:
    return TelemetryRequest(**{"service_name": "bot", **arguments})  # type: ignore[arg-type]


def test_grpc_brings_spans_and_metrics(run_sdk: RunPython, receiver: Receiver, grpc_port: str) -> None:
    arguments = f"""endpoint="localhost:{grpc_port}", protocol="grpc", insecure=True,
                    headers={{"X-Upper": "Bearer x"}}, export_timeout=30"""
    assert run_sdk(SEND.format(arguments=arguments), OTEL_EXPORTER_OTLP_HEADERS="x-said=by-variable") == "True 0\n"
    assert [span.name for span in receiver.traces().resource_spans[0].scope_spans[0].spans] == ["invoke_agent session"]
    assert receiver.metrics().resource_metrics
    for _, headers, _ in receiver.requests:
        assert (headers["x-protocol"], headers["x-upper"], headers["x-said"]) == ("grpc", "Bearer x", "by-variable")


def test_the_variables_choose_a_protocol_for_each_signal(
    run_sdk: RunPython, receiver: Receiver, grpc_port: str
) -> None:
    printed = run_sdk(
        SEND.format(arguments="export_timeout=30"),
        OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
        OTEL_EXPORTER_OTLP_METRICS_PROTOCOL="http/protobuf",
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{grpc_port}",
        OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=f"{receiver.url}/v1/metrics",
    )
    assert printed == "True 0\n"
    protocols = {path: headers.get("x-protocol", "http") for path, headers, _ in receiver.requests}
    assert protocols == {"/v1/traces": "grpc", "/v1/metrics": "http"}


@pytest.mark.parametrize(
    ("variables", "argument", "protocols"),
    [
        ({}, None, ("http/protobuf", "http/protobuf")),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, None, ("grpc", "grpc")),
        ({"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": " grpc "}, None, ("grpc", "http/protobuf")),
        (
            {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "http/protobuf"},
            None,
            ("grpc", "http/protobuf"),
        ),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "http/protobuf", ("http/protobuf", "http/protobuf")),
        ({"OTEL_TRACES_EXPORTER": "console, otlp_proto_grpc"}, None, ("grpc", "http/protobuf")),
        (
            {"OTEL_METRICS_EXPORTER": "otlp_proto_http", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            None,
            ("grpc", "http/protobuf"),
        ),
    ],
)
def test_arguments_go_before_variables_and_those_of_a_signal_before_those_of_all(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], argument: str | None, protocols: tuple[str, str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    request = _request(protocol=argument)
    assert (request.protocol_of("traces"), request.protocol_of("metrics")) == protocols


def test_a_protocol_that_does_not_exist_is_named_with_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "carrier-pigeon")
    with pytest.raises(TelemetryConfigurationError, match=r"^OTEL_EXPORTER_OTLP_METRICS_PROTOCOL must be one of"):
        _request()


def test_json_needs_an_exporter_that_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.json", None)
    with pytest.raises(TelemetryConfigurationError, match="install opentelemetry-exporter-otlp-json-http"):
        exporters.delivery_of(_request(protocol="http/json"), "traces")


def test_a_variable_that_the_exporter_refuses_is_told_without_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "canary")
    with pytest.raises(TelemetryConfigurationError, match="OTEL_EXPORTER_OTLP_") as caught:
        exporters.delivery_of(_request(protocol="grpc", endpoint="http://localhost:4317"), "traces")
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("variables", "argument", "seconds"),
    [
        ({}, None, 2.0),
        ({}, 7, 7.0),
        ({"OTEL_EXPORTER_OTLP_TIMEOUT": "9"}, None, 9.0),
        ({"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "0.5", "OTEL_EXPORTER_OTLP_TIMEOUT": "9"}, None, 0.5),
        ({"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "soon", "OTEL_EXPORTER_OTLP_TIMEOUT": "9"}, None, 2.0),
        ({"OTEL_EXPORTER_OTLP_TIMEOUT": "-1"}, None, 2.0),
        ({"OTEL_EXPORTER_OTLP_METRICS_TIMEOUT": "9"}, None, 2.0),
        ({"OTEL_EXPORTER_OTLP_TIMEOUT": "9"}, 7, 7.0),
    ],
)
def test_an_export_takes_as_long_as_argument_or_variable_say(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], argument: float | None, seconds: float | None
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert _request(export_timeout=argument).timeout_of("traces") == seconds


@pytest.mark.parametrize(("variable", "trusted"), [("own.pem", "own.pem"), ("", "of-the-machine.pem")])
def test_a_certificate_for_exports_goes_before_those_of_the_machine(
    monkeypatch: pytest.MonkeyPatch, variable: str, trusted: str
) -> None:
    seen: list[object] = []

    def send(*_: object, **options: object) -> None:
        seen.append(options["verify"])
        raise requests.RequestException

    monkeypatch.setattr("requests.adapters.HTTPAdapter.send", send)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "of-the-machine.pem")
    if variable:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", variable)
    exporters.delivery_of(_request(endpoint="https://localhost:4318"), "traces").send([], count=0)
    assert seen == [trusted]


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("given", [None, {"x": "y"}])
@pytest.mark.parametrize("value", ["authorization: Bearer canary", "authorization=Bearer x,canary", "a=canary€"])
def test_headers_of_a_variable_that_cannot_be_read_are_not_quoted(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    protocol: str,
    given: dict[str, str] | None,
    value: str,
) -> None:
    warn_once.cache_clear()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "right=x")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_HEADERS", value)
    request = _request(protocol=protocol, endpoint="http://localhost:4318", headers=given)
    for signal in SIGNALS:
        exporters.delivery_of(request, signal).close()
    assert caplog.messages == [
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS must be name=value,name=value: what is not written so is left out."
    ]
    parse_env_headers("not ours", liberal=True)
    assert "not ours" in caplog.text


def test_headers_and_passwords_are_in_no_repr() -> None:
    request = _request(headers={"authorization": "canary"}, endpoint="http://me:canary@host:4318")
    assert "canary" not in repr(request)


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer canary\n"},
        {"authorization": " canary"},
        {"authorization": "canary\r\nx: y"},
        {"authorization": "canary\u20ac"},
        {"authorization": 5},
        {"auth canary": "x"},
        {"": "canary"},
        {5: "canary"},
        ["canary"],
    ],
)
def test_a_header_that_cannot_be_sent_is_refused_without_its_value(headers: object) -> None:
    with pytest.raises(TelemetryConfigurationError, match=r"^headers must be") as caught:
        _request(headers=headers)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"endpoint": "http://host:4318/v1/traces"}, "leave out /v1"),
        ({"endpoint": "http://host:4318?api_key=canary"}, "^endpoint must be"),
        ({"endpoint": "http://[canary", "protocol": "grpc"}, "such as http://localhost:4317"),
        ({"protocol": "grpc", "headers": {"x-bin": "canary"}}, "^headers must be .* for gRPC: 'x-bin' is not"),
        ({"protocol": "grpc", "headers": {"x!": "canary"}}, "^headers must be .* for gRPC: 'x!' is not"),
        ({"protocol": "grpc", "headers": {"X": "canary\xe9"}}, "^headers must be .* for gRPC: 'X' is not"),
        ({"protocol": "udp"}, "^protocol must be one of"),
        ({"insecure": True}, "^insecure must be left out"),
        ({"insecure": "yes", "protocol": "grpc"}, "^insecure must be True"),
        ({"sampling_ratio": 1.5}, "^sampling_ratio must be"),
        ({"sampling_ratio": True}, "^sampling_ratio must be"),
        ({"sampling_ratio": float("nan")}, "^sampling_ratio must be"),
        ({"metric_interval": 0}, "^metric_interval must be"),
        ({"metric_interval": "60"}, "^metric_interval must be"),
        ({"span_file_limit": 10}, "^span_file_limit must be"),
        ({"span_file_limit": True}, "^span_file_limit must be"),
        ({"resource_attributes": {"x": None}}, "^resource_attributes must be"),
        ({"resource_attributes": {"": "x"}}, "^resource_attributes must be"),
        ({"resource_attributes": "x=y"}, "^resource_attributes must be"),
        (
            {"resource_attributes": {"service.name": " "}, "service_name": None},
            "^resource_attributes must give service.name",
        ),
        ({"resource_attributes": {"service.name": "other"}}, "^service_name must be left out where"),
    ],
)
def test_a_wrong_argument_is_named_with_what_is_right(arguments: dict[str, object], said: str) -> None:
    with pytest.raises(TelemetryConfigurationError, match=said) as caught:
        _request(**arguments)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("endpoint", ["host:4317", "http://host:4317", "https://host", "http://host/base/"])
def test_addresses_that_grpc_takes(endpoint: str) -> None:
    assert _request(endpoint=endpoint, protocol="grpc").endpoint == endpoint
