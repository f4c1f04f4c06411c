"""What a process that was just forked must not inherit: locks that other threads held, and threads it has none of."""

from __future__ import annotations

import functools
import gc
import os
import threading
import weakref
from collections.abc import Hashable, Iterator
from typing import Final, Protocol, cast

from opentelemetry import metrics

__all__ = ["StartsOver", "fork_safe_lock", "fork_safe_rlock", "free_locks_of_meters", "start_over_in_child"]

_PARTS_OF_METERS: Final = ("opentelemetry.sdk.metrics.", "opentelemetry.metrics.")
_CONTAINERS: Final = (dict, list, tuple, set, frozenset)
_KINDS_OF_LOCKS: Final = (type(threading.Lock()), type(threading.RLock()))


class StartsOver(Protocol):
    """Something that works in threads, or with locks, of which a fork has none."""

    def start_over(self) -> None:
        """Begin anew in a process just forked; no other thread runs in it yet."""
        ...


def start_over_in_child(owner: StartsOver) -> None:
    """Have `owner.start_over()` called in every process forked from this one.

    Args:
        owner: Kept alive by others.
    """
    _owners.add(owner)


def fork_safe_lock() -> threading.Lock:
    """Return a lock that is free in a process just forked, whichever thread held it before."""
    lock = threading.Lock()
    _locks.add(lock)
    return lock


def fork_safe_rlock() -> threading.RLock:
    """Return a lock that its holder may take again, and that is free in a process just forked."""
    lock = threading.RLock()
    _locks.add(lock)
    return lock


def free_locks_of_meters(provider: metrics.MeterProvider) -> None:
    """Have the locks of a provider of metrics freed in every process forked from this one.

    The SDK renews few of its own: the first turn of a fork would wait for ever where another thread measured
    something at that moment. Of the process-wide provider this is done anyway.

    Args:
        provider: Kept alive by others.
    """
    if _is_walked(type(provider)):
        _meters.add(provider)


_owners: weakref.WeakSet[StartsOver] = weakref.WeakSet()
_locks: weakref.WeakSet[threading.Lock | threading.RLock] = weakref.WeakSet()
_meters: weakref.WeakSet[metrics.MeterProvider] = weakref.WeakSet()


def _start_over() -> None:
    for lock in list(_locks):
        _free(lock)
    for provider in _meter_providers():
        for part in _locks_within(provider):
            _free(part)
    for owner in list(_owners):
        owner.start_over()


def _meter_providers() -> list[metrics.MeterProvider]:
    try:
        return [metrics.get_meter_provider(), *_meters]
    except Exception:  # noqa: BLE001 - a variable names a wrong one, of which is warned where it is asked for
        return [*_meters]


def _free(lock: object) -> None:
    lock._at_fork_reinit()  # type: ignore[attr-defined]  # as `threading` and `logging` do with theirs


def _locks_within(root: object) -> Iterator[object]:
    """Yield the locks of an object and of its parts, as deep as they are OpenTelemetry's own."""
    known, waiting = {id(root)}, [root]
    while waiting:
        for part in gc.get_referents(waiting.pop()):
            if id(part) in known:
                continue
            known.add(id(part))
            kind = cast("Hashable", type(part))
            if _is_lock(kind):
                yield part
            elif _is_walked(kind):
                waiting.append(part)


@functools.cache
def _is_lock(kind: Hashable) -> bool:
    return isinstance(kind, type) and issubclass(kind, _KINDS_OF_LOCKS)


@functools.cache
def _is_walked(kind: Hashable) -> bool:
    if not isinstance(kind, type):
        return False
    return kind in _CONTAINERS or any(base.__module__.startswith(_PARTS_OF_METERS) for base in kind.__mro__)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_over)
