"""What can go wrong on demand. Each factory returns a fault to hand to ``server.fault(...)``."""

from __future__ import annotations

from tests.support.provider_server import faults as common
from tests.support.provider_server.faults import (
    CorruptFault,
    ErrorEventFault,
    Fault,
    HttpFault,
    cut_stream,
    delay,
    drop,
    empty_body,
    end_stream,
    html_bad_gateway,
    redirect,
    retry_after_header,
    whole_answer,
)
from tests.support.provider_server.json_types import encode

from .api_errors import error_body

__all__ = [
    "Fault",
    "HttpFault",
    "cut_stream",
    "delay",
    "drop",
    "empty_body",
    "end_stream",
    "failed_answer",
    "html_bad_gateway",
    "http_error",
    "plain_json",
    "rate_limit",
    "redirect",
    "strange_event",
    "whole_answer",
]


def http_error(status: int, message: str = "Scripted failure.", *, headers: dict[str, str] | None = None) -> HttpFault:
    """Answer with ``status`` and an error body in the API's shape."""
    return HttpFault(status, encode(error_body(message)), headers=tuple((headers or {}).items()))


def rate_limit(*, retry_after: float | None = 1.0) -> HttpFault:
    """Answer 429, with Retry-After in seconds unless None."""
    message = "You are past the per minute request limit, please wait and try again later."
    return http_error(429, message, headers=dict(retry_after_header(retry_after)))


def plain_json() -> HttpFault:
    """Answer 200 with a whole JSON answer where a stream was asked for."""
    return whole_answer(b'{"id":"1","finish_reason":"COMPLETE","message":{"role":"assistant"}}')


def failed_answer(reason: str = "ERROR", error: str | None = None, *, after_events: int = 4) -> ErrorEventFault:
    """End with a terminal event that says that the answer failed."""
    return ErrorEventFault(after_events, reason, error or "")


def strange_event(data: bytes, *, after_events: int = 4, is_last: bool = False) -> CorruptFault:
    """Send this as the data of one event."""
    return common.corrupt_event(data, after_events=after_events, is_last=is_last)
