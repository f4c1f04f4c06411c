"""How somebody else's run ended: what is stored of it, and what its span says."""

from __future__ import annotations

from dataclasses import dataclass, replace

from langswarm_sessions.messages import TurnState
from langswarm_sessions.turns.readers.log import Interruption
from langswarm_sessions_otel import TurnScope, error_type_of

__all__ = ["ABANDONED", "CANCELLED", "COMPLETED", "LEASE_LOST", "PAUSED", "RunEnding", "broken_off_by"]


@dataclass(frozen=True, slots=True)
class RunEnding:
    """One way to end. Whatever it is, what was said in the run stays part of the conversation.

    Attributes:
        state: What is stored.
        interruption: Why it was broken off (None: it was not).
        error: What it failed with (None: it did not).
        is_paused: Whether another run goes on with it.
    """

    state: TurnState
    interruption: Interruption | None = None
    error: BaseException | None = None
    is_paused: bool = False

    @property
    def error_type(self) -> str | None:
        """The name of the error that it failed with."""
        return None if self.error is None else type(self.error).__name__

    @property
    def told(self) -> RunEnding:
        """The same without the error, once it was told: it holds on to all that was at hand where it was raised."""
        return replace(self, error=None)

    def tell(self, span: TurnScope) -> None:
        """Tell the turn's span."""
        if self.error is not None:
            span.failed(self.error)
        elif self.interruption is not None:
            span.interrupted(self.interruption.value)
        elif self.is_paused:
            span.paused()


COMPLETED = RunEnding(TurnState.COMPLETED)
PAUSED = RunEnding(TurnState.INTERRUPTED, is_paused=True)
CANCELLED = RunEnding(TurnState.INTERRUPTED, Interruption.CANCELLED)
ABANDONED = RunEnding(TurnState.INTERRUPTED, Interruption.ABANDONED)
LEASE_LOST = RunEnding(TurnState.INTERRUPTED, Interruption.LEASE_LOST)


def broken_off_by(error: BaseException | None) -> RunEnding:
    """Return how a run ended that an error broke off; None: whoever ran it went away."""
    if error is None or isinstance(error, GeneratorExit):
        return ABANDONED
    if error_type_of(error) == Interruption.CANCELLED:
        return CANCELLED
    return RunEnding(TurnState.INTERRUPTED, error=error)
