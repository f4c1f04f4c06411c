"""What can go wrong on demand. Each factory returns a fault to hand to ``server.fault(...)``."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from dataclasses import dataclass
from typing import Literal

from .api_errors import error_body
from .gates import Gate
from .json_types import encode


@dataclass(frozen=True, slots=True)
class HttpFault:
    """An answer that replaces the real one; the request is not processed."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class DelayFault:
    """The headers are held back until the gate opens or the client leaves."""

    gate: Gate
    is_stored: bool


@dataclass(frozen=True, slots=True)
class DropFault:
    """The connection ends without a single byte of an answer."""

    is_stored: bool


@dataclass(frozen=True, slots=True)
class CutFault:
    """The answer ends early: by a broken connection, or cleanly but without its terminal event."""

    after_events: int
    is_clean: bool
    is_stored: bool
    is_entered: bool = True


@dataclass(frozen=True, slots=True)
class RunOnFault:
    """The connection ends, but the model goes on: it finishes when the gate opens.

    `after_events` None: not a byte of the answer is sent, and it is the client that gives up.
    """

    gate: Gate
    after_events: int | None


@dataclass(frozen=True, slots=True)
class FailedFault:
    """The response ends with ``response.failed`` (plain: status "failed")."""

    after_events: int
    message: str


@dataclass(frozen=True, slots=True)
class ErrorEventFault:
    """The stream ends with an ``error`` event (plain: a 500)."""

    after_events: int
    code: str
    message: str
    is_nested: bool


@dataclass(frozen=True, slots=True)
class CorruptFault:
    """One event (plain: the body) is no JSON."""

    after_events: int


Fault = HttpFault | DelayFault | DropFault | CutFault | RunOnFault | FailedFault | ErrorEventFault | CorruptFault
"""Any fault the server knows."""

Operation = Literal["create", "retrieve", "delete", "chat", "conversations", "items"]
"""What a fault can befall."""


class FaultQueue:
    """The faults of the requests to come. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: defaultdict[Operation, deque[Fault | None]] = defaultdict(deque)

    def put(self, fault: Fault, *, times: int, after: int, operation: Operation) -> None:
        """Let ``after`` requests pass, then have the fault befall ``times`` of them."""
        with self._lock:
            self._waiting[operation].extend([None] * after + [fault] * times)

    def take(self, operation: Operation) -> Fault | None:
        """Return the fault of the request that is being served."""
        with self._lock:
            waiting = self._waiting[operation]
            return waiting.popleft() if waiting else None


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
    headers = () if retry_after is None else (("retry-after", f"{retry_after:g}"),)
    return HttpFault(status, encode(body), headers=headers)


def rate_limit(*, retry_after: float | None = 1.0) -> HttpFault:
    """Answer 429 ``rate_limit_exceeded``, with Retry-After in seconds unless None."""
    message = "Rate limit reached for requests. Please try again later."
    return http_error(429, code="rate_limit_exceeded", message=message, error_type="requests", retry_after=retry_after)


def insufficient_quota() -> HttpFault:
    """Answer 429 ``insufficient_quota``: the 429 that no waiting cures."""
    message = "You exceeded your current quota, please check your plan and billing details."
    return http_error(429, code="insufficient_quota", message=message, error_type="insufficient_quota")


def html_bad_gateway() -> HttpFault:
    """Answer 502 with a proxy's HTML page."""
    page = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
    return HttpFault(502, page, content_type="text/html")


def empty_body(*, status: int = 200) -> HttpFault:
    """Answer ``status`` with nothing in it."""
    return HttpFault(status, b"")


def delay(gate: Gate, *, stored: bool = False) -> DelayFault:
    """Hold the headers back at ``gate``.

    Args:
        gate: Where the server waits.
        stored: True processes the request before the wait; False after it, and not at all if the client left.
    """
    return DelayFault(gate, is_stored=stored)


def drop(*, stored: bool = False) -> DropFault:
    """End the connection before the answer; ``stored`` says whether the request was processed and kept."""
    return DropFault(is_stored=stored)


def cut_stream(*, after_events: int = 4, stored: bool = True, entered: bool = True) -> CutFault:
    """Break the connection after that many events (plain: in the middle of the body).

    Args:
        after_events: Events that are sent first.
        stored: Whether the response is finished and kept, or lost.
        entered: Whether a finished turn gets into its conversation.
    """
    return CutFault(after_events, is_clean=False, is_stored=stored, is_entered=entered)


def end_stream(*, after_events: int = 4, stored: bool = True) -> CutFault:
    """End the stream properly after that many events, without its terminal event."""
    return CutFault(after_events, is_clean=True, is_stored=stored)


def run_on(gate: Gate, *, after_events: int | None = 4) -> RunOnFault:
    """Break the connection after that many events while the model goes on until the gate opens.

    Args:
        gate: Where the model waits; its conversation is locked meanwhile.
        after_events: None sends nothing and waits for the client to give up.
    """
    return RunOnFault(gate, after_events)


def failed_response(
    *, after_events: int = 4, message: str = "The server had an error while processing your request."
) -> FailedFault:
    """End with ``response.failed`` after that many events."""
    return FailedFault(after_events, message)


def error_event(
    *,
    after_events: int = 4,
    code: str = "server_error",
    message: str = "The server had an error while processing your request.",
    nested: bool = False,
) -> ErrorEventFault:
    """End with an ``error`` event; ``nested`` puts it into an ``error`` object, which the SDK raises."""
    return ErrorEventFault(after_events, code, message, is_nested=nested)


def corrupt_event(*, after_events: int = 4) -> CorruptFault:
    """Send one event that is no JSON after that many good ones."""
    return CorruptFault(after_events)
