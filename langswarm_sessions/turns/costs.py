"""What the requests of one turn cost, as far as it is known."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Any

from langswarm_sessions.errors import (
    AuthenticationError,
    ConfigurationError,
    ContextOverflowError,
    InvalidInputError,
    InvalidRequestError,
    NativeStateLostError,
    ProviderError,
    QuotaExceededError,
    RateLimitError,
)
from langswarm_sessions.ids import now
from langswarm_sessions.interfaces.provider import Completed, EngineProvider
from langswarm_sessions.prices import Charge, Pricing
from langswarm_sessions.prices.charge import NOTHING_KNOWN
from langswarm_sessions.providers.reach import never_left
from langswarm_sessions.records import Usage, total_of
from langswarm_sessions_otel import TurnScope

__all__ = ["TurnCosts"]

_REFUSALS = (
    AuthenticationError,
    ContextOverflowError,
    InvalidRequestError,
    NativeStateLostError,
    QuotaExceededError,
    RateLimitError,
)
_NOT_SENT = (ConfigurationError, InvalidInputError)
"""What adapters raise of a request that they cannot write."""
_OVERLOADED = frozenset({503, 529})  # refused before any work; other errors of servers and gateways may come after it


class TurnCosts:
    """Adds up what a turn's requests cost: of its attempts, of who stands in, of those that write summaries.

    Args:
        pricing: The manager's prices.
        span: The turn's span, told of each cost.

    Attributes:
        cost: What is known, in US dollars; None when nothing is.
        usage: The tokens of the answers that came, but for summaries; None without any.
    """

    def __init__(self, pricing: Pricing, span: TurnScope) -> None:
        self._pricing = pricing
        self._span = span
        self._open = 0
        self._has_gaps = False
        self.cost: Decimal | None = None
        self.usage: Usage | None = None

    @property
    def is_unpriced(self) -> bool:
        """Whether something was billed, or may have been, that nobody knows the cost of."""
        return self._has_gaps or self._open > 0

    def foresee(self, provider: EngineProvider) -> None:
        """Get ready to price an answer of a provider while it is awaited."""
        self._pricing.foresee(provider)

    def ask(self) -> None:
        """Take note that a request is sent."""
        self._open += 1

    def refused(self, error: BaseException) -> None:
        """Take note that a request failed before anything of an answer came: what was refused is not billed."""
        if was_not_billed(error):
            self._open -= 1

    async def answered(
        self,
        completed: Completed,
        *,
        provider: EngineProvider,
        settings: Mapping[str, Any],
        seconds: float | None = None,
        is_aside: bool = False,
    ) -> None:
        """Price the answer to a request.

        Args:
            completed: The answer.
            provider: Who gave it.
            settings: The provider_config it was asked with.
            seconds: How long the prices may be waited for where they are still being loaded.
            is_aside: Whether it is no part of the conversation: a summary.
        """
        if not is_aside:
            self.usage = completed.usage if self.usage is None else self.usage + completed.usage
        charge = NOTHING_KNOWN
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                charge = await self._pricing.charge(completed, provider=provider, settings=settings, at=now())
        self._open -= 1
        self._has_gaps = self._has_gaps or not charge.is_whole
        self._add(charge, provider)

    def _add(self, charge: Charge, provider: EngineProvider) -> None:
        for source, cost in charge.by_source.items():
            self.cost = total_of((self.cost or Decimal(0), cost))
            self._span.charged(float(cost), provider=provider.profile.otel_name, model=provider.model, source=source)

    def tell(self) -> None:
        """Say on the span that its sum has gaps, if it has: at the turn's end."""
        if self.is_unpriced and self._pricing.is_on:
            self._span.cost_is_partial()


def was_not_billed(error: BaseException) -> bool:
    """Whether a request that failed with an error was refused, or never left: providers bill answers."""
    if isinstance(error, ProviderError) and error.was_begun:
        return False
    if isinstance(error, (*_REFUSALS, *_NOT_SENT)) or never_left(error):
        return True
    return isinstance(error, ProviderError) and (not error.is_ambiguous or error.status_code in _OVERLOADED)
