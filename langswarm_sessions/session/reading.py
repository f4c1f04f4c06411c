"""Reading a session's transcript, and storing messages beside turns."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from langswarm_sessions.checks import check_count, check_messages, check_moment, check_name
from langswarm_sessions.errors import InvalidInputError, MessageNotFoundError
from langswarm_sessions.export import exported
from langswarm_sessions.lifecycle import append_messages, clear_messages
from langswarm_sessions.messages import Content, Role, SessionMessage, as_message, as_role, content_bytes
from langswarm_sessions.records import Amendment, MessageFilter, Page, SessionSummary
from langswarm_sessions.session.handle import SessionHandle
from langswarm_sessions.turns import HeldTurn

__all__ = ["SessionReading"]


class SessionReading(SessionHandle):
    """The transcript of a session."""

    __slots__ = ()

    async def get_messages(
        self,
        limit: int | None = None,
        role: Role | str | None = None,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        since: datetime | None = None,
        cursor: str | None = None,
    ) -> Page[SessionMessage]:
        """Return the transcript in chronological order, with each message's status.

        Args:
            limit: At most this many, the newest.
            role: Only this role.
            start_time: Not before this time.
            end_time: Not after this time.
            since: The same as `start_time`.
            cursor: `next_cursor` of the page before, to go back further.

        Returns:
            A list with a `next_cursor` (None when there is nothing older).
        """
        earliest = [
            moment
            for moment in (check_moment(start_time, field="start_time"), check_moment(since, field="since"))
            if moment is not None
        ]
        wanted = MessageFilter(
            limit=check_count(limit, field="limit"),
            role=None if role is None else as_role(role),
            start_time=max(earliest, default=None),
            end_time=check_moment(end_time, field="end_time"),
            cursor=cursor,
        )
        return await self.list_messages(wanted)

    async def list_messages(self, wanted: MessageFilter) -> Page[SessionMessage]:
        """Return a page of the transcript by a filter; `get_messages` is made of this."""
        await self._runtime.engine.settle(self.session_id)
        await self.refresh()
        return await self._runtime.services.storage.list_messages(self.session_id, wanted)

    async def get_message(self, message_id: str) -> SessionMessage:
        """Return one message.

        Raises:
            MessageNotFoundError: The session has no such message.
        """
        check_name(message_id, field="message_id")
        message = await self._runtime.services.storage.load_message(self.session_id, message_id)
        if message is None:
            raise MessageNotFoundError(
                f"The session has no message {message_id!r}; get_messages() lists those it has.",
                session_id=self.session_id,
            )
        return message

    async def clear_messages(self) -> None:
        """Hide what was said so far from reading, window and counters, and start the provider's side anew."""
        self.adopt(await clear_messages(self._runtime, self.session_id))

    async def retract_messages(self, message_ids: Sequence[str]) -> None:
        """Take messages back: they stay stored, but no reader or model is given them any more.

        Where the provider's own thread holds one of them, the next turn starts a new one. Ids the session does not
        show are passed over.

        Args:
            message_ids: Which.
        """
        ids = tuple(check_name(message_id, field="message_ids") for message_id in message_ids)
        await self.amend(Amendment(retract=ids))

    async def amend(self, amendment: Amendment) -> list[SessionMessage]:
        """Change the transcript outside any turn, as one unit of work; return what was appended.

        Raises:
            SessionNotFoundError: The session was deleted.
            SessionArchivedError: It is archived.
            TurnConflictError: The lease it is made under was lost.
            StorageError: The storage cannot take messages back.
            InvalidInputError: One of the messages holds what cannot be stored.
        """
        check_messages(amendment.append, field="append")
        with self._runtime.services.storage_span("replace" if amendment.retract else "append", self.session_id) as op:
            stored = await self._runtime.services.storage.amend_session(self.session_id, amendment)
            op.done(count=len(stored.answers), size=content_bytes(stored.answers))
        self.adopt(stored.session)
        if amendment.held is not None:
            self._runtime.engine.heard(amendment.held, stored.answers)
        return list(stored.answers)

    def hold_turn(self, *, steps_aside: bool = False) -> HeldTurn:
        """Return a turn that holds the session while somebody else answers in it, such as an agent framework's run.

        Turns of this session that others begin wait meanwhile, in every process. What is said is appended with
        `amend(Amendment(append=..., held=turn.lease))`.

        Args:
            steps_aside: For runs whose end nobody tells: whether it is released, as interrupted, when the task that
                took it begins another turn of the session.

        Example:
            >>> async def record(session, message):
            ...     async with session.hold_turn() as turn:
            ...         await session.amend(Amendment(append=(message,), held=turn.lease))
        """
        return self._runtime.engine.hold(self._record, steps_aside=steps_aside)

    async def export_conversation(self, format: str = "json") -> dict[str, Any]:
        """Return session and transcript as one JSON-ready dict.

        Args:
            format: "json", the only one so far.
        """
        if format != "json":
            raise InvalidInputError("format must be 'json'.")
        messages = await self.list_messages(MessageFilter())  # first: turns that are ending change the session, too
        # Beside the loop: tens of thousands of messages take a second.
        return await asyncio.to_thread(exported, self._record, messages, summary=await self.get_summary())

    async def get_summary(self) -> SessionSummary | None:
        """Return what stands for the part of the transcript that fell out of the window; None when nothing does."""
        return await self._runtime.services.storage.load_summary(self.session_id)

    async def send_system_message(self, text: str) -> SessionMessage:
        """Store a system message; the next turn carries it."""
        return await self.add_message(Role.SYSTEM, text)

    async def add_message(
        self,
        role: Role | str,
        content: Content,
        timestamp: datetime | None = None,
        *,
        metadata: Mapping[str, Any] | None = None,
        message_id: str | None = None,
    ) -> SessionMessage:
        """Store a message without asking the provider; the next turn carries it.

        Args:
            role: Who said it.
            content: What was said.
            timestamp: When (naive: local time); None is now.
            metadata: JSON-ready values kept with it.
            message_id: An id of your own; one that is taken is replaced and kept as `provider_message_id`.
        """
        message = as_message(content, role=role, metadata=metadata)
        if moment := check_moment(timestamp, field="timestamp"):
            message.timestamp = moment
        if message_id is not None:
            message.message_id = check_name(message_id, field="message_id")
        stored = await append_messages(self._runtime, self.session_id, [message])
        self.adopt(stored.session)
        return stored.answers[0]
