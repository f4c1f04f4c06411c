"""From what a provider said to messages and native state. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence

from langswarm_sessions.interfaces.provider import Completed, EngineProvider
from langswarm_sessions.messages import Role, SessionMessage, ToolCall
from langswarm_sessions.providers.base import answer_message
from langswarm_sessions.records import Begun, NativeState
from langswarm_sessions.strategies import TurnPlan

__all__ = ["answer_of", "native_after", "partial_answer"]


def answer_of(completed: Completed, *, provider: str) -> SessionMessage:
    """Return the answer as a message, before middleware has seen it."""
    message = answer_message(completed)
    message.provider_metadata = {"provider": provider, **message.provider_metadata}
    return message


def partial_answer(text: str, *, provider: str, model: str) -> SessionMessage:
    """Return what was said before a turn was interrupted."""
    return SessionMessage(
        role=Role.ASSISTANT,
        content=text,
        provider_metadata={
            "provider": provider,
            "model": model,
            "usage": {},
            "finish_reason": "interrupted",
            "request_id": None,
        },
    )


def native_after(completed: Completed, *, plan: TurnPlan, begun: Begun, provider: EngineProvider) -> NativeState | None:
    """Return the provider's state after an answer; None when it kept nothing."""
    if not plan.keep_native or completed.native_id is None:
        return None
    return NativeState(
        provider=provider.name,
        kind=provider.profile.native,
        id=completed.native_id,
        cursor=_newest(begun),
        turn_id=begun.turn.turn_id,
        model=completed.model,
        memo=completed.native_memo,
        # Not the answer's: a middleware may have taken calls out that the provider still waits for.
        open_calls=tuple(part.id for part in completed.parts if isinstance(part, ToolCall)),
    )


def _newest(begun: Begun) -> int:
    known: Sequence[SessionMessage] = (*begun.history, *begun.inputs)
    return max((message.seq for message in known if message.seq is not None), default=0)
