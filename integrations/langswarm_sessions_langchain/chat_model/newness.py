"""What of a conversation given to a chat model its session does not hold yet. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage

from langswarm_sessions.messages import Role, SessionMessage
from langswarm_sessions_langchain.messages import from_langchain

__all__ = ["NewMessages", "needs_transcript", "new_messages"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMessages:
    """What a call says.

    Args:
        messages: What the session is sent, in the order the caller has it.
        repeats: Whether the session holds all of it: the turn these messages began is asked for once more.
        unknown: How many messages up to the newest answer the session was not found to hold.
    """

    messages: tuple[BaseMessage, ...] = field(repr=False)
    repeats: bool = False
    unknown: int = 0


def needs_transcript(given: Sequence[BaseMessage]) -> bool:
    """Whether a caller's messages may hold some that the session holds: answers, or messages with ids."""
    return any(isinstance(message, AIMessage) or message.id is not None for message in given)


def new_messages(given: Sequence[BaseMessage], held: Sequence[SessionMessage]) -> NewMessages:
    """Return what of a conversation its session does not hold.

    A message is held if the session has one with its id; up to the newest answer also one that says the same, in the
    same order. What comes behind the newest answer is new, unless it has an id the session knows.

    Args:
        given: The caller's messages; leading system messages are not among them.
        held: The end of the session's transcript, as a model may be given it.
    """
    found = _found(given, held)
    end, newest = _end_of_answers(given), len(given) - 1
    if newest in found and newest >= end:
        repeated = held[found.pop(newest)]
        if repeated.turn_id is not None and _says(given[newest], repeated):
            same = [given[at] for at in sorted(found) if _is_input_of(repeated, held[found[at]])]
            return NewMessages(messages=(*same, given[newest]), repeats=True)
    new = [message for at, message in enumerate(given) if at not in found]
    return NewMessages(messages=tuple(new), unknown=sum(at not in found for at in range(end)))


def _found(given: Sequence[BaseMessage], held: Sequence[SessionMessage]) -> dict[int, int]:
    """Return where the session holds which of the caller's messages."""
    by_id = {
        id_: at for at, message in enumerate(held) for id_ in (message.provider_message_id, message.message_id) if id_
    }
    end, before = _end_of_answers(given), len(held)
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


def _end_of_answers(given: Sequence[BaseMessage]) -> int:
    """Return where the messages behind the newest answer begin."""
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


def _says(message: BaseMessage, held: SessionMessage) -> bool:
    said = from_langchain(message)
    return said.role is held.role and said.role is not Role.ASSISTANT and said.parts == held.parts


def _is_input_of(last: SessionMessage, message: SessionMessage) -> bool:
    return message.turn_id == last.turn_id and (message.seq or 0) <= (last.seq or 0)


def _calls(message: SessionMessage) -> list[tuple[str, str]]:
    return [(call.id, call.name) for call in message.tool_calls]


def _told_id(held: SessionMessage) -> str | None:
    """Return the id its caller gave a message; None when the session gave it one."""
    payload: Mapping[str, Any] = held.provider_payload or {}
    kept: Mapping[str, Any] = payload.get("message") or {}
    data: Mapping[str, Any] = kept.get("data") or {}
    return data.get("id")
