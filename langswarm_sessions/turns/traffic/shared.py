"""One count and one circuit for everybody in the process who sends to the same place with the same key."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Generic, TypeVar

from langswarm_sessions.interfaces.traffic import CircuitPolicy, RateLimits, TrafficRules
from langswarm_sessions.turns.traffic.breaker import Circuit

if TYPE_CHECKING:
    from langswarm_sessions.turns.traffic.limiter import RateLimiter

__all__ = ["circuit_of", "forget_traffic", "limiter_of"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_REMEMBERED = 4096
"""Counts and circuits that are kept though nobody may come back for them; the ones not asked for longest go first."""


class _Shared(Generic[K, V]):
    """One value a key, made on first use."""

    def __init__(self, make: Callable[[K], V]) -> None:
        self._make = make
        self._values: dict[K, V] = {}
        self._lock = threading.Lock()

    def of(self, key: K) -> V:
        with self._lock:
            value = self._values.pop(key, None) or self._make(key)
            self._values[key] = value  # the last one is the one used last
            if len(self._values) > _REMEMBERED:
                del self._values[next(iter(self._values))]
            return value

    def clear(self) -> None:
        """Forget all, also in a process just forked from one of whose threads held the lock."""
        self._lock = threading.Lock()
        self._values = {}


def _make_limiter(_: Hashable) -> RateLimiter:
    from langswarm_sessions.turns.traffic.limiter import RateLimiter

    return RateLimiter()


def _make_circuit(key: tuple[Hashable, CircuitPolicy]) -> Circuit:
    return Circuit(key[1])


_limiters = _Shared[Hashable, "RateLimiter"](_make_limiter)
_circuits = _Shared[tuple[Hashable, CircuitPolicy], Circuit](_make_circuit)


def limiter_of(rules: TrafficRules) -> RateLimiter | None:
    """Return who counts what is sent; None without limits."""
    return None if rules.limits == RateLimits() else _limiters.of(rules.scope)


def circuit_of(rules: TrafficRules) -> Circuit | None:
    """Return the circuit; None when the provider is always asked."""
    return None if rules.circuit is None else _circuits.of((rules.scope, rules.circuit))


def forget_traffic() -> None:
    """Forget what was sent and what failed, for all providers."""
    _limiters.clear()
    _circuits.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget_traffic)
