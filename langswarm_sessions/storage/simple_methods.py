"""The six methods of SessionStorage on top of the engine's, so that built-in storages can be used like a user's own."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from langswarm_sessions.checks import check_moment
from langswarm_sessions.config import SessionConfig, Strategy
from langswarm_sessions.errors import InvalidInputError
from langswarm_sessions.ids import now
from langswarm_sessions.interfaces.storage import EngineStorage, SessionStorage
from langswarm_sessions.messages import SessionMessage, as_role, plain_mapping
from langswarm_sessions.records import MessageFilter, SessionRecord
from langswarm_sessions.storage.plain import message_from_plain, message_to_plain, session_to_plain

__all__ = ["SimpleMethods"]


class SimpleMethods(EngineStorage, SessionStorage):
    """Adds the simple methods to an engine storage."""

    async def create_session(
        self,
        session_id: str,
        user_id: str,
        provider: str,
        model: str,
        config: Mapping[str, Any] | None = None,
        context: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Store a new session and return it.

        Args:
            session_id: Its id, unique in the database.
            user_id: Whose it is.
            provider: The provider's name.
            model: The model's name.
            config: Fields of a SessionConfig.
            context: The user's own values.

        Raises:
            SessionExistsError: The id is taken.
        """
        moment = now()
        record = SessionRecord(
            session_id=session_id,
            user_id=user_id,
            provider=provider,
            model=model,
            strategy=Strategy.HYBRID,
            created_at=moment,
            last_activity=moment,
            config=SessionConfig.of(config),
            context=plain_mapping({} if context is None else context, field="context"),
        )
        await self.insert_session(record)
        return session_to_plain(record)

    async def get_session(self, session_id: str) -> dict[str, Any] | None:
        """Return a session as a mapping, or None."""
        record = await self.load_session(session_id)
        return None if record is None else session_to_plain(record)

    async def add_message(self, session_id: str, message: Mapping[str, Any] | SessionMessage) -> dict[str, Any]:
        """Append one message and return it as it is stored.

        Args:
            session_id: The session to append to.
            message: A SessionMessage, or a mapping with at least role and content.

        Raises:
            SessionNotFoundError: There is no such session.
            InvalidInputError: The message is none.
        """
        if not isinstance(cast("object", message), Mapping | SessionMessage):
            raise InvalidInputError("message must be a SessionMessage or a dict with 'role' and 'content'.")
        given = (
            message
            if isinstance(message, SessionMessage)
            else message_from_plain({"timestamp": now(), **message}, session_id=session_id)
        )
        finished = await self.append_messages(session_id, [given])
        return message_to_plain(finished.answers[0])

    async def get_messages(
        self,
        session_id: str,
        limit: int | None = None,
        role: str | None = None,
        since: datetime | None = None,
    ) -> list[dict[str, Any]]:
        """Return the newest `limit` messages as mappings, oldest first.

        Raises:
            InvalidInputError: There is no such role, or `limit` or `since` is none.
        """
        wanted = MessageFilter(
            limit=limit,
            role=None if role is None else as_role(role),
            start_time=check_moment(since, field="since"),
        )
        return [message_to_plain(message) for message in await self.list_messages(session_id, wanted)]

    async def health_check(self) -> Mapping[str, Any]:
        """Return what `check_health` finds."""
        return await self.check_health()
