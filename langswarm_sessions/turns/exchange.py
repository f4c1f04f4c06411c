"""What lies between an answer that calls tools and the next one. Pure functions, and one look into the storage."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from langswarm_sessions.interfaces.storage import EngineStorage
from langswarm_sessions.messages import Role, SessionMessage, TurnState
from langswarm_sessions.records import Begun, HistoryQuery, MessageFilter

__all__ = ["Exchange", "asked_at", "exchange_after", "following", "history_of", "round_key"]

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


def following(begun: Begun, results: Iterable[SessionMessage], *, down_to: int | None) -> Begun:
    """Return the beginning of a turn whose inputs are results that were stored before it.

    Args:
        begun: The beginning, with the results in its history.
        results: The results, in the order of their calls.
        down_to: The `seq` where the whole exchange begins.
    """
    asked = replace(begun, inputs=tuple(results), down_to=down_to)
    return replace(asked, history=_before_inputs(begun.history, asked))


async def history_of(storage: EngineStorage, begun: Begun, query: HistoryQuery) -> tuple[SessionMessage, ...]:
    """Read the transcript before the inputs of a turn that has begun.

    Args:
        storage: Where it is.
        begun: The turn.
        query: Which part is wanted; what the turn answers is never left out.
    """
    wanted = replace(query, not_turn=begun.turn.turn_id, down_to=begun.down_to)
    return _before_inputs(await storage.load_history(begun.session.session_id, wanted), begun)


async def asked_at(storage: EngineStorage, answer: SessionMessage) -> int:
    """Return the `seq` of the input that an answer, perhaps after others of the same send, goes back to."""
    before = answer.seq or 0
    inputs = await storage.list_messages(answer.session_id, MessageFilter(role=Role.USER, limit=_LOOKED_AT))
    return max((message.seq for message in inputs if message.seq and message.seq < before), default=before)


def _before_inputs(history: Sequence[SessionMessage], begun: Begun) -> tuple[SessionMessage, ...]:
    """Leave out the inputs, and what an attempt before had begun to say to them."""
    own = {message.message_id for message in begun.inputs}
    return tuple(
        message for message in history if message.message_id not in own and not _is_partial(message, begun.down_to)
    )


def _is_partial(message: SessionMessage, down_to: int | None) -> bool:
    if down_to is None or message.role is not Role.ASSISTANT or message.status is not TurnState.INTERRUPTED:
        return False
    return (message.seq or 0) > down_to


def _is_answer(message: SessionMessage) -> bool:
    return message.role is Role.ASSISTANT and message.status is TurnState.COMPLETED
