"""What can go wrong on demand. Each factory returns a fault to hand to `server.fault(...)`."""

from __future__ import annotations

from pydantic import JsonValue

from tests.support.provider_server import faults as common
from tests.support.provider_server.faults import (
    CorruptFault,
    CutFault,
    ErrorEventFault,
    Fault,
    HttpFault,
    Kept,
    delay,
    drop,
    empty_body,
    html_bad_gateway,
    retry_after_header,
    whole_answer,
)
from tests.support.provider_server.json_types import encode

__all__ = [
    "Fault",
    "HttpFault",
    "body",
    "corrupt_event",
    "cut_stream",
    "daily_quota",
    "delay",
    "drop",
    "empty_body",
    "end_stream",
    "error_event",
    "html",
    "html_bad_gateway",
    "http_error",
    "invalid_key",
    "overflow",
    "rate_limit",
    "redirect",
    "whole_answer",
]


def http_error(
    status: int,
    code: str = "INTERNAL",
    message: str = "Scripted failure.",
    *,
    details: list[JsonValue] | None = None,
    retry_after: float | None = None,
) -> HttpFault:
    """Answer with an error body in the API's shape."""
    error: dict[str, JsonValue] = {"code": status, "message": message, "status": code}
    if details is not None:
        error["details"] = details
    return HttpFault(status, encode({"error": error}), headers=retry_after_header(retry_after))


def rate_limit(seconds: float | None = 2) -> HttpFault:
    """Answer 429 with the delay Google writes into the body."""
    info: JsonValue = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{seconds or 0:g}s"}
    message = "You exceeded your current quota, please check your plan and billing details."
    return http_error(429, "RESOURCE_EXHAUSTED", message, details=[] if seconds is None else [info])


def daily_quota() -> HttpFault:
    """Answer the 429 that no waiting cures."""
    violation: JsonValue = {"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}
    failure: JsonValue = {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation]}
    return http_error(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota.", details=[failure])


def invalid_key() -> HttpFault:
    """Answer 400 as for a key that is none."""
    info: JsonValue = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
    message = "API key not valid. Please pass a valid API key."
    return http_error(400, "INVALID_ARGUMENT", message, details=[info])


def overflow() -> HttpFault:
    """Answer 400 as for an input beyond the window."""
    message = "The input token count (1048577) exceeds the maximum number of tokens allowed (1048576)."
    return http_error(400, "INVALID_ARGUMENT", message)


def html(status: int = 502) -> HttpFault:
    """Answer with a proxy's page."""
    return html_bad_gateway(status)


def body(raw: bytes, *, status: int = 200, content_type: str = "application/json") -> HttpFault:
    """Answer with exactly this."""
    return whole_answer(raw, status=status, content_type=content_type)


def redirect(to: str) -> HttpFault:
    """Answer 302."""
    return common.redirect(to, status=302)


def cut_stream(*, after_events: int = 3, kept: bool = True) -> CutFault:
    """Break the connection after that many events."""
    return common.cut_stream(after_events=after_events, keeps=_kept(kept))


def end_stream(*, after_events: int = 3, kept: bool = True) -> CutFault:
    """End the stream properly after that many events, without its terminal event."""
    return common.end_stream(after_events=after_events, keeps=_kept(kept))


def error_event(
    code: str = "internal", status: int = 500, message: str = "Scripted.", *, after_events: int = 1
) -> ErrorEventFault:
    """Send an error after that many events."""
    return ErrorEventFault(after_events, code, message, status=status)


def corrupt_event(data: bytes = b'{"half', *, after_events: int = 1) -> CorruptFault:
    """Send one event that is not of this API."""
    return common.corrupt_event(data, after_events=after_events)


def _kept(is_kept: bool) -> Kept:
    return "turn" if is_kept else "nothing"
