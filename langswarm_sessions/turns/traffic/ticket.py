"""One request on its way: when it ends, the count and the circuit hear of it."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import TYPE_CHECKING, Self

from langswarm_sessions.errors import (
    IncompleteStreamError,
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
)
from langswarm_sessions.ids import monotonic
from langswarm_sessions.interfaces.traffic import TrafficRules
from langswarm_sessions.records import Usage
from langswarm_sessions.turns.patience import Patience
from langswarm_sessions.turns.traffic.breaker import Circuit
from langswarm_sessions_otel import TurnScope

if TYPE_CHECKING:
    from langswarm_sessions.turns.traffic.limiter import RateLimiter

__all__ = ["Ticket"]

_OUTAGES = (ProviderUnavailableError, ProviderTimeoutError, IncompleteStreamError)
_NO_TIME_SECONDS = 0.1
"""With so little of its time left, a request has run out of it, whoever noticed first."""


class Ticket:
    """A context manager around one request, which tells its errors in this library's words.

    Args:
        rules: What it is held to.
        circuit: What hears whether the provider is at work.
        trial: Its number when it tries whether the provider is back.
        patience: How long the provider is waited for.
        span: The turn's span; None outside any turn.
        tokens: What it was estimated at.
        count: Where the tokens it took beyond that are counted; None: nowhere.
    """

    __slots__ = ("_begun", "_circuit", "_count", "_patience", "_rules", "_span", "_tokens", "_trial")

    def __init__(
        self,
        rules: TrafficRules,
        circuit: Circuit | None,
        *,
        trial: int | None,
        patience: Patience,
        span: TurnScope | None,
        tokens: int,
        count: RateLimiter | None,
    ) -> None:
        self._rules = rules
        self._circuit = circuit
        self._trial = trial
        self._patience = patience
        self._begun = 0.0
        self._span = span
        self._tokens = tokens
        self._count = count

    def used(self, usage: Usage) -> None:
        """Correct the estimate by what the provider counted; it stands where the provider counts nothing.

        Args:
            usage: What the answer says.
        """
        used = usage.input_tokens + usage.output_tokens
        if self._count is not None and used and used != self._tokens:
            self._count.correct(used - self._tokens)

    def __enter__(self) -> Self:
        """Return itself; the request is sent now."""
        self._begun = monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Tell the circuit how the request ended."""
        circuit, where = self._circuit, self._rules.where
        if circuit is None:
            return
        if error is None or _is_answer(error):
            circuit.answered(trial=self._trial, where=where)
        elif self._is_outage(error):
            if circuit.failed(trial=self._trial, where=where) and self._span is not None:
                self._span.circuit_opened(provider=self._rules.provider)
        else:
            circuit.gave_up(self._trial)

    def _is_outage(self, error: BaseException) -> bool:
        patience = self._patience
        is_late = patience.left is not None and patience.left <= _NO_TIME_SECONDS
        if is_late and isinstance(error, ProviderTimeoutError | asyncio.CancelledError):
            return not patience.is_heard and patience.is_telling(monotonic() - self._begun)
        return isinstance(error, _OUTAGES)


def _is_answer(error: BaseException) -> bool:
    """Whether a provider at work said so: a refusal has a status, what went wrong on this side has none."""
    return isinstance(error, ProviderError) and error.status_code is not None and not error.is_ambiguous
