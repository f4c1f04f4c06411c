"""What the tests of rate limits and circuits share."""

from __future__ import annotations

import asyncio

from langswarm_sessions.interfaces.traffic import CircuitPolicy, RateLimits, TrafficRules

__all__ = ["Clock", "held_to", "settle"]


class Clock:
    """Seconds that pass only when somebody sleeps, or a test says so."""

    def __init__(self) -> None:
        self.now = 1_000_000_000.0
        self.slept: list[float] = []

    def time(self) -> float:
        return self.now

    def passes(self, seconds: float) -> None:
        self.now += seconds

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


def held_to(
    *,
    requests: int | None = None,
    tokens: int | None = None,
    circuit: CircuitPolicy | None = None,
    scope: object = "scope",
) -> TrafficRules:
    """Return rules of a provider called openai."""
    return TrafficRules(
        provider="openai",
        where="openai (api.example)",
        scope=scope,
        limits=RateLimits(requests_per_minute=requests, tokens_per_minute=tokens),
        circuit=circuit,
    )


async def settle() -> None:
    """Let everything that is ready run."""
    for _ in range(20):
        await asyncio.sleep(0)
