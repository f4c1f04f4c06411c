"""One request on its way: when it ends, the count and the circuit hear of it."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

from langswarm_sessions.errors import (
    IncompleteStreamError,
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
)
from langswarm_sessions.interfaces.traffic import TrafficRules
from langswarm_sessions.records import Usage
from langswarm_sessions.turns.deadline import Deadline
from langswarm_sessions.turns.traffic.breaker import Circuit
from langswarm_sessions_otel import TurnScope

if TYPE_CHECKING:
    from langswarm_sessions.turns.traffic.limiter import RateLimiter

__all__ = ["Ticket"]

_OUTAGES = (ProviderUnavailableError, ProviderTimeoutError, IncompleteStreamError)
_NO_TIME_SECONDS = 0.1
"""With so little of the turn's time left, a time-out is the turn's own: it says nothing of the provider."""


class Ticket:
    """A context manager around one request, which tells its errors in this library's words.

    Args:
        rules: What it is held to.
        circuit: What hears whether the provider is at work.
        tries: Whether it is the one that tries whether the provider is back.
        deadline: When the turn's time is up.
        span: The turn's span; None outside any turn.
        tokens: What it was estimated at.
        count: Where the tokens it took beyond that are counted; None: nowhere.
    """

    __slots__ = ("_circuit", "_count", "_deadline", "_rules", "_span", "_tokens", "_tries")

    def __init__(
        self,
        rules: TrafficRules,
        circuit: Circuit | None,
        *,
        tries: bool,
        deadline: Deadline,
        span: TurnScope | None,
        tokens: int,
        count: RateLimiter | None,
    ) -> None:
        self._rules = rules
        self._circuit = circuit
        self._tries = tries
        self._deadline = deadline
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
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Tell the circuit how the request ended."""
        circuit, where = self._circuit, self._rules.where
        if circuit is None:
            return
        if error is None or _is_answer(error):
            circuit.answered(tries=self._tries, where=where)
        elif self._is_outage(error):
            if circuit.failed(tries=self._tries, where=where) and self._span is not None:
                self._span.circuit_opened(provider=self._rules.provider)
        elif self._tries:
            circuit.gave_up()

    def _is_outage(self, error: BaseException) -> bool:
        left = self._deadline.left
        if isinstance(error, ProviderTimeoutError) and left is not None and left <= _NO_TIME_SECONDS:
            return False
        return isinstance(error, _OUTAGES)


def _is_answer(error: BaseException) -> bool:
    """Whether a provider at work said so: a refusal has a status, what went wrong on this side has none."""
    return isinstance(error, ProviderError) and error.status_code is not None and not error.is_ambiguous
