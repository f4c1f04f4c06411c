"""What lies between an answer that calls tools and the next one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from langswarm_sessions.interfaces.storage import EngineStorage
from langswarm_sessions.messages import Role, SessionMessage, TurnState
from langswarm_sessions.records import MessageFilter, SessionRecord

__all__ = ["Exchange", "asked_at", "begins_at", "exchange_after", "round_key", "was_cleared"]

_LOOKED_AT = (1, 20)  # newest messages of a role: calls are gone on with soon after they were made


@dataclass(frozen=True, slots=True)
class Exchange:
    """An answer that calls tools, and what came of it.

    Args:
        asked: The answer.
        results: The results stored so far, by the id of their call.
        is_over: Whether the conversation has gone on without the rest.
    """

    asked: SessionMessage
    results: Mapping[str, SessionMessage] = field(default_factory=dict[str, SessionMessage])
    is_over: bool = False


def exchange_after(asked: SessionMessage, later: Sequence[SessionMessage], *, cleared_seq: int) -> Exchange:
    """Return what came of the calls of an answer.

    Args:
        asked: The answer.
        later: What was said after it.
        cleared_seq: Messages up to this one are hidden.
    """
    results = {result.tool_call_id: message for message in later for result in message.tool_results}
    went_on = any(message.role is Role.USER or _is_answer(message) for message in later)
    return Exchange(asked, results, is_over=went_on or (asked.seq or 0) <= cleared_seq)


def was_cleared(answer: SessionMessage, record: SessionRecord) -> bool:
    """Return whether an answer is no longer part of its conversation."""
    return (answer.seq or 0) <= record.cleared_seq


def round_key(key: str | None, number: int) -> str | None:
    """Return the key that names one turn of a send: the send's own for the first, one nobody can choose for others."""
    if key is None or number == 1:
        return key
    return hashlib.sha256(f"{key}\x1f{number}".encode()).hexdigest()


async def asked_at(storage: EngineStorage, answer: SessionMessage) -> int:
    """Return the `seq` of the input that an answer, perhaps after others of the same send, goes back to."""
    before = answer.seq or 0
    asked = await _newest(storage, answer.session_id, Role.USER, lambda message: (message.seq or before) < before)
    return before if asked is None or asked.seq is None else asked.seq


async def begins_at(storage: EngineStorage, session_id: str, inputs: Sequence[SessionMessage]) -> int | None:
    """Return the `seq` where what is being answered begins: for results of tools, the question their calls go back to.

    Args:
        storage: Where the session is.
        session_id: The session.
        inputs: What is about to be sent; None is returned where it is no answer to calls.
    """
    answered = {result.tool_call_id for message in inputs for result in message.tool_results}
    if not answered:
        return None

    def made_calls(message: SessionMessage) -> bool:
        return any(call.id in answered for call in message.tool_calls)

    asking = await _newest(storage, session_id, Role.ASSISTANT, made_calls)
    return None if asking is None else await asked_at(storage, asking)


async def _newest(
    storage: EngineStorage, session_id: str, role: Role, wanted: Callable[[SessionMessage], bool]
) -> SessionMessage | None:
    """Return the newest message of a role that is wanted; it is nearly always the newest of all."""
    for limit in _LOOKED_AT:
        page = await storage.list_messages(session_id, MessageFilter(role=role, limit=limit, for_model=True))
        if found := next(filter(wanted, reversed(page)), None):
            return found
    return None


def _is_answer(message: SessionMessage) -> bool:
    return message.role is Role.ASSISTANT and message.status is TurnState.COMPLETED
