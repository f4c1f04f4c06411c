"""What exporters complain of: heard instead of logged, told without what it quotes, and with what to do about it."""

from __future__ import annotations

import enum
import logging
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from langswarm_sessions_otel.settings import warn_once

if TYPE_CHECKING:
    import requests

__all__ = ["headers_unquoted", "heard_complaints", "listening_session", "overhear", "remedy_of", "root_of"]

_heard: ContextVar[list[str] | None] = ContextVar("langswarm_sessions_heard", default=None)
_reading: ContextVar[str | None] = ContextVar("langswarm_sessions_reading_headers", default=None)
_READER: Final = "opentelemetry.util.re"
_PHRASES: Final = {status.phrase: f"status {status.value}" for status in HTTPStatus if status >= 400}
_LOGGERS: Final = ("opentelemetry.exporter.otlp.common.http", "urllib3.connectionpool", "urllib3.connection")
_REMEDIES: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    (
        "correct headers, or OTEL_EXPORTER_OTLP_HEADERS",
        ("401", "403", "UNAUTHENTICATED", "PERMISSION_DENIED", "InvalidHeader"),
    ),
    ("send less, with sampling_ratio, or raise the receiver's limit", ("429", "RESOURCE_EXHAUSTED")),
    ("lower OTEL_BSP_MAX_EXPORT_BATCH_SIZE", ("413",)),
    ("correct https or http of the endpoint, or OTEL_EXPORTER_OTLP_CERTIFICATE", ("SSL", "Certificate", "OSError")),
    ("raise export_timeout, or see why the receiver is slow", ("no answer", "Timeout", "DEADLINE", "408")),
    ("see what is wrong with the receiver", ("500", "502", "503", "504", "INTERNAL")),
    (
        "start a receiver there, or correct the endpoint",
        ("NewConnection", "Refused", "Resolution", "gaierror", "UNAVAILABLE", "InvalidSchema", "InvalidURL"),
    ),
)
_ELSE: Final = "see whether the endpoint speaks this protocol: 4318 is for http/protobuf, 4317 for grpc"


def overhear(exporter: object) -> None:
    """Keep what an exporter logs from the log while `heard_complaints` hears.

    Args:
        exporter: The exporter.
    """
    for name in {*(kind.__module__ for kind in type(exporter).__mro__), *_LOGGERS}:
        filters = logging.getLogger(name).filters
        if _is_for_the_log not in filters:
            filters.insert(0, _is_for_the_log)  # before the SDK's own, which drops what another exporter said before


@contextmanager
def heard_complaints() -> Generator[list[str]]:
    """Hear what the exporter of this thread complains of: codes and names of classes, never a text, which may quote.

    Yields:
        The reasons so far, the last one last.
    """
    reasons: list[str] = []
    token = _heard.set(reasons)
    try:
        yield reasons
    finally:
        _heard.reset(token)


@contextmanager
def headers_unquoted(variable: str) -> Generator[None]:
    """Warn of headers that OpenTelemetry cannot read by the name of their variable; it would quote them, keys and all.

    Args:
        variable: The one that is read.
    """
    filters = logging.getLogger(_READER).filters
    if _is_for_others not in filters:
        filters.insert(0, _is_for_others)
    token = _reading.set(variable)
    try:
        yield
    finally:
        _reading.reset(token)


def listening_session() -> requests.Session:
    """Return a session that is heard: of what is not tried again, exporters do not log what became of it."""
    import requests

    class Listening(requests.Session):
        def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
            try:
                response = super().send(request, **options)
            except requests.ConnectionError as error:
                _hear(root_of(error))
                raise
            if response.status_code >= 400:
                _hear(f"status {response.status_code}")
            return response

        def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
            # Else a bundle of the machine's would go before the certificate that is for exports alone.
            own = self.verify if verify is None and isinstance(self.verify, str) else verify
            return super().merge_environment_settings(url, proxies, stream, own, cert)

    return Listening()


def _hear(reason: str) -> None:
    heard = _heard.get()
    # An exporter that tries again when its time is up gives less than no time, which is refused: that tells nothing.
    if heard is not None and not (heard and reason == ValueError.__name__):
        heard.append(reason)


def remedy_of(reason: str) -> str:
    """Return what can be done about a reason.

    Args:
        reason: As it was heard.
    """
    return next((remedy for remedy, signs in _REMEDIES if any(sign in reason for sign in signs)), _ELSE)


def root_of(error: BaseException) -> str:
    """Name the innermost error: of requests' ConnectionError it is the refusal, the time-out, the certificate.

    Args:
        error: What was raised.
    """
    for _ in range(10):
        inner: object = getattr(error, "reason", None) or next(iter(error.args), None) or error.__cause__
        if not isinstance(inner, BaseException):
            break
        error = inner
    return type(error).__name__


def _is_for_the_log(record: logging.LogRecord) -> bool:
    if _heard.get() is None:
        return True
    for argument in record.args if isinstance(record.args, tuple) else ():
        if (reason := _reason(argument)) is not None:
            _hear(reason)
    return False


def _is_for_others(_: logging.LogRecord) -> bool:
    if (variable := _reading.get()) is None:
        return True
    warn_once(variable, "name=value,name=value", "what is not written so is left out")
    return False


def _reason(argument: object) -> str | None:
    if isinstance(argument, BaseException):
        return root_of(argument)
    if isinstance(argument, enum.Enum):
        return argument.name
    if isinstance(argument, int) and 400 <= argument < 600:
        return f"status {argument}"
    return _PHRASES.get(argument) if isinstance(argument, str) else None
