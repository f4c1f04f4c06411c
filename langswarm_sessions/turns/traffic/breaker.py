"""Leaving a provider that is down alone: the one place that uses `pybreaker`. It is loaded at the first failure.

pybreaker counts the failures and keeps the state. Its own ways of calling are for blocking code (they hold a lock
meanwhile, and let everybody through once the time is up), so what happened is told to it afterwards, and who may
try is decided here.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from langswarm_sessions.errors import ProviderUnavailableError
from langswarm_sessions.ids import monotonic
from langswarm_sessions.interfaces.traffic import CircuitPolicy

if TYPE_CHECKING:
    import pybreaker

__all__ = ["Circuit"]

logger = logging.getLogger(__name__)

_LONG_AGO = float("-inf")


class Circuit:
    """Closed, it lets requests through; open, none; half open, one that tries. Usable from several threads.

    Args:
        policy: When it opens, and for how long.
        clock: Returns seconds from an arbitrary point.
    """

    def __init__(self, policy: CircuitPolicy, *, clock: Callable[[], float] = monotonic) -> None:
        self._policy = policy
        self._clock = clock
        self._lock = threading.Lock()
        self._breaker: pybreaker.CircuitBreaker | None = None
        self._opened_at = self._tried_at = _LONG_AGO
        self._trial = 0
        """The number of the newest trial."""

    @property
    def state(self) -> str:
        """`closed`, `open` or `half-open`."""
        return "closed" if self._breaker is None else self._breaker.current_state

    def refuse(self, *, provider: str, where: str) -> None:
        """Refuse a request as long as nobody may pass.

        Args:
            provider: The provider's name.
            where: Provider and host, for the message.

        Raises:
            ProviderUnavailableError: So it is; `retry_after` says for how long.
        """
        if self._breaker is not None:
            with self._lock:
                self._refuse(provider, where)

    def enter(self, *, provider: str, where: str) -> int | None:
        """Let a request pass, or refuse it as `refuse` does.

        Returns:
            The number of the trial when the request tries whether the provider is back: how it ended is then to be
            told with it, whatever it was. None for any other request.
        """
        if self._breaker is None:
            return None
        with self._lock:
            self._refuse(provider, where)
            if self.state == "closed":
                return None
            self._breaker.half_open()
            self._tried_at = self._clock()
            self._trial += 1
            return self._trial

    def failed(self, *, trial: int | None, where: str) -> bool:
        """Take note of a failure that speaks for an outage.

        Args:
            trial: What `enter` returned.
            where: Provider and host, for the log.

        Returns:
            Whether the circuit opened.
        """
        breaker = self._breaker or self._make()
        with self._lock:
            if self._is_tried_by(trial):
                breaker.open()
            elif trial is None and self.state == "closed":
                _tell(breaker, _fail)
            else:
                return False  # sent before it opened, or a trial that was not waited for: a newer one says what is now
            if self.state != "open":
                return False
            self._opened_at, self._tried_at = self._clock(), _LONG_AGO
        seconds = self._policy.recovery_seconds
        logger.warning("%s is down: nothing is sent to it for %g s.", where, seconds)
        return True

    def answered(self, *, trial: int | None, where: str) -> None:
        """Take note of an answer, or of a refusal that only a provider at work gives.

        Args:
            trial: What `enter` returned.
            where: Provider and host, for the log.
        """
        breaker = self._breaker
        if breaker is None:
            return
        with self._lock:
            is_back = trial is not None and self.state == "half-open"  # whichever trial it was: slow ones overlap
            if is_back:
                breaker.close()
                self._tried_at = _LONG_AGO
            elif self.state == "closed":
                _tell(breaker, _succeed)
        if is_back:
            logger.info("%s is back: requests are sent to it again.", where)

    def gave_up(self, trial: int | None) -> None:
        """Take note of a request that ended without saying anything of the provider: was it a trial, another may try.

        Args:
            trial: What `enter` returned.
        """
        with self._lock:
            if self._is_tried_by(trial):
                self._tried_at = _LONG_AGO

    def _is_tried_by(self, trial: int | None) -> bool:
        """Whether it is this trial that decides: the newest one, and none has decided yet."""
        return trial == self._trial and self.state == "half-open"

    def _refuse(self, provider: str, where: str) -> None:
        if self.state == "closed":
            return
        # One that tries and is not heard of for so long is not waited for any more.
        wait = max(self._opened_at, self._tried_at) + self._policy.recovery_seconds - self._clock()
        if wait > 0:
            raise ProviderUnavailableError(
                f"{where}: its last {self._policy.failure_threshold} requests or more failed, so nothing was sent "
                f"(circuit_breaker). It is tried again in {wait:.1f} s; try again then, or name a fallback=.",
                provider=provider,
                retry_after=wait,
            )

    def _make(self) -> pybreaker.CircuitBreaker:
        import pybreaker

        with self._lock:
            if self._breaker is None:
                self._breaker = pybreaker.CircuitBreaker(
                    fail_max=self._policy.failure_threshold,
                    reset_timeout=self._policy.recovery_seconds,
                    throw_new_error_on_trip=False,
                )
            return self._breaker


class _OutageError(Exception):
    """Stands for whatever the provider failed with."""


def _tell(breaker: pybreaker.CircuitBreaker, outcome: Callable[[], None]) -> None:
    with suppress(_OutageError):
        breaker.call(outcome)


def _fail() -> None:
    raise _OutageError


def _succeed() -> None:
    pass
