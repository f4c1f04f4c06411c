"""What can go wrong on demand. Each factory returns a fault to hand to ``server.fault(...)``."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

from tests.support.openai_server.faults import HttpFault, empty_body, html_bad_gateway
from tests.support.openai_server.gates import Gate
from tests.support.openai_server.json_types import JsonObject, encode

__all__ = [
    "CutFault",
    "DelayFault",
    "DropFault",
    "EventFault",
    "Fault",
    "FaultQueue",
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
]


@dataclass(frozen=True, slots=True)
class DelayFault:
    """The headers are held back until the gate opens or the client leaves."""

    gate: Gate


@dataclass(frozen=True, slots=True)
class DropFault:
    """The connection ends without a single byte of an answer."""


@dataclass(frozen=True, slots=True)
class CutFault:
    """The stream ends early: by a broken connection, or cleanly but without its terminal event."""

    after_events: int
    is_clean: bool


@dataclass(frozen=True, slots=True)
class EventFault:
    """An event of any kind comes after that many; with ``is_last`` the stream is over with it."""

    after_events: int
    data: bytes
    is_last: bool


Fault = HttpFault | DelayFault | DropFault | CutFault | EventFault
"""Any fault the server knows."""


class FaultQueue:
    """The faults of the requests to come. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[Fault | None] = deque()

    def put(self, fault: Fault, *, times: int, after: int) -> None:
        """Let ``after`` requests pass, then have the fault befall ``times`` of them."""
        with self._lock:
            self._waiting.extend([None] * after + [fault] * times)

    def take(self) -> Fault | None:
        """Return the fault of the request that is being served."""
        with self._lock:
            return self._waiting.popleft() if self._waiting else None


def http_error(status: int, message: str = "Scripted failure.", *, headers: dict[str, str] | None = None) -> HttpFault:
    """Answer with ``status`` and an error body in the API's shape."""
    body: JsonObject = {"id": "trace-1", "message": message}
    return HttpFault(status, encode(body), headers=tuple((headers or {}).items()))


def rate_limit(*, retry_after: float | None = 1.0) -> HttpFault:
    """Answer 429, with Retry-After in seconds unless None."""
    headers = {} if retry_after is None else {"retry-after": f"{retry_after:g}"}
    return http_error(
        429, "You are past the per minute request limit, please wait and try again later.", headers=headers
    )


def redirect(location: str) -> HttpFault:
    """Answer 307 to another address."""
    return HttpFault(307, b"", headers=(("location", location),))


def plain_json() -> HttpFault:
    """Answer 200 with a whole JSON answer where a stream was asked for."""
    return HttpFault(200, b'{"id":"1","finish_reason":"COMPLETE","message":{"role":"assistant"}}')


def delay(gate: Gate) -> DelayFault:
    """Hold the headers back at ``gate``."""
    return DelayFault(gate)


def drop() -> DropFault:
    """End the connection before the answer."""
    return DropFault()


def cut_stream(*, after_events: int = 4) -> CutFault:
    """Break the connection after that many events."""
    return CutFault(after_events, is_clean=False)


def end_stream(*, after_events: int = 4) -> CutFault:
    """End the stream properly after that many events, without its terminal event."""
    return CutFault(after_events, is_clean=True)


def failed_answer(reason: str = "ERROR", error: str | None = None, *, after_events: int = 4) -> EventFault:
    """End with a terminal event that says that the answer failed."""
    delta: JsonObject = {"finish_reason": reason, **({"error": error} if error else {})}
    return EventFault(after_events, encode({"type": "message-end", "delta": delta}), is_last=True)


def strange_event(data: bytes, *, after_events: int = 4, is_last: bool = False) -> EventFault:
    """Send this as the data of one event."""
    return EventFault(after_events, data, is_last=is_last)
