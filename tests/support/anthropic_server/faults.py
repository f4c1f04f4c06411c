"""What can go wrong on demand. Each factory returns a fault to hand to ``server.fault(...)``."""

from __future__ import annotations

from tests.support.openai_server.faults import (
    CorruptFault,
    CutFault,
    DelayFault,
    DropFault,
    ErrorEventFault,
    FaultQueue,
    HttpFault,
    corrupt_event,
    cut_stream,
    delay,
    drop,
    empty_body,
    end_stream,
    html_bad_gateway,
)
from tests.support.openai_server.json_types import JsonObject, encode

from .api_errors import error_body, error_type

__all__ = [
    "CorruptFault",
    "CutFault",
    "DelayFault",
    "DropFault",
    "ErrorEventFault",
    "Fault",
    "FaultQueue",
    "HttpFault",
    "corrupt_event",
    "cut_stream",
    "delay",
    "drop",
    "empty_body",
    "end_stream",
    "error_event",
    "html_bad_gateway",
    "http_error",
    "rate_limit",
]

Fault = HttpFault | DelayFault | DropFault | CutFault | ErrorEventFault | CorruptFault
"""Any fault the server knows."""


def http_error(
    status: int,
    *,
    code: str | None = None,
    message: str | None = None,
    kind: str | None = None,
    headers: tuple[tuple[str, str], ...] = (),
) -> HttpFault:
    """Answer with ``status`` and an error body in the API's shape.

    Args:
        status: HTTP status code.
        code: ``error.details.error_code``.
        message: ``error.message``.
        kind: ``error.type``; by default what the API uses for such a status.
        headers: Further headers.
    """
    details: JsonObject | None = None if code is None else {"error_code": code}
    text = message or f"Scripted failure with status {status}."
    return HttpFault(
        status, encode(error_body(text, kind=kind or error_type(status), details=details)), headers=headers
    )


def rate_limit(*, retry_after: float | None = 1.0) -> HttpFault:
    """Answer 429, with Retry-After in seconds unless None."""
    headers = () if retry_after is None else (("retry-after", f"{retry_after:g}"),)
    return http_error(429, message="This request would exceed your rate limit.", headers=headers)


def error_event(
    *, after_events: int = 4, kind: str = "overloaded_error", message: str = "Overloaded"
) -> ErrorEventFault:
    """End the stream, which began with status 200, with an ``error`` event."""
    return ErrorEventFault(after_events, kind, message, is_nested=True)
