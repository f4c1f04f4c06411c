"""Identifiers and the clock, both replaceable in tests.

Identifiers are UUIDs of version 7 (RFC 9562): they sort by time of creation.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime

__all__ = ["as_utc", "monotonic", "new_id", "now", "use_clock", "use_ids"]


def _uuid7() -> str:
    from uuid_utils import uuid7

    return str(uuid7())


def _system_time() -> datetime:
    return datetime.now(UTC)


_make_id: Callable[[], str] = _uuid7
_read_clock: Callable[[], datetime] = _system_time


def new_id() -> str:
    """Return a new identifier that sorts after the earlier ones of this process."""
    return _make_id()


def now() -> datetime:
    """Return the current time, aware and in UTC."""
    return _read_clock()


def monotonic() -> float:
    """Return seconds from an arbitrary point, for measuring durations."""
    return time.perf_counter()


def as_utc(moment: datetime) -> datetime:
    """Return `moment` in UTC; a naive one means local time.

    Args:
        moment: Any datetime.

    Returns:
        The same instant, aware, in UTC.
    """
    return moment.astimezone(UTC)


@contextmanager
def use_ids(make_id: Callable[[], str]) -> Generator[None]:
    """Take identifiers from `make_id` within the block (for tests).

    Args:
        make_id: Called for each new identifier.
    """
    global _make_id
    before, _make_id = _make_id, make_id
    try:
        yield
    finally:
        _make_id = before


@contextmanager
def use_clock(read_clock: Callable[[], datetime]) -> Generator[None]:
    """Read the time from `read_clock` within the block (for tests).

    Args:
        read_clock: Returns an aware datetime.
    """
    global _read_clock
    before, _read_clock = _read_clock, read_clock
    try:
        yield
    finally:
        _read_clock = before
