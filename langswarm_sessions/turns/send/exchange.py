"""What lies between an answer that calls tools and the next one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from langswarm_sessions.interfaces.storage import EngineStorage
from langswarm_sessions.messages import Role, SessionMessage, TurnState
from langswarm_sessions.records import MessageFilter

__all__ = ["Exchange", "asked_at", "exchange_after", "round_key"]

_LOOKED_AT = 20  # newest inputs of a session: calls are gone on with soon after they were made


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


def round_key(key: str | None, number: int) -> str | None:
    """Return the key that names one turn of a send: the send's own for the first, one nobody can choose for others."""
    if key is None or number == 1:
        return key
    return hashlib.sha256(f"{key}\x1f{number}".encode()).hexdigest()


async def asked_at(storage: EngineStorage, answer: SessionMessage) -> int:
    """Return the `seq` of the input that an answer, perhaps after others of the same send, goes back to."""
    before = answer.seq or 0
    inputs = await storage.list_messages(answer.session_id, MessageFilter(role=Role.USER, limit=_LOOKED_AT))
    return max((message.seq for message in inputs if message.seq and message.seq < before), default=before)


def _is_answer(message: SessionMessage) -> bool:
    return message.role is Role.ASSISTANT and message.status is TurnState.COMPLETED
