"""How much room a window has: what the user says, else what the model takes, within reason. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from langswarm_sessions.config import SessionConfig, WholeWindow
from langswarm_sessions.interfaces.provider import ModelLimits

__all__ = ["DEFAULT_WINDOW_TOKENS", "RoomSource", "WindowRoom", "answer_tokens"]

DEFAULT_WINDOW_TOKENS = 100_000
"""Largest window of a session whose configuration names none.

Every turn of a client is read from the database, sent and billed as a whole: that a model takes a million tokens is no
reason to pay for a million with each turn. Who wants to says so.
"""

_ANSWER_TOKENS = 32_000
_ANSWER_SHARE = 4


class RoomSource(StrEnum):
    """Who says how much room there is: the session's configuration, the provider, a table of models, nobody, or an
    earlier request of the session that was longer than was thought.
    """

    CONFIG = "config"
    PROVIDER = "provider"
    TABLE = "table"
    DEFAULT = "default"
    LEARNED = "learned"


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowRoom:
    """What is known of the room of a turn's window, before the session's configuration is asked.

    Args:
        limits: What the model takes (None: not known).
        answer: Tokens of it kept free for the answer.
        told: Tokens of it that instructions and tools take.
        learned: The most that is worth trying after what became of earlier requests, in estimated tokens.
        begins_after: What was said up to this `seq` is not sent again: it held attachments, and was too long with them.
    """

    limits: ModelLimits | None = None
    answer: int = 0
    told: int = 0
    learned: int | None = None
    begins_after: int = 0

    @property
    def whole(self) -> int | None:
        """How much of what the model takes is left for the conversation, in tokens; None when that is not known."""
        if self.limits is None:
            return None
        context = self.limits.context_tokens
        return max(context // _ANSWER_SHARE, context - self.answer - self.told, 1)

    def after_overflow(self, sent: int, *, counted: int | None) -> int:
        """Return the budget to try once a window was longer than the model takes, as its provider names it.

        Args:
            sent: Estimated tokens of the window.
            counted: How many the provider counted of the request (None: it did not say).
        """
        own = max((counted or 0) - self.told, 0) or sent
        fitting = (self.whole or 0) * sent // own
        return min(fitting, sent * 3 // 4) if 0 < fitting < sent else max(1, sent // 2)

    def tokens(self, config: SessionConfig) -> int:
        """Return the budget of a session's window, in tokens."""
        return self._budget(config)[0]

    def source(self, config: SessionConfig) -> RoomSource:
        """Return who set that budget."""
        return self._budget(config)[1]

    def unlearned(self, config: SessionConfig) -> int:
        """Return the budget as it is without what earlier requests taught."""
        return self._known(config.max_tokens_window)[0]

    def _budget(self, config: SessionConfig) -> tuple[int, RoomSource]:
        tokens, source = self._known(config.max_tokens_window)
        if self.learned is not None and self.learned < tokens:
            return self.learned, RoomSource.LEARNED
        return tokens, source

    def _known(self, wanted: int | WholeWindow | None) -> tuple[int, RoomSource]:
        if isinstance(wanted, int):
            return wanted, RoomSource.CONFIG
        taken = self.whole
        if self.limits is None or taken is None:
            return DEFAULT_WINDOW_TOKENS, RoomSource.DEFAULT
        if wanted is None and taken >= DEFAULT_WINDOW_TOKENS:
            return DEFAULT_WINDOW_TOKENS, RoomSource.DEFAULT
        return taken, RoomSource.PROVIDER if self.limits.is_told else RoomSource.TABLE


def answer_tokens(limits: ModelLimits, *, max_tokens: int | None) -> int:
    """Return how many tokens of a model's window to keep free for the answer.

    Args:
        limits: What the model takes.
        max_tokens: The longest answer the session asks for (None: it says nothing).
    """
    longest = limits.output_tokens or _ANSWER_TOKENS
    return max_tokens or min(longest, _ANSWER_TOKENS, limits.context_tokens // _ANSWER_SHARE)
