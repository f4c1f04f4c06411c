"""What was sent within the last minute: the one place that uses `limits`. Loaded when there is a limit.

Requests are counted in a moving window: no 60 seconds hold more than the limit. Tokens are counted by the minute of the
clock, the minute before weighted by what is left of it (a sliding window counter): like the token buckets of the
providers it lets a full minute's budget go at once and then refills evenly, and a large request costs no memory.
"""

from __future__ import annotations

import time

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter, SlidingWindowCounterRateLimiter

from langswarm_sessions.forks import fork_safe_lock
from langswarm_sessions.interfaces.traffic import RateLimits

__all__ = ["MinuteCounter"]

_MINUTE = 60
_REQUESTS, _TOKENS = "requests", "tokens"
_JUST_AFTER = 0.001
"""Seconds after the moment a place gets free: at the moment itself it is not free yet."""


class _Limit(RateLimitItemPerMinute):
    """A limit whose count is shared by limits of other heights."""

    def key_for(self, *identifiers: bytes | str | float) -> str:
        return "/".join(map(str, identifiers))


class MinuteCounter:
    """Counts what one key sends to one provider. Usable from several threads."""

    def __init__(self) -> None:
        self._storage = MemoryStorage()
        self._requests = MovingWindowRateLimiter(self._storage)
        self._tokens = SlidingWindowCounterRateLimiter(self._storage)
        self._lock = fork_safe_lock()  # the storage by itself may count two at once as one

    def take(self, limits: RateLimits, tokens: int) -> float:
        """Count a request, if there is room for it.

        Args:
            limits: What may be sent within a minute.
            tokens: What the request is estimated at; at most the limit.

        Returns:
            0 when it was counted; else the seconds after which it is worth asking again.
        """
        requests, budget = _limit_of(limits.requests_per_minute), _limit_of(limits.tokens_per_minute)
        with self._lock:
            wait = max(self._until_free(requests), self._until_room(budget, tokens))
            if wait > 0:
                return wait
            if requests is not None:
                self._requests.hit(requests, _REQUESTS)
            if budget is not None and tokens:
                self._tokens.hit(budget, _TOKENS, cost=tokens)
        return 0.0

    def correct(self, tokens: int) -> None:
        """Add tokens that a request took beyond its estimate; fewer than none gives back."""
        with self._lock:
            _, current = self._storage.sliding_window_keys(_TOKENS, _MINUTE, time.time())
            if tokens > 0:
                self._storage.incr(current, 2 * _MINUTE, amount=tokens)
            else:
                self._storage.decr(current, amount=-tokens)

    def _until_free(self, limit: _Limit | None) -> float:
        if limit is None or self._requests.test(limit, _REQUESTS):
            return 0.0
        wait = self._requests.get_window_stats(limit, _REQUESTS).reset_time - time.time()
        if wait > _MINUTE:  # the clock was set back: what was counted lies in the future
            self._requests.clear(limit, _REQUESTS)
            return 0.0
        return max(wait, 0.0) + _JUST_AFTER

    def _until_room(self, limit: _Limit | None, tokens: int) -> float:
        if limit is None or not tokens or self._tokens.test(limit, _TOKENS, cost=tokens):
            return 0.0
        before, before_ends, current, current_ends = self._storage.get_sliding_window(_TOKENS, _MINUTE)
        room = limit.amount - tokens - current + 1  # for what is left of the minute before, rounded down
        if room <= 0 or not before:
            return max(current_ends - _MINUTE, 0.0) + _JUST_AFTER  # then this minute is the one before
        return max(before_ends - _MINUTE * room / before, 0.0) + _JUST_AFTER


def _limit_of(amount: int | None) -> _Limit | None:
    return None if amount is None else _Limit(amount)
