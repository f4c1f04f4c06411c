"""What can go wrong on demand. Each factory returns a fault to hand to ``server.fault(...)``."""

from __future__ import annotations

from tests.support.provider_server import faults as common
from tests.support.provider_server.faults import (
    CorruptFault,
    CutFault,
    DelayFault,
    ErrorEventFault,
    Fault,
    HttpFault,
    Kept,
    RunOnFault,
    drop,
    empty_body,
    html_bad_gateway,
    redirect,
    retry_after_header,
    whole_answer,
)
from tests.support.provider_server.gates import Gate
from tests.support.provider_server.json_types import encode

from .refusals import error_body

__all__ = [
    "Fault",
    "HttpFault",
    "Kept",
    "corrupt_event",
    "cut_stream",
    "delay",
    "drop",
    "empty_body",
    "end_stream",
    "error_event",
    "html_bad_gateway",
    "http_error",
    "overflow",
    "page",
    "rate_limit",
    "redirect",
    "whole_answer",
]


def http_error(
    status: int,
    *,
    message: str | None = None,
    kind: str = "invalid_request_error",
    code: str | None = None,
    retry_after: float | None = None,
) -> HttpFault:
    """Answer with ``status`` and an error body in the API's shape; ``retry_after`` in seconds."""
    body = error_body(status, message or f"Scripted failure with status {status}.", kind=kind, code=code)
    return HttpFault(status, encode(body), headers=retry_after_header(retry_after))


def rate_limit(*, retry_after: float | None = 1.0) -> HttpFault:
    """Answer 429 as the API does."""
    return http_error(429, message="Rate limit exceeded", kind="rate_limited", code="1300", retry_after=retry_after)


def overflow() -> HttpFault:
    """Answer that the prompt is too long."""
    message = "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length"
    return http_error(400, message=message, kind="invalid_request_prompt", code="3051")


def page(status: int, body: bytes, *, content_type: str = "text/html") -> HttpFault:
    """Answer with anything."""
    return whole_answer(body, status=status, content_type=content_type)


def delay(gate: Gate, *, keeps: Kept = "nothing", late: bool = False) -> DelayFault | RunOnFault:
    """Hold the headers back at ``gate``.

    Args:
        gate: Where the server waits.
        keeps: What is kept of the request.
        late: Keep it only when the gate opens, though the client be gone.
    """
    return common.run_on(gate, after_events=None, keeps=keeps) if late else common.delay(gate, keeps=keeps)


def cut_stream(*, after_events: int = 3, keeps: Kept = "turn") -> CutFault:
    """Break the connection after that many events."""
    return common.cut_stream(after_events=after_events, keeps=keeps)


def end_stream(*, after_events: int = 3, keeps: Kept = "turn") -> CutFault:
    """End the stream properly after that many events, without its terminal event."""
    return common.end_stream(after_events=after_events, keeps=keeps)


def error_event(
    *, after_events: int = 3, code: int = 3000, message: str = "Something failed.", keeps: Kept = "nothing"
) -> ErrorEventFault:
    """End with an error event (in a chat completion: finish reason ``error``) after that many events."""
    return ErrorEventFault(after_events, str(code), message, keeps)


def corrupt_event(*, after_events: int = 3) -> CorruptFault:
    """Send one event that is no JSON after that many good ones."""
    return common.corrupt_event(after_events=after_events)
