"""What of a conversation given to a chat model its session does not hold yet. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from langchain_core.messages import AIMessage, BaseMessage

from langswarm_sessions.messages import Role, SessionMessage, TurnState
from langswarm_sessions_langchain.messages import from_langchain, one_result_each
from langswarm_sessions_langchain.messages.newness import end_of_answers, held_at

__all__ = ["NewMessages", "needs_transcript", "new_messages"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMessages:
    """What a call says.

    Args:
        messages: What the session is sent, in the order the caller has it.
        broken: The turn these messages began, which was broken off and is asked for once more (None: there is none).
        unknown: How many messages up to the newest answer the session was not found to hold.
    """

    messages: tuple[BaseMessage, ...] = field(repr=False)
    broken: str | None = None
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
    held = [single for message in held for single in one_result_each(message)]
    found = held_at(given, held)
    end, newest = end_of_answers(given), len(given) - 1
    if newest in found and newest >= end:
        repeated = held[found.pop(newest)]
        if repeated.turn_id is not None and _says(given[newest], repeated):
            same = [given[at] for at in sorted(found) if _is_input_of(repeated, held[found[at]])]
            broken = repeated.turn_id if repeated.status is TurnState.INTERRUPTED else None
            return NewMessages(messages=(*same, given[newest]), broken=broken)
    new = [message for at, message in enumerate(given) if at not in found]
    return NewMessages(messages=tuple(new), unknown=sum(at not in found for at in range(end)))


def _says(message: BaseMessage, held: SessionMessage) -> bool:
    said = from_langchain(message)
    return said.role is held.role and said.role is not Role.ASSISTANT and said.parts == held.parts


def _is_input_of(last: SessionMessage, message: SessionMessage) -> bool:
    return message.turn_id == last.turn_id and (message.seq or 0) <= (last.seq or 0)
