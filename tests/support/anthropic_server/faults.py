"""What can go wrong on demand. Each factory returns a fault to hand to ``server.fault(...)``."""

from __future__ import annotations

from tests.support.provider_server import faults as common
from tests.support.provider_server.faults import (
    CutFault,
    DelayFault,
    DropFault,
    ErrorEventFault,
    Fault,
    HttpFault,
    Kept,
    corrupt_event,
    empty_body,
    html_bad_gateway,
    redirect,
    retry_after_header,
    whole_answer,
)
from tests.support.provider_server.gates import Gate
from tests.support.provider_server.json_types import JsonObject, encode

from .api_errors import error_body, error_type

__all__ = [
    "Fault",
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
    "redirect",
    "whole_answer",
]


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
    message = "This request would exceed your rate limit."
    return http_error(429, message=message, headers=retry_after_header(retry_after))


def error_event(
    *, after_events: int = 4, kind: str = "overloaded_error", message: str = "Overloaded"
) -> ErrorEventFault:
    """End the stream, which began with status 200, with an ``error`` event."""
    return ErrorEventFault(after_events, kind, message)


def delay(gate: Gate, *, stored: bool = False) -> DelayFault:
    """Hold the headers back at ``gate``; ``stored`` processes the request before the wait."""
    return common.delay(gate, keeps=_kept(stored))


def drop(*, stored: bool = False) -> DropFault:
    """End the connection before the answer; ``stored`` says whether the request was processed and kept."""
    return common.drop(keeps=_kept(stored))


def cut_stream(*, after_events: int = 4, stored: bool = True) -> CutFault:
    """Break the connection after that many events; ``stored`` says whether the message is finished and kept."""
    return common.cut_stream(after_events=after_events, keeps=_kept(stored))


def end_stream(*, after_events: int = 4, stored: bool = True) -> CutFault:
    """End the stream properly after that many events, without its terminal event."""
    return common.end_stream(after_events=after_events, keeps=_kept(stored))


def _kept(is_stored: bool) -> Kept:
    return "turn" if is_stored else "nothing"
