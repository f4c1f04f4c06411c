"""What can go wrong on demand with any provider. Each factory returns a fault to hand to ``server.fault(...)``."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from dataclasses import dataclass
from typing import Literal

from .gates import Gate

Kept = Literal["nothing", "inputs", "answer", "turn"]
"""What the provider keeps of a request that failed for its client.

``answer``: the answer under its own id, but not in its conversation; ``turn``: all of it.
"""


@dataclass(frozen=True, slots=True)
class HttpFault:
    """An answer that replaces the real one; the request is not processed."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class DelayFault:
    """The headers are held back until the gate opens or the client leaves; what is kept is kept before."""

    gate: Gate
    keeps: Kept


@dataclass(frozen=True, slots=True)
class DropFault:
    """The connection ends without a single byte of an answer."""

    keeps: Kept


@dataclass(frozen=True, slots=True)
class CutFault:
    """The answer ends early: by a broken connection, or cleanly but without its terminal event."""

    after_events: int
    is_clean: bool
    keeps: Kept


@dataclass(frozen=True, slots=True)
class RunOnFault:
    """The connection ends, but the model goes on: what is kept is kept when the gate opens.

    `after_events` None: not a byte of the answer is sent, and it is the client that gives up.
    """

    gate: Gate
    after_events: int | None
    keeps: Kept


@dataclass(frozen=True, slots=True)
class ErrorEventFault:
    """The stream ends with an error inside it; ``shape`` and ``status`` say how, where an API has several ways."""

    after_events: int
    code: str
    message: str
    keeps: Kept = "nothing"
    shape: str = ""
    status: int = 500


@dataclass(frozen=True, slots=True)
class CorruptFault:
    """One event holds this in place of the API's JSON; with ``is_last`` the stream is over with it."""

    after_events: int
    data: bytes | None = None
    is_last: bool = False


MidStreamFault = CutFault | RunOnFault | ErrorEventFault | CorruptFault
"""What befalls a stream that has begun."""

Fault = HttpFault | DelayFault | DropFault | MidStreamFault
"""Any fault every server knows."""


class FaultQueue:
    """The faults of the requests to come. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: defaultdict[str, deque[Fault | None]] = defaultdict(deque)

    def put(self, fault: Fault, *, times: int, after: int, operation: str) -> None:
        """Let ``after`` requests pass, then have the fault befall ``times`` of them."""
        with self._lock:
            self._waiting[operation].extend([None] * after + [fault] * times)

    def take(self, operation: str) -> Fault | None:
        """Return the fault of the request that is being served."""
        with self._lock:
            waiting = self._waiting[operation]
            return waiting.popleft() if waiting else None

    def clear(self) -> None:
        """Let nothing go wrong any more."""
        with self._lock:
            self._waiting.clear()


def retry_after_header(seconds: float | None) -> tuple[tuple[str, str], ...]:
    """Return the headers that ask for a wait; none for None."""
    return () if seconds is None else (("retry-after", f"{seconds:g}"),)


def html_bad_gateway(status: int = 502) -> HttpFault:
    """Answer with a proxy's HTML page."""
    page = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
    return HttpFault(status, page, content_type="text/html")


def whole_answer(body: bytes, *, status: int = 200, content_type: str = "application/json") -> HttpFault:
    """Answer with exactly this."""
    return HttpFault(status, body, content_type=content_type)


def empty_body(*, status: int = 200) -> HttpFault:
    """Answer ``status`` with nothing in it."""
    return HttpFault(status, b"")


def redirect(location: str, *, status: int = 307) -> HttpFault:
    """Answer with the way to another address."""
    return HttpFault(status, b"", headers=(("location", location),))


def delay(gate: Gate, *, keeps: Kept = "nothing") -> DelayFault:
    """Hold the headers back at ``gate``; a request of which nothing is kept is processed after it, if at all."""
    return DelayFault(gate, keeps)


def drop(*, keeps: Kept = "nothing") -> DropFault:
    """End the connection before the answer."""
    return DropFault(keeps)


def cut_stream(*, after_events: int = 4, keeps: Kept = "turn") -> CutFault:
    """Break the connection after that many events."""
    return CutFault(after_events, is_clean=False, keeps=keeps)


def end_stream(*, after_events: int = 4, keeps: Kept = "turn") -> CutFault:
    """End the stream properly after that many events, without its terminal event."""
    return CutFault(after_events, is_clean=True, keeps=keeps)


def run_on(gate: Gate, *, after_events: int | None = 4, keeps: Kept = "turn") -> RunOnFault:
    """Break the connection after that many events while the model goes on until the gate opens.

    Args:
        gate: Where the model waits; a conversation that locks is locked meanwhile.
        after_events: None sends nothing and waits for the client to give up.
        keeps: What is kept then.
    """
    return RunOnFault(gate, after_events, keeps)


def corrupt_event(data: bytes | None = None, *, after_events: int = 4, is_last: bool = False) -> CorruptFault:
    """Send one event that is not of the API, such as half a JSON text, after that many good ones."""
    return CorruptFault(after_events, data, is_last=is_last)
