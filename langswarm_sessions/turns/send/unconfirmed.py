"""The end of a turn whose confirmation was lost: whether it was stored all the same."""

from __future__ import annotations

from langswarm_sessions.interfaces.storage import EngineStorage
from langswarm_sessions.records import Finished, FinishTurn, MessageFilter

__all__ = ["stored_after_all"]

_LOOKED_AT = 20  # newest messages: nobody else writes while the lease is kept, and few can have been faster


async def stored_after_all(storage: EngineStorage, finish: FinishTurn) -> Finished | None:
    """Return what an end has stored; None when it was not, or another one was.

    Args:
        storage: Where.
        finish: The end.
    """
    session_id, turn_id = finish.lease.session_id, finish.lease.turn_id
    turn = await storage.load_turn(session_id, turn_id)
    if turn is None or turn.state is not finish.state or turn.finished_at != finish.now:
        return None
    session = await storage.load_session(session_id)
    said = await storage.list_messages(session_id, MessageFilter(limit=_LOOKED_AT))
    of_turn = [message for message in said if message.turn_id == turn_id]
    answers = tuple(of_turn[len(of_turn) - len(finish.answers) :])
    if session is None or len(answers) < len(finish.answers):
        return None
    return Finished(session=session, answers=answers)
