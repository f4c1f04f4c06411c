"""What can go wrong on demand. Each factory returns a fault to hand to `server.fault(...)`."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import JsonValue

from tests.support.openai_server.faults import HttpFault
from tests.support.openai_server.gates import Gate
from tests.support.openai_server.json_types import encode


@dataclass(frozen=True, slots=True)
class CutFault:
    """The stream ends early, by a broken connection or cleanly; `is_kept` says whether the answer is kept."""

    after_events: int
    is_clean: bool
    is_kept: bool = True


@dataclass(frozen=True, slots=True)
class ErrorEventFault:
    """The stream ends with an error inside it."""

    after_events: int
    code: str
    status: int
    message: str


@dataclass(frozen=True, slots=True)
class CorruptFault:
    """One event holds this in place of its JSON."""

    after_events: int
    data: bytes


@dataclass(frozen=True, slots=True)
class DropFault:
    """The connection ends without a single byte of an answer."""


@dataclass(frozen=True, slots=True)
class DelayFault:
    """The headers are held back until the gate opens or the client leaves."""

    gate: Gate


Fault = HttpFault | CutFault | ErrorEventFault | CorruptFault | DropFault | DelayFault


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
    headers = () if retry_after is None else (("retry-after", f"{retry_after:g}"),)
    return HttpFault(status, encode({"error": error}), headers=headers)


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
    return HttpFault(status, b"<html><body><h1>Bad Gateway</h1></body></html>", content_type="text/html")


def body(raw: bytes, *, status: int = 200, content_type: str = "application/json") -> HttpFault:
    """Answer with exactly this."""
    return HttpFault(status, raw, content_type=content_type)


def redirect(to: str) -> HttpFault:
    """Answer 302."""
    return HttpFault(302, b"", headers=(("location", to),))


def cut_stream(*, after_events: int = 3, kept: bool = True) -> CutFault:
    """Break the connection after that many events."""
    return CutFault(after_events, is_clean=False, is_kept=kept)


def end_stream(*, after_events: int = 3, kept: bool = True) -> CutFault:
    """End the stream properly after that many events, without its terminal event."""
    return CutFault(after_events, is_clean=True, is_kept=kept)


def error_event(
    code: str = "internal", status: int = 500, message: str = "Scripted.", *, after_events: int = 1
) -> ErrorEventFault:
    """Send an error after that many events."""
    return ErrorEventFault(after_events, code, status, message)


def corrupt_event(data: bytes = b'{"half', *, after_events: int = 1) -> CorruptFault:
    """Send one event that is not of this API."""
    return CorruptFault(after_events, data)


def drop() -> DropFault:
    """End the connection before the answer."""
    return DropFault()


def delay(gate: Gate) -> DelayFault:
    """Hold the headers back at `gate`."""
    return DelayFault(gate)
