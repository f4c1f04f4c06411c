"""One session's rows, as a framework reads and writes them. Every adapter works over this."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from langswarm_sessions.blocking import BlockingSessionManager
from langswarm_sessions.checks import check_name
from langswarm_sessions.errors import ConfigurationError, SessionNotFoundError
from langswarm_sessions.factory import get_session_manager
from langswarm_sessions.manager import SessionManager
from langswarm_sessions.messages import SessionMessage
from langswarm_sessions.records import Amendment, Lease, MessageFilter, Page, SessionRecord, SessionStatus
from langswarm_sessions.session import Session
from langswarm_sessions.turns import HeldTurn
from langswarm_sessions_frameworks.provider import FRAMEWORK_PROVIDER, register

__all__ = ["DEFAULT_USER", "Conversation", "checked_manager"]

DEFAULT_USER = "user"


def checked_manager(manager: SessionManager | BlockingSessionManager | None) -> SessionManager:
    """Return the manager; of a blocking one the manager behind it; the process-wide one where none was given.

    Raises:
        ConfigurationError: It is something else.
    """
    given: object = get_session_manager() if manager is None else manager
    if isinstance(given, BlockingSessionManager):
        return given.manager
    if not isinstance(given, SessionManager):
        raise ConfigurationError(f"manager must be a SessionManager, not {type(given).__name__}.")
    return given


class Conversation:
    """One session, found or created when it is first used, from any thread and event loop.

    Args:
        manager: Where sessions live, blocking or not; None: the process-wide one.
        session_id: Which session.
        framework: Names the framework: the model of a session that is created here.
        user_id: Whose it must be; None takes it whoever's it is, and creates it for "user".

    Raises:
        ConfigurationError: The manager is none.
        InvalidInputError: An id is not a non-empty string.
    """

    def __init__(
        self,
        manager: SessionManager | BlockingSessionManager | None,
        session_id: str,
        *,
        framework: str,
        user_id: str | None = None,
    ) -> None:
        self.manager = checked_manager(manager)
        self.session_id = check_name(session_id, field="session_id")
        self.user_id = None if user_id is None else check_name(user_id, field="user_id")
        self._framework = framework
        self._opened: Session | None = None

    async def session(self) -> Session:
        """Return the session, created if there is none.

        Raises:
            SessionNotFoundError: It belongs to another user, or was deleted.
        """
        if self._opened is None or self._opened.status is SessionStatus.DELETED:
            self._opened = await self._open()
        return self._opened

    async def messages(self, limit: int | None = None, *, cursor: str | None = None) -> Page[SessionMessage]:
        """Return the conversation as a model may be given it: inputs of failed turns and what was taken back left out.

        Args:
            limit: At most this many, the newest (None: all).
            cursor: `next_cursor` of the page before, to go back further.

        Raises:
            SessionNotFoundError: It belongs to another user, or was deleted.
        """
        session = await self.session()
        page = await session.list_messages(MessageFilter(for_model=True, limit=limit, cursor=cursor))
        if session.status is SessionStatus.DELETED:  # by somebody else, since it was opened
            await self.session()
        return page

    async def append(
        self,
        messages: Sequence[SessionMessage] = (),
        *,
        retract: Sequence[str] = (),
        change: Callable[[SessionRecord], SessionRecord] | None = None,
        skip_known: bool = False,
        held: Lease | None = None,
    ) -> list[SessionMessage]:
        """Append messages outside any turn, take others back and change the session's row, all or nothing.

        Args:
            messages: In order; those with a `message_id` keep it where it is free.
            retract: Ids of messages to take back; they stay stored.
            change: Pure; the row as it is → as it shall be; refuses everything by raising.
            skip_known: Leave out messages whose id the session has already: they were appended before.
            held: The lease of a held turn: nothing is stored once it was lost.

        Returns:
            What was stored, in order.

        Raises:
            SessionNotFoundError: It belongs to another user, or was deleted.
            SessionArchivedError: It is archived.
            TurnConflictError: The lease was lost.
        """
        session = await self.session()
        amendment = Amendment(
            append=tuple(messages), retract=tuple(retract), change=change, skip_known=skip_known, held=held
        )
        return await session.amend(amendment)

    async def hold(self, *, steps_aside: bool = False) -> HeldTurn:
        """Wait in line for the session and hold it until `release`: no other turn of it begins, in any process.

        Args:
            steps_aside: Whether it is released when the task that took it begins another turn of the session.

        Raises:
            SessionBusyError: Another turn held it for longer than the manager's turn_wait.
            SessionNotFoundError: It belongs to another user, or was deleted.
            SessionArchivedError: It is archived.
        """
        turn = (await self.session()).hold_turn(steps_aside=steps_aside)
        await turn.take()
        return turn

    async def clear(self) -> None:
        """Hide everything said so far; it stays stored until the session is purged."""
        await (await self.session()).clear_messages()

    async def _open(self) -> Session:
        try:
            session = await self.manager.get_session(self.session_id)
        except SessionNotFoundError:
            register()
            return await self.manager.open_session(
                self.session_id,
                user_id=self.user_id or DEFAULT_USER,
                provider=FRAMEWORK_PROVIDER,
                model=self._framework,
            )
        if session.provider == FRAMEWORK_PROVIDER:
            register()
        if self.user_id is not None and session.user_id != self.user_id:
            # The manager words the refusal: another user's session does not exist.
            return await self.manager.open_session(
                self.session_id, user_id=self.user_id, provider=session.provider, model=session.model
            )
        return session
