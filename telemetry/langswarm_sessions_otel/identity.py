"""Which turn the current code runs in, and by what backends group its spans."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from opentelemetry import context as context_api
from opentelemetry.context import Context

from langswarm_sessions_otel import semconv

_CURRENT_TURN: Final = context_api.create_key("langswarm-sessions-turn")


@dataclass(frozen=True, slots=True, eq=False)
class TurnIdentity:
    """What spans inside a turn have in common.

    Attributes:
        session_id: The session.
        correlation: Attributes by which backends group spans into a conversation.
    """

    session_id: str
    correlation: Mapping[str, str]


def correlation_of(session_id: str) -> dict[str, str]:
    """Return the attributes by which backends group spans into a conversation.

    Args:
        session_id: The session.

    Returns:
        A new dict of attributes.
    """
    return {
        semconv.CONVERSATION_ID: session_id,
        semconv.SESSION_ID: session_id,
        semconv.LANGSWARM_SESSION_ID: session_id,
    }


def current_turn(session_id: str) -> TurnIdentity | None:
    """Return the turn of a session that the current context is inside of.

    Args:
        session_id: The session.

    Returns:
        The turn's identity, None outside of one and inside another session's.
    """
    identity = turn_of(context_api.get_current())
    return identity if identity is not None and identity.session_id == session_id else None


def turn_of(context: Context | None) -> TurnIdentity | None:
    """Return the innermost turn of a context, whatever its session.

    Args:
        context: Any context.

    Returns:
        The turn's identity, None outside of one.
    """
    identity = None if context is None else context.get(_CURRENT_TURN)
    return identity if isinstance(identity, TurnIdentity) else None


def is_inside(identity: TurnIdentity, context: Context) -> bool:
    """Tell whether a context lies inside a turn.

    Args:
        identity: The turn.
        context: Any context.

    Returns:
        True if the turn is the innermost one of the context.
    """
    return context.get(_CURRENT_TURN) is identity


def within(identity: TurnIdentity, context: Context) -> Context:
    """Place a context inside a turn.

    Args:
        identity: The turn.
        context: Any context.

    Returns:
        A new context.
    """
    return context_api.set_value(_CURRENT_TURN, identity, context)
