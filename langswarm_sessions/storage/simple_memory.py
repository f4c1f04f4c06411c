"""What an adapter keeps in memory of the conversations in use: the memory storage, with two ways in and out more."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from datetime import timedelta
from time import monotonic_ns

from sqlalchemy import Connection

from langswarm_sessions.errors import SessionExistsError
from langswarm_sessions.ids import now
from langswarm_sessions.messages import SessionMessage, TurnState
from langswarm_sessions.records import Begun, Lease, SessionRecord
from langswarm_sessions.storage.simple_use import InUse
from langswarm_sessions.storage.sql.finish import abandon_turn, beat
from langswarm_sessions.storage.sql.message_rows import identified
from langswarm_sessions.storage.sql.restore import forget_session, forget_unused, restore_session
from langswarm_sessions.storage.sqlite import InMemorySessionStorage

__all__ = ["ConversationMemory"]

_GRACE = timedelta(minutes=1)


class ConversationMemory(InMemorySessionStorage):
    """Copies of conversations that are stored elsewhere.

    Args:
        keep: How many are kept that nobody works on and no turn holds.
    """

    def __init__(self, *, keep: int) -> None:
        super().__init__()
        self._in_use = InUse(keep)

    def using(self, session_id: str) -> AbstractContextManager[None]:
        """Work on a conversation: once it is here it stays, to the end of the block."""
        return self._in_use.using(session_id)

    async def restore(self, record: SessionRecord, messages: Sequence[SessionMessage]) -> None:
        """Take in a conversation as it was stored elsewhere, unless it is here already.

        Its row is newer than any that was seen of it before it was forgotten. What was not used for longest goes.
        """
        newest = replace(record, version=monotonic_ns())
        with suppress(SessionExistsError):  # another task was first
            await self._runner.write_surely(restore_session, newest, messages)
        await self._forget_surplus()

    async def _forget_surplus(self) -> None:
        if surplus := self._in_use.surplus():
            await self._runner.write_surely(forget_unused, surplus, self._in_use.strike)

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
