"""Where a session holds what a caller repeats of their conversation. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage

from langswarm_sessions.messages import Role, SessionMessage
from langswarm_sessions_langchain.messages.conversion import from_langchain

__all__ = ["end_of_answers", "held_at"]


def held_at(given: Sequence[BaseMessage], held: Sequence[SessionMessage]) -> dict[int, int]:
    """Return where a session holds which of a caller's messages.

    A message is held if the session has one with its id; up to the newest answer also one that says the same, in the
    same order.

    Args:
        given: The caller's messages.
        held: The end of the session's transcript, with one tool result a message.

    Returns:
        Positions in `held` by positions in `given`.
    """
    by_id = {
        id_: at for at, message in enumerate(held) for id_ in (message.provider_message_id, message.message_id) if id_
    }
    end, before = end_of_answers(given), len(held)
    found: dict[int, int] = {}
    for position in reversed(range(len(given))):
        message = given[position]
        at = by_id.get(message.id) if message.id else None
        if at is None and position < end:
            at = _same_before(message, held, before)
        if at is not None:
            found[position] = at
            before = min(before, at)
    return found


def end_of_answers(given: Sequence[BaseMessage]) -> int:
    """Return where the messages behind the newest answer begin; 0 when there is none."""
    return next((at + 1 for at in reversed(range(len(given))) if isinstance(given[at], AIMessage)), 0)


def _same_before(message: BaseMessage, held: Sequence[SessionMessage], before: int) -> int | None:
    said = from_langchain(message)
    return next((at for at in reversed(range(before)) if _is_same(message, said, held[at])), None)


def _is_same(message: BaseMessage, said: SessionMessage, held: SessionMessage) -> bool:
    if said.role is not held.role:
        return False
    if said.role is Role.ASSISTANT:
        # Whoever hands an answer on may leave out its reasoning, and streams give it another id.
        return (said.content, _calls(said)) == (held.content, _calls(held))
    told = _told_id(held)
    if message.id is not None and told is not None:
        return False  # each was given an id, and they differ
    return said.parts == held.parts


def _calls(message: SessionMessage) -> list[tuple[str, str]]:
    return [(call.id, call.name) for call in message.tool_calls]


def _told_id(held: SessionMessage) -> str | None:
    """Return the id its caller gave a message; None when the session gave it one."""
    payload: Mapping[str, Any] = held.provider_payload or {}
    kept: Mapping[str, Any] = payload.get("message") or {}
    data: Mapping[str, Any] = kept.get("data") or {}
    return data.get("id")
