"""Answering with another provider when a session's own cannot; only when asked for by name."""

from __future__ import annotations

from dataclasses import replace

from langswarm_sessions.config import Strategy
from langswarm_sessions.errors import NativeStateLostError, ProviderError
from langswarm_sessions.interfaces.provider import EngineProvider
from langswarm_sessions.records import Begun
from langswarm_sessions.strategies import TurnStrategy, choose_strategy
from langswarm_sessions.turns.history import history_of
from langswarm_sessions.turns.services import TurnServices
from langswarm_sessions.window import WindowRoom

__all__ = ["FALLBACK_ERRORS", "fallback_strategy", "with_whole_history"]

FALLBACK_ERRORS = (ProviderError, NativeStateLostError)


def fallback_strategy(provider: EngineProvider, room: WindowRoom | None = None) -> TurnStrategy:
    """Return how a fallback is asked: it is given the window, for it knows nothing of the conversation.

    Args:
        provider: The fallback.
        room: How large its window may be (None: that is not known).
    """
    return choose_strategy(Strategy.CLIENT, provider=provider.name, profile=provider.profile, room=room or WindowRoom())


async def with_whole_history(services: TurnServices, begun: Begun, strategy: TurnStrategy) -> Begun:
    """Return a begun turn with the history that another provider needs."""
    query = strategy.needs_for_rebuild(begun.session)
    return replace(begun, history=await history_of(services.storage, begun, query))
