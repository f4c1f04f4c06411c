"""What `configure_telemetry` may be asked for, and what is wrong with it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Final, Literal, TypeGuard, cast, get_args
from urllib.parse import urlsplit

from langswarm_sessions_otel import semconv
from langswarm_sessions_otel.errors import TelemetryConfigurationError as TelemetryConfigurationError
from langswarm_sessions_otel.settings import warn_once

Protocol = Literal["http/protobuf", "grpc", "http/json"]
Signal = Literal["traces", "metrics", "logs"]
AttributeValue = str | bool | int | float

SIGNALS: Final[tuple[Signal, ...]] = get_args(Signal)
DEFAULT_SPAN_FILE_LIMIT: Final = 50_000_000
DEFAULT_SHUTDOWN_TIMEOUT: Final = 5.0
PROTOCOLS_OF_EXPORTERS: Final[Mapping[str, Protocol]] = {"otlp_proto_http": "http/protobuf", "otlp_proto_grpc": "grpc"}
_PROTOCOLS: Final = get_args(Protocol)
_DEFAULT_TIMEOUT: Final = 2.0
_LEAST_LIMIT: Final = 10_000
_UNWRITTEN: Final = re.compile(r"[\s\x00-\x1f\x7f]")
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_GRPC_NAME: Final = re.compile(r"[0-9a-z_.-]+(?<!-bin)")
_HEADER_VALUE: Final = re.compile(r"(?!\s)[\t\x20-\x7e\x80-\xff]*(?<!\s)")


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetryRequest:
    """What `configure_telemetry` was asked for.

    Attributes:
        service_name: ``service.name`` of the resource, None for the resource's attributes and the ``OTEL_*`` variables.
        exports: What is sent by OTLP.
        endpoint: Address of the OTLP receiver, None for the ``OTEL_*`` variables.
        protocol: How it is sent, None for the ``OTEL_*`` variables.
        headers: Headers of the export, such as an authorisation.
        insecure: Whether gRPC goes without TLS, None to tell by the address and the ``OTEL_*`` variables.
        sampling_ratio: Share of traces that is recorded, None for the ``OTEL_*`` variables.
        metric_interval: Seconds between two exports of metrics, None for the ``OTEL_*`` variables.
        console: Whether trees of spans are printed.
        span_file: File that gets a line of JSON for each span.
        span_file_required: Whether all fails when it cannot be written; else that is a warning.
        span_file_limit: Bytes after which the file is put aside for a new one.
        export_timeout: Seconds that one export may take, None for the ``OTEL_*`` variables, else 2.
        shutdown_timeout: Seconds that the end of the process may be held up.
        resource_attributes: More attributes of the resource.
    """

    service_name: str | None = None
    exports: frozenset[Signal] = field(default=frozenset(), compare=False)  # follows from the others
    endpoint: str | None = field(default=None, repr=False)  # may hold a name and a password
    protocol: Protocol | None = None
    headers: Mapping[str, str] | None = field(default=None, repr=False)
    insecure: bool | None = None
    sampling_ratio: float | None = None
    metric_interval: float | None = None
    console: bool = False
    span_file: Path | None = None
    span_file_required: bool = field(default=True, compare=False)
    span_file_limit: int = DEFAULT_SPAN_FILE_LIMIT
    export_timeout: float | None = None
    shutdown_timeout: float = DEFAULT_SHUTDOWN_TIMEOUT
    resource_attributes: Mapping[str, AttributeValue] | None = None

    def __post_init__(self) -> None:
        _check_service_name(self.service_name, self.resource_attributes)
        _check_protocol(self.protocol)
        _check_endpoint(self.endpoint, grpc=self.protocol_of("traces") == "grpc")
        has_grpc = "grpc" in {self.protocol_of(signal) for signal in SIGNALS}
        _check_headers(self.headers, grpc=has_grpc)
        _check_insecure(self.insecure, grpc=has_grpc)
        _check_switch("console", self.console)
        _check_numbers(self)
        _check_resource(self.resource_attributes)

    def protocol_of(self, signal: Signal) -> Protocol:
        """Return how a signal is sent, by the argument, its variable or the one for all signals.

        Args:
            signal: What is sent.

        Raises:
            TelemetryConfigurationError: A variable names a protocol that does not exist.
        """
        if self.protocol is not None:
            return self.protocol
        name, value = named_protocol(signal)
        if value and value not in _PROTOCOLS:
            raise TelemetryConfigurationError(f"{name} must be one of {_told(_PROTOCOLS)}, not {value[:40]!r}.")
        return cast("Protocol", value or "http/protobuf")

    def timeout_of(self, signal: Signal) -> float:
        """Return the seconds that one export may take, by the argument, its variable or the one for all signals.

        Args:
            signal: What is sent.
        """
        if self.export_timeout is not None:
            return float(self.export_timeout)
        name, text = named_for(signal, "TIMEOUT")
        return _seconds(name, text) if text else _DEFAULT_TIMEOUT

    def differences(self, other: TelemetryRequest) -> list[str]:
        """Name the arguments in which another request asks for something else.

        Args:
            other: The other one.
        """
        compared = [field.name for field in fields(self) if field.compare]
        return [name for name in compared if getattr(self, name) != getattr(other, name)]


def _seconds(name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if 0 < number < float("inf"):
        return number
    warn_once(name, "a number of seconds above 0", f"it is {_DEFAULT_TIMEOUT:.0f}")
    return _DEFAULT_TIMEOUT


def said(variable: str) -> str:
    """Return what a variable of the process says; empty for nothing.

    Args:
        variable: Its name.
    """
    return os.environ.get(variable, "").strip()


def named_for(signal: Signal, what: str, value: Callable[[str], str] = said) -> tuple[str, str]:
    """Name the variable that says something of an exporter, that of its signal or that of all, with what it says.

    Args:
        signal: What is sent.
        what: Such as ``ENDPOINT``.
        value: Returns what a variable says, empty for nothing.

    Returns:
        Both empty for none.
    """
    variables = (f"OTEL_EXPORTER_OTLP_{signal.upper()}_{what}", f"OTEL_EXPORTER_OTLP_{what}")
    return next(((name, text) for name in variables if (text := value(name))), ("", ""))


def named_exporters(signal: Signal, value: Callable[[str], str]) -> tuple[str, list[str]]:
    """Name the variable that says by what a signal goes, with what it says.

    Args:
        signal: What is sent.
        value: Returns what a variable says, empty for nothing.
    """
    name = f"OTEL_{signal.upper()}_EXPORTER"
    return name, [item for part in value(name).split(",") if (item := part.strip().lower())]


def named_protocol(signal: Signal, value: Callable[[str], str] = said) -> tuple[str, str]:
    """Name the variable that says how a signal is sent, with what it says, which may be wrong; empty for none.

    Args:
        signal: What is sent.
        value: Returns what a variable says, empty for nothing.
    """
    exporter, items = named_exporters(signal, value)
    for item in items:
        if item in PROTOCOLS_OF_EXPORTERS:
            return exporter, PROTOCOLS_OF_EXPORTERS[item]
    return named_for(signal, "PROTOCOL", value)


def default_receiver(protocol: str) -> str:
    """Return OpenTelemetry's own address of a receiver.

    Args:
        protocol: How it is sent to.
    """
    return "http://localhost:4317" if protocol == "grpc" else "http://localhost:4318"


def span_file_of(given: str | os.PathLike[str] | bool | None) -> Path | None:
    """Return the file that spans are written to.

    Args:
        given: A path; True for the place where ``langswarm-sessions trace`` looks; None for the variable
            ``LANGSWARM_SESSIONS_SPAN_FILE`` alone; False for no file.

    Raises:
        TelemetryConfigurationError: It is no path.
    """
    if given is False:
        return None
    if given is None or given is True:
        given = named_span_file() or (semconv.DEFAULT_SPAN_FILE if given else None)
        if given is None:
            return None
    told: object = os.fspath(given) if isinstance(cast("object", given), str | os.PathLike) else None
    if not isinstance(told, str) or not told.strip() or "\0" in told:
        raise TelemetryConfigurationError("span_file must be the path of a file, or True for the default one.")
    try:
        return Path(told).expanduser().absolute()
    except RuntimeError as error:  # ~NAME where nobody has that name
        raise TelemetryConfigurationError(f"span_file must be the path of a file: {error}") from None


def named_span_file() -> str | None:
    """Return the file that the variable ``LANGSWARM_SESSIONS_SPAN_FILE`` names, None if it is not set."""
    return said(semconv.ENV_SPAN_FILE) or None


def _told(values: tuple[str, ...]) -> str:
    return ", ".join(repr(value) for value in values)


def _check_service_name(name: object, attributes: object) -> None:
    if name is None:
        return
    if not isinstance(name, str) or not name.strip():
        raise TelemetryConfigurationError("service_name must be a non-empty string.")
    if (
        isinstance(attributes, Mapping)
        and cast("Mapping[str, object]", attributes).get(semconv.SERVICE_NAME, name) != name
    ):
        raise TelemetryConfigurationError("service_name must be left out where resource_attributes say service.name.")


def _check_switch(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise TelemetryConfigurationError(f"{name} must be True or False.")


def _check_protocol(protocol: object) -> None:
    if protocol is not None and protocol not in _PROTOCOLS:
        raise TelemetryConfigurationError(f"protocol must be one of {_told(_PROTOCOLS)}.")


def _check_endpoint(endpoint: object, *, grpc: bool) -> None:
    if endpoint is None:
        return
    example = default_receiver("grpc" if grpc else "http/protobuf")
    if not is_address(endpoint, bare=grpc):
        raise TelemetryConfigurationError(f"endpoint must be the base address of an OTLP receiver, such as {example}.")
    path = urlsplit(str(endpoint)).path.rstrip("/")
    if path.endswith(("/v1/traces", "/v1/metrics", "/v1/logs")):
        raise TelemetryConfigurationError("endpoint must be the base address: leave out /v1 and what follows.")


def is_address(value: object, *, bare: bool) -> bool:
    """Tell whether something is the base address of a receiver.

    Args:
        value: Anything.
        bare: Whether it may do without ``http://``, as for gRPC.
    """
    if not isinstance(value, str) or _UNWRITTEN.search(value):
        return False
    try:
        parts = urlsplit(value if "://" in value or not bare else f"http://{value}")
        right = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return right and not parts.query and not parts.fragment


def _check_headers(headers: object, *, grpc: bool) -> None:
    if headers is None:
        return
    if not isinstance(headers, Mapping):
        raise TelemetryConfigurationError("headers must be a mapping of names to values.")
    # Who sends them would quote a wrong value, which may be a key, in its error.
    for name, value in cast("Mapping[object, object]", headers).items():
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
            raise TelemetryConfigurationError("headers must be named with letters, digits and hyphens.")
        if not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value):
            raise TelemetryConfigurationError(
                f"headers must be one line of text each, without spaces at its ends: {name!r} is not."
            )
        if grpc and not (_GRPC_NAME.fullmatch(name.lower()) and value.isascii()):
            raise TelemetryConfigurationError(
                "headers must be ASCII, and named with letters, digits and hyphens, not ending in -bin, for gRPC: "
                f"{name!r} is not."
            )


def _check_insecure(insecure: object, *, grpc: bool) -> None:
    if insecure is not None and not isinstance(insecure, bool):
        raise TelemetryConfigurationError("insecure must be True, False or None.")
    if insecure is not None and not grpc:
        raise TelemetryConfigurationError(
            "insecure must be left out without protocol='grpc': of HTTP the address says it, by http or https."
        )


def _check_numbers(request: TelemetryRequest) -> None:
    for name in ("export_timeout", "metric_interval", "shutdown_timeout"):
        seconds: object = getattr(request, name)
        optional = name != "shutdown_timeout"
        if not (optional and seconds is None) and not (_is_number(seconds) and 0 < seconds < float("inf")):
            raise TelemetryConfigurationError(f"{name} must be a number of seconds above 0.")
    ratio: object = request.sampling_ratio
    if ratio is not None and not (_is_number(ratio) and 0 <= ratio <= 1):
        raise TelemetryConfigurationError("sampling_ratio must be a number from 0 to 1: the share of traces to record.")
    limit: object = request.span_file_limit
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < _LEAST_LIMIT:
        raise TelemetryConfigurationError(f"span_file_limit must be a number of bytes, at least {_LEAST_LIMIT:,}.")


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_resource(attributes: object) -> None:
    if attributes is None:
        return
    wrong = TelemetryConfigurationError("resource_attributes must be a mapping of names to strings or numbers.")
    if not isinstance(attributes, Mapping):
        raise wrong
    for name, value in cast("Mapping[object, object]", attributes).items():
        if not isinstance(name, str) or not name or not isinstance(value, str | bool | int | float):
            raise wrong
        if name == semconv.SERVICE_NAME and not (isinstance(value, str) and value.strip()):
            raise TelemetryConfigurationError("resource_attributes must give service.name as a non-empty string.")
