"""Sees calls that make an event loop stand still, as they are made; no clock is asked."""

from __future__ import annotations

import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType
from typing import Any

__all__ = ["blocking_calls"]

_ALWAYS = frozenset(
    {
        ("time", "sleep"),
        ("posix", "fsync"),
        ("posix", "open"),
        ("_io", "open"),
        ("io", "open"),
        ("select", "select"),
        ("fcntl", "flock"),
        ("fcntl", "lockf"),
        ("_sqlite3", "connect"),
    }
)
_METHODS = {
    "Connection": frozenset({"execute", "executemany", "executescript", "commit", "rollback"}),
    "Cursor": frozenset({"execute", "executemany", "executescript", "fetchone", "fetchmany", "fetchall"}),
    "socket": frozenset({"connect", "recv", "recv_into", "send", "sendall", "accept"}),
    "_SSLSocket": frozenset({"read", "write", "do_handshake"}),
    "epoll": frozenset({"poll"}),
    "poll": frozenset({"poll"}),
}
_PYTHON = {
    ("psycopg.connection", "Connection.wait"): "psycopg.Connection.wait",
    ("threading", "Condition.wait"): "a lock, until another thread lets go of it",
}
_LOOP = ("asyncio.base_events", "_run_once")
_HARMLESS = frozenset({("threading", "start"), ("importlib._bootstrap", "_find_and_load")})


@contextmanager
def blocking_calls() -> Generator[set[str]]:
    """Note which blocking calls this thread makes: to files, sockets, sqlite3, sleep, locks that others hold.

    The event loop's own waiting is none, nor is what importing reads. C extensions with sockets of their own are seen
    where they are known (psycopg).

    Yields:
        The calls so far, each with the place it was made at.
    """
    seen: set[str] = set()

    def watch(frame: FrameType, event: str, arg: Any) -> None:
        name = _blocking_call(frame, event, arg)
        if name is not None and not _is_exempt(frame):
            seen.add(f"{name} in {_place(frame)}")

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        yield seen
    finally:
        sys.setprofile(before)


def _blocking_call(frame: FrameType, event: str, arg: Any) -> str | None:
    if event == "call":
        known = _PYTHON.get((frame.f_globals.get("__name__", ""), frame.f_code.co_qualname))
        asks = known is not None and frame.f_locals.get("timeout") == 0  # an executor, for an idle worker: no waiting
        return None if asks else known
    if event != "c_call":
        return None
    owner, name = getattr(arg, "__self__", None), getattr(arg, "__name__", "")
    module = getattr(arg, "__module__", None)
    if (module, name) in _ALWAYS:
        return f"{module}.{name}"
    kind = type(owner).__name__
    if name not in _METHODS.get(kind, ()) or (kind == "socket" and owner is not None and owner.gettimeout() == 0):
        return None
    return f"{kind}.{name}"


def _is_exempt(frame: FrameType) -> bool:
    if frame.f_back is not None and _function(frame.f_back) == _LOOP:  # the loop's selector
        return True
    at: FrameType | None = frame
    while at is not None:
        if _function(at) in _HARMLESS:
            return True
        at = at.f_back
    return False


def _function(frame: FrameType) -> tuple[str, str]:
    return str(frame.f_globals.get("__name__", "")), frame.f_code.co_name


def _place(frame: FrameType) -> str:
    """Return the innermost function that is not the standard library's."""
    at: FrameType | None = frame
    while at is not None:
        module = str(at.f_globals.get("__name__", ""))
        if module.partition(".")[0] not in sys.stdlib_module_names:
            return f"{module}.{at.f_code.co_qualname}"
        at = at.f_back
    return threading.current_thread().name
