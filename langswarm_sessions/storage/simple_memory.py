"""What an adapter keeps in memory of the conversations in use: the memory storage, with two ways in and out more."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import Connection

from langswarm_sessions.ids import now
from langswarm_sessions.messages import SessionMessage, TurnState
from langswarm_sessions.records import Begun, Lease, SessionRecord
from langswarm_sessions.storage.sql.finish import abandon_turn, beat
from langswarm_sessions.storage.sql.message_rows import identified
from langswarm_sessions.storage.sql.restore import forget_session, restore_session
from langswarm_sessions.storage.sqlite import InMemorySessionStorage

__all__ = ["ConversationMemory"]

_GRACE = timedelta(minutes=1)


class ConversationMemory(InMemorySessionStorage):
    """Copies of conversations that are stored elsewhere."""

    async def restore(self, record: SessionRecord, messages: Sequence[SessionMessage]) -> None:
        """Take in a conversation as it was stored elsewhere.

        Raises:
            SessionExistsError: It is here already.
        """
        await self._runner.write_surely(restore_session, record, messages)

    async def forget(self, session_id: str) -> None:
        """Drop a conversation; it is restored when it is used again."""
        await self._runner.write_surely(forget_session, session_id)

    async def abandon(self, begun: Begun) -> None:
        """End a turn whose caller went away."""
        await self._runner.write_surely(abandon_turn, begun, now())

    async def is_held(self, lease: Lease) -> bool:
        """Return whether a lease is still held, and keep it from expiring while the answer is written."""
        return not await self._runner.write_surely(beat, [lease], now() + _GRACE)

    async def identified(
        self,
        messages: Sequence[SessionMessage],
        session_id: str,
        *,
        turn_id: str | None = None,
        status: TurnState = TurnState.COMPLETED,
    ) -> tuple[SessionMessage, ...]:
        """Return copies of `messages` with the ids they are going to be stored under."""
        return await self._runner.read(_identified, messages, session_id, turn_id, status)


def _identified(
    connection: Connection,
    messages: Sequence[SessionMessage],
    session_id: str,
    turn_id: str | None,
    status: TurnState,
) -> tuple[SessionMessage, ...]:
    return identified(connection, messages, session_id=session_id, turn_id=turn_id, status=status)
