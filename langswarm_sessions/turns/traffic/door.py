"""The way out of a turn: every request to its provider goes through here."""

from __future__ import annotations

import asyncio
import json

from langswarm_sessions.errors import ProviderError, ProviderUnavailableError
from langswarm_sessions.ids import monotonic
from langswarm_sessions.interfaces.provider import EngineProvider, ProviderRequest
from langswarm_sessions.interfaces.traffic import TrafficRules
from langswarm_sessions.messages.tokens import estimate_tokens
from langswarm_sessions.turns.patience import Patience
from langswarm_sessions.turns.traffic.shared import circuit_of, limiter_of
from langswarm_sessions.turns.traffic.ticket import Ticket
from langswarm_sessions_otel import TurnScope

__all__ = ["Door", "tokens_of"]

_WAIT_SECONDS = 0.001
"""What takes less is no wait."""
_BYTES_PER_TOKEN = 4


class Door:
    """Lets the requests of one turn out to one provider: within its limits, and unless it is down.

    Args:
        provider: Who is asked.
        patience: How long it is waited for (None: without limit).
        span: The turn's span; None outside any turn.
    """

    __slots__ = ("_patience", "_refusal", "_rules", "_span", "_was_left")

    def __init__(
        self, provider: EngineProvider, *, patience: Patience | None = None, span: TurnScope | None = None
    ) -> None:
        self._rules = provider.traffic
        self._patience = patience or Patience()
        self._span = span
        self._refusal: ProviderError | None = None
        self._was_left = False

    async def open(self, request: ProviderRequest | None = None) -> Ticket | None:
        """Wait until a request may be sent.

        Args:
            request: What is sent; None for one that costs no tokens.

        Returns:
            A context manager for the request, entered at once; None where nothing is counted.

        Raises:
            RateLimitError: It may not be sent within the turn's time.
            ProviderUnavailableError: The provider is left alone for a while.
        """
        rules = self._rules
        if rules is None:
            return None
        try:
            return await self._ticket(rules, request)
        except ProviderError as error:
            self._refusal = error
            if isinstance(error, ProviderUnavailableError) and self._span is not None:
                self._span.circuit_refused(provider=rules.provider, retry_after_seconds=error.retry_after or 0.0)
            raise

    def has_refused(self, error: BaseException) -> bool:
        """Whether an error is one of this door's own: nothing was sent, and trying again at once changes nothing."""
        return error is self._refusal

    def late_error(self) -> ProviderError | None:
        """Return the error of a turn whose time was up while its request waited here; None if it did not."""
        if self._rules is None or not self._was_left:
            return None
        from langswarm_sessions.turns.traffic.limiter import no_place_error

        return no_place_error(self._rules)

    async def _ticket(self, rules: TrafficRules, request: ProviderRequest | None) -> Ticket:
        circuit, limiter = circuit_of(rules), limiter_of(rules)
        if circuit is not None:
            circuit.refuse(provider=rules.provider, where=rules.where)
        counted = limiter if rules.limits.tokens_per_minute is not None and request is not None else None
        tokens = tokens_of(request) if request is not None and counted is not None else 0
        if limiter is not None:
            begun = monotonic()
            try:
                await limiter.take(rules, tokens=tokens, left=lambda: self._patience.left)
            except asyncio.CancelledError:
                self._was_left = True
                raise
            finally:
                if (waited := monotonic() - begun) >= _WAIT_SECONDS and self._span is not None:
                    self._span.rate_limited(provider=rules.provider, wait_seconds=waited)
        trial = None if circuit is None else circuit.enter(provider=rules.provider, where=rules.where)
        return Ticket(
            rules, circuit, trial=trial, patience=self._patience, span=self._span, tokens=tokens, count=counted
        )


def tokens_of(request: ProviderRequest) -> int:
    """Return about how many tokens a request sends. What the provider holds already is counted when it has answered.

    Args:
        request: Any request.
    """
    size = len(request.instructions or "") + sum(
        len(json.dumps(tool, default=str)) for tool in request.options.tools or ()
    )
    return sum(map(estimate_tokens, request.messages)) + size // _BYTES_PER_TOKEN
