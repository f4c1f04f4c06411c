"""What can go wrong on demand. Each factory returns a fault to hand to ``server.fault(...)``."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import Literal

from tests.support.openai_server.faults import HttpFault
from tests.support.openai_server.gates import Gate
from tests.support.openai_server.json_types import encode

from .refusals import error_body

Kept = Literal["nothing", "inputs", "turn"]
"""What a conversation keeps of a request that failed."""

Operation = Literal["answer", "history", "delete"]
"""What a fault can befall."""


@dataclass(frozen=True, slots=True)
class DropFault:
    """The connection ends without a single byte of an answer."""

    keeps: Kept


@dataclass(frozen=True, slots=True)
class DelayFault:
    """The headers are held back until the gate opens or the client leaves; what is kept is kept before or after."""

    gate: Gate
    keeps: Kept
    is_late: bool


@dataclass(frozen=True, slots=True)
class CutFault:
    """The stream ends early: by a broken connection, or cleanly but without its terminal event."""

    after_events: int
    is_clean: bool
    keeps: Kept


@dataclass(frozen=True, slots=True)
class ErrorEventFault:
    """The stream ends with an error event (in a chat completion: finish reason ``error``)."""

    after_events: int
    code: int
    message: str
    keeps: Kept


@dataclass(frozen=True, slots=True)
class CorruptFault:
    """One event is no event of this API; the turn is kept."""

    after_events: int


Fault = HttpFault | DropFault | DelayFault | CutFault | ErrorEventFault | CorruptFault


class FaultQueue:
    """The faults of the requests to come. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[Operation, deque[Fault | None]] = {
            "answer": deque(),
            "history": deque(),
            "delete": deque(),
        }

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
    message: str | None = None,
    kind: str = "invalid_request_error",
    code: str | None = None,
    retry_after: float | None = None,
) -> HttpFault:
    """Answer with ``status`` and an error body in the API's shape; ``retry_after`` in seconds."""
    body = error_body(status, message or f"Scripted failure with status {status}.", kind=kind, code=code)
    headers = () if retry_after is None else (("retry-after", f"{retry_after:g}"),)
    return HttpFault(status, encode(body), headers=headers)


def rate_limit(*, retry_after: float | None = 1.0) -> HttpFault:
    """Answer 429 as the API does."""
    return http_error(429, message="Rate limit exceeded", kind="rate_limited", code="1300", retry_after=retry_after)


def overflow() -> HttpFault:
    """Answer that the prompt is too long."""
    message = "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length"
    return http_error(400, message=message, kind="invalid_request_prompt", code="3051")


def page(status: int, body: bytes, *, content_type: str = "text/html") -> HttpFault:
    """Answer with anything."""
    return HttpFault(status, body, content_type=content_type)


def drop(*, keeps: Kept = "nothing") -> DropFault:
    """End the connection before the answer."""
    return DropFault(keeps)


def delay(gate: Gate, *, keeps: Kept = "nothing", late: bool = False) -> DelayFault:
    """Hold the headers back at ``gate``.

    Args:
        gate: Where the server waits.
        keeps: What is kept of the request.
        late: Keep it only when the gate opens, though the client be gone.
    """
    return DelayFault(gate, keeps, late)


def cut_stream(*, after_events: int = 3, keeps: Kept = "turn") -> CutFault:
    """Break the connection after that many events."""
    return CutFault(after_events, is_clean=False, keeps=keeps)


def end_stream(*, after_events: int = 3, keeps: Kept = "turn") -> CutFault:
    """End the stream properly after that many events, without its terminal event."""
    return CutFault(after_events, is_clean=True, keeps=keeps)


def error_event(
    *, after_events: int = 3, code: int = 3000, message: str = "Something failed.", keeps: Kept = "nothing"
) -> ErrorEventFault:
    """End with an error event after that many events."""
    return ErrorEventFault(after_events, code, message, keeps)


def corrupt_event(*, after_events: int = 3) -> CorruptFault:
    """Send one event that is no JSON after that many good ones."""
    return CorruptFault(after_events)
