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
    run_on,
    whole_answer,
)
from tests.support.provider_server.gates import Gate
from tests.support.provider_server.json_types import encode

from .api_errors import error_body

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
    "failed_response",
    "html_bad_gateway",
    "http_error",
    "insufficient_quota",
    "rate_limit",
    "redirect",
    "run_on",
    "whole_answer",
]


def http_error(
    status: int,
    *,
    code: str | None = None,
    message: str | None = None,
    error_type: str | None = None,
    retry_after: float | None = None,
) -> HttpFault:
    """Answer with ``status`` and an error body in the API's shape.

    Args:
        status: HTTP status code, such as 400, 401, 429, 500 or 503.
        code: ``error.code``.
        message: ``error.message``.
        error_type: ``error.type``; by default what the API uses for such a status.
        retry_after: Seconds for a Retry-After header.
    """
    kind = error_type or ("server_error" if status >= 500 else "invalid_request_error")
    body = error_body(message or f"Scripted failure with status {status}.", error_type=kind, code=code)
    return HttpFault(status, encode(body), headers=retry_after_header(retry_after))


def rate_limit(*, retry_after: float | None = 1.0) -> HttpFault:
    """Answer 429 ``rate_limit_exceeded``, with Retry-After in seconds unless None."""
    message = "Rate limit reached for requests. Please try again later."
    return http_error(429, code="rate_limit_exceeded", message=message, error_type="requests", retry_after=retry_after)


def insufficient_quota() -> HttpFault:
    """Answer 429 ``insufficient_quota``: the 429 that no waiting cures."""
    message = "You exceeded your current quota, please check your plan and billing details."
    return http_error(429, code="insufficient_quota", message=message, error_type="insufficient_quota")


def delay(gate: Gate, *, stored: bool = False) -> DelayFault:
    """Hold the headers back at ``gate``.

    Args:
        gate: Where the server waits.
        stored: True processes the request before the wait; False after it, and not at all if the client left.
    """
    return common.delay(gate, keeps=_kept(stored))


def drop(*, stored: bool = False) -> DropFault:
    """End the connection before the answer; ``stored`` says whether the request was processed and kept."""
    return common.drop(keeps=_kept(stored))


def cut_stream(*, after_events: int = 4, stored: bool = True, entered: bool = True) -> CutFault:
    """Break the connection after that many events (plain: in the middle of the body).

    Args:
        after_events: Events that are sent first.
        stored: Whether the response is finished and kept, or lost.
        entered: Whether a finished turn gets into its conversation.
    """
    return common.cut_stream(after_events=after_events, keeps=_kept(stored, is_entered=entered))


def end_stream(*, after_events: int = 4, stored: bool = True) -> CutFault:
    """End the stream properly after that many events, without its terminal event."""
    return common.end_stream(after_events=after_events, keeps=_kept(stored))


def failed_response(
    *, after_events: int = 4, message: str = "The server had an error while processing your request."
) -> ErrorEventFault:
    """End with ``response.failed`` (plain: status "failed") after that many events."""
    return ErrorEventFault(after_events, "server_error", message, shape="failed")


def error_event(
    *,
    after_events: int = 4,
    code: str = "server_error",
    message: str = "The server had an error while processing your request.",
    nested: bool = False,
) -> ErrorEventFault:
    """End with an ``error`` event (plain: a 500); ``nested`` puts it into an ``error`` object, which the SDK raises."""
    return ErrorEventFault(after_events, code, message, shape="nested" if nested else "flat")


def _kept(is_stored: bool, *, is_entered: bool = True) -> Kept:
    return "nothing" if not is_stored else "turn" if is_entered else "answer"
