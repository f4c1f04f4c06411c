"""What a turn that has begun is given of the transcript."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from langswarm_sessions.interfaces.storage import EngineStorage
from langswarm_sessions.messages import Role, SessionMessage, TurnState
from langswarm_sessions.records import Begun, HistoryQuery

__all__ = ["following", "history_of"]


async def history_of(storage: EngineStorage, begun: Begun, query: HistoryQuery) -> tuple[SessionMessage, ...]:
    """Read the transcript before the inputs of a turn that has begun.

    Args:
        storage: Where it is.
        begun: The turn.
        query: Which part is wanted; what the turn answers is never left out.
    """
    wanted = replace(query, not_turn=begun.turn.turn_id, down_to=begun.down_to)
    return _before_inputs(await storage.load_history(begun.session.session_id, wanted), begun)


def following(begun: Begun, results: Iterable[SessionMessage], *, down_to: int | None) -> Begun:
    """Return the beginning of a turn whose inputs are results that were stored before it.

    Args:
        begun: The beginning, with the results in its history.
        results: The results, in the order of their calls.
        down_to: The `seq` where the whole exchange begins.
    """
    asked = replace(begun, inputs=tuple(results), down_to=down_to)
    return replace(asked, history=_before_inputs(begun.history, asked))


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
