"""Waiting for a place within the limits a minute: first come, first served, across loops and threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from langswarm_sessions.errors import RateLimitError
from langswarm_sessions.interfaces.traffic import RateLimits, TrafficRules
from langswarm_sessions.turns.line.gate import SessionGates
from langswarm_sessions.turns.traffic.counter import MinuteCounter

__all__ = ["RateLimiter", "no_place_error"]

_LINE = "line"

sleep = asyncio.sleep
"""Replaced in tests."""


class RateLimiter:
    """The line of those who send to one provider with one key. Only the first of it looks at the count."""

    def __init__(self) -> None:
        self._line = SessionGates()
        self._counter = MinuteCounter()

    async def take(self, rules: TrafficRules, *, tokens: int, left: Callable[[], float | None]) -> None:
        """Wait until a request may be sent, and count it. Cancelled before that, it is not counted.

        Args:
            rules: What it is held to.
            tokens: What it is estimated at.
            left: Returns the seconds the turn has left (None: no limit).

        Raises:
            RateLimitError: It would have to wait for longer than the turn lasts, or forever.
        """
        limits = rules.limits
        if limits.tokens_per_minute is not None and tokens > limits.tokens_per_minute:
            raise _too_large_error(rules, tokens)
        await self._line.enter(_LINE, seconds=float("inf"))
        try:
            while wait := self._counter.take(limits, tokens):
                time_left = left()
                if time_left is not None and wait >= time_left:
                    raise no_place_error(rules, wait=wait)
                await sleep(wait)
        finally:
            self._line.leave(_LINE)

    def correct(self, tokens: int) -> None:
        """Add tokens that a request took beyond its estimate; fewer than none gives back."""
        self._counter.correct(tokens)


def no_place_error(rules: TrafficRules, *, wait: float | None = None) -> RateLimitError:
    """Return the error of a turn that ends before there is a place for its request.

    Args:
        rules: What the request is held to.
        wait: Seconds until there is one, when they are known.
    """
    free = "" if wait is None else f" The next place is free in {wait:.1f} s."
    return RateLimitError(
        f"{rules.where}: this program's own limit of {_limits_of(rules.limits)} leaves no place within the turn's "
        f"time; nothing was sent.{free} Give the turn more time, or raise the limit in {_setting_of(rules)}.",
        provider=rules.provider,
        retry_after=wait,
    )


def _too_large_error(rules: TrafficRules, tokens: int) -> RateLimitError:
    return RateLimitError(
        f"{rules.where}: the request is estimated at {tokens} tokens, more than a whole minute of this program's own "
        f"limit of {_limits_of(rules.limits)}; nothing was sent. Send less of it (max_tokens_window), or raise the "
        f"limit in {_setting_of(rules)}.",
        provider=rules.provider,
        retryable=False,
    )


def _limits_of(limits: RateLimits) -> str:
    named = (
        (limits.requests_per_minute, "requests a minute (requests_per_minute)"),
        (limits.tokens_per_minute, "tokens a minute (tokens_per_minute)"),
    )
    return " and ".join(f"{amount} {unit}" for amount, unit in named if amount is not None)


def _setting_of(rules: TrafficRules) -> str:
    return f"providers={{{rules.provider!r}: ...}} or rate_limits="
