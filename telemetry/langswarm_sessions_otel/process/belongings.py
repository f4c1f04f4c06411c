"""What goes with objects of somebody else's for as long as they live."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Generic, TypeVar

from langswarm_sessions_otel.process.forks import fork_safe_rlock

__all__ = ["Belongings"]

Belonging = TypeVar("Belonging")


class Belongings(Generic[Belonging]):
    """One thing for each object, which is known by its identity: providers of others may be impossible to hash."""

    def __init__(self) -> None:
        self._lock = fork_safe_rlock()
        self._kept: dict[int, tuple[weakref.ref[object], Belonging]] = {}

    def of(self, owner: object, make: Callable[[], Belonging]) -> Belonging:
        """Return what goes with an object, made now if there was nothing.

        Args:
            owner: The object, which is not kept alive.
            make: Makes it.
        """
        with self._lock:
            kept = self._kept.get(id(owner))
            if kept is None:
                kept = self._kept[id(owner)] = (self._until_the_end_of(owner), make())
            return kept[1]

    def _until_the_end_of(self, owner: object) -> weakref.ref[object]:
        key = id(owner)
        return weakref.ref(owner, lambda _: self._kept.pop(key, None))
