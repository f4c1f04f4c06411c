"""Sessions as the session service of Google ADK's runners."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from google.adk.errors.session_not_found_error import SessionNotFoundError as AdkSessionNotFoundError
from google.adk.events import Event
from google.adk.sessions import Session as AdkSession
from google.adk.sessions.base_session_service import BaseSessionService, GetSessionConfig, ListSessionsResponse

from langswarm_sessions.blocking import BlockingSessionManager
from langswarm_sessions.checks import check_name
from langswarm_sessions.errors import SessionNotFoundError
from langswarm_sessions.ids import new_id
from langswarm_sessions.manager import SessionManager
from langswarm_sessions.messages import SessionMessage
from langswarm_sessions.records import Amendment, Page, SessionRecord
from langswarm_sessions.session import Session
from langswarm_sessions_frameworks.conversation import checked_manager
from langswarm_sessions_frameworks.formats import LossReport, Reading, read_as
from langswarm_sessions_frameworks.google_adk.format import EventFormat, rows_of
from langswarm_sessions_frameworks.google_adk.places import adk_id, app_tag, check_id, state_of
from langswarm_sessions_frameworks.google_adk.reading import (
    ALL,
    last_author,
    mark_of_made,
    newest,
    rewound,
    since,
    stored_row,
    within,
)
from langswarm_sessions_frameworks.google_adk.rows import Key, Mark, create, find, is_known_as, snapshot
from langswarm_sessions_frameworks.google_adk.states import PAGE, Delta, SharedStates, merged

__all__ = ["AdkSessionService"]


class AdkSessionService(BaseSessionService):
    """Keeps the sessions of ADK's runners: one session of ADK, one here, each event a message that holds it whole.

    An event, and what it changes of any state, is stored in one transaction. A copy of a session that was
    read before somebody else appended is refused with ADK's `StaleSessionError`: told by the numbers of messages, so
    that clocks, rounding and upkeep never make one stale. An event that is appended again is stored once.
    `app:` and `user:` state is shared as ADK has it, and kept as the context of a session of its own; `temp:` state is
    not stored. A session that `delete_session` deleted can be restored until it is purged; its id is free at once.
    Events that `Runner.rewind_async` goes back before stay stored, and nobody is given them any more.

    Args:
        manager: Where sessions live, blocking or not; None: the process-wide one.
        agent_name: Whose answers those of other frameworks are told as; None: of the agent that answered last, or else
            of one that has the app's name. ADK quotes to an agent what others said.

    Raises:
        ConfigurationError: The manager is none.
        InvalidInputError: The name is not a non-empty string.

    Example:
        >>> def runner_of(agent, manager):
        ...     return Runner(agent=agent, app_name="trips", session_service=AdkSessionService(manager))
    """

    def __init__(
        self, manager: SessionManager | BlockingSessionManager | None = None, *, agent_name: str | None = None
    ) -> None:
        self._manager = checked_manager(manager)
        self._agent_name = None if agent_name is None else check_name(agent_name, field="agent_name")
        self._states = SharedStates(self._manager)
        self._locks: weakref.WeakValueDictionary[tuple[int, Key], asyncio.Lock] = weakref.WeakValueDictionary()

    async def create_session(
        self, *, app_name: str, user_id: str, state: dict[str, Any] | None = None, session_id: str | None = None
    ) -> AdkSession:
        """Create a session.

        Args:
            app_name: Of which app.
            user_id: Whose.
            state: What it begins with; `app:` and `user:` keys are shared.
            session_id: An id of your own; None makes one.

        Raises:
            AlreadyExistsError: The user has a session with this id in this app.
            InvalidInputError: A name is empty, too long or not printable.
        """
        key = _key(app_name, user_id, session_id if session_id and session_id.strip() else new_id())
        delta = Delta(state or {})
        also = await self._states.changes(delta, app_name=app_name, user_id=user_id)
        session = await create(self._manager, key, delta.session, also=also)
        return await self._told(session.record, app_name, [])

    async def get_session(
        self, *, app_name: str, user_id: str, session_id: str, config: GetSessionConfig | None = None
    ) -> AdkSession | None:
        """Return a session; None when there is none.

        Args:
            app_name: Of which app.
            user_id: Whose.
            session_id: Which.
            config: Which of its events; None: all.
        """
        session = await find(self._manager, _key(app_name, user_id, session_id))
        if session is None:
            return None
        record, rows = await newest(session, since(config), None if config is None else config.num_recent_events)
        events = self._reading(rows, app_name, session_id).items
        return await self._told(record, app_name, within(events, config))

    async def list_sessions(self, *, app_name: str, user_id: str | None = None) -> ListSessionsResponse:
        """Return all sessions of an app, without their events; the most recently active comes last.

        Args:
            app_name: Of which app.
            user_id: Whose; None: of all users.
        """
        sessions: list[AdkSession] = []
        cursor = None
        while True:
            page = await self.list_page(app_name=app_name, user_id=user_id, limit=PAGE, cursor=cursor)
            sessions += page
            if (cursor := page.next_cursor) is None:
                break
        sessions.sort(key=lambda session: (session.last_update_time, session.user_id, session.id))
        return ListSessionsResponse(sessions=sessions)

    async def list_page(
        self, *, app_name: str, user_id: str | None = None, limit: int = 100, cursor: str | None = None
    ) -> Page[AdkSession]:
        """Return some sessions of an app, without their events; the most recently active comes first.

        Args:
            app_name: Of which app.
            user_id: Whose; None: of all users.
            limit: At most this many.
            cursor: `next_cursor` of the page before.
        """
        check_name(app_name, field="app_name")
        found = await self._manager.search_sessions(
            user_id=user_id, tags=[app_tag(app_name)], limit=limit, cursor=cursor
        )
        app = await self._states.of_app(app_name)
        if user_id is None:
            users = await self._states.of_users(app_name)
        else:
            users = {user_id: await self._states.of_user(app_name, user_id)}
        told = [
            _adk_session(session.record, app_name, [], merged(state_of(session.record), app=app, user=user))
            for session in found
            for user in [users.get(session.user_id, {})]
        ]
        return Page(told, next_cursor=found.next_cursor)

    async def delete_session(self, *, app_name: str, user_id: str, session_id: str) -> None:
        """Delete a session softly; it does nothing when there is none."""
        session = await find(self._manager, _key(app_name, user_id, session_id))
        if session is not None:
            await session.delete()

    async def get_user_state(self, *, app_name: str, user_id: str) -> dict[str, Any]:
        """Return a user's state in an app; keys come without `user:`."""
        key = _key(app_name, user_id, "any")
        return await self._states.of_user(key.app_name, key.user_id)

    async def append_event(self, session: AdkSession, event: Event) -> Event:
        """Store an event, and the state it changes, and add it to the caller's copy; partial ones are passed on.

        Raises:
            StaleSessionError: The session has gone on since the copy was read.
            SessionNotFoundError: There is no such session; ADK's own error.
            SessionArchivedError: It is archived.
        """
        if event.partial:
            return event
        self._apply_temp_state(session, event)
        event = self._trim_temp_delta_state(event)
        key = _key(session.app_name, session.user_id, session.id)
        async with self._lock(key):
            mark, here = await self._opened(session, key)
            rows, there = rows_of(event), await stored_row(here, event)
            if there is None:
                delta = Delta(event.actions.state_delta)
                also = await self._states.changes(delta, app_name=key.app_name, user_id=key.user_id)
                change, gone = mark.change(key, delta.session), await rewound(here, event)
                await here.amend(Amendment(append=rows, retract=gone, change=change, also=also))
            elif there.seq != mark.seq + 1:  # the copy has it already, or does not know what came before it
                return event
            _set_mark(session, replace(mark, seq=mark.seq + len(rows)))
        session.last_update_time = event.timestamp
        return self._commit_event_to_session(session, event)

    async def loss_report(self, *, app_name: str, user_id: str, session_id: str) -> LossReport:
        """Return how a session reads as ADK's events: what is converted, what is left out, and why.

        Raises:
            SessionNotFoundError: There is no such session; ADK's own error.
        """
        session = await find(self._manager, _key(app_name, user_id, session_id))
        if session is None:
            raise _not_found(session_id)
        _, rows = await snapshot(session, ALL)
        return self._reading(rows, app_name, session_id).report

    # ------------------------------------------------------------ reading

    def _reading(self, rows: Sequence[SessionMessage], app_name: str, session_id: str) -> Reading[Event]:
        agent = self._agent_name or last_author(rows) or app_name
        return read_as(EventFormat(agent), rows, session_id=session_id)

    async def _told(self, record: SessionRecord, app_name: str, events: list[Event]) -> AdkSession:
        app = await self._states.of_app(app_name)
        user = await self._states.of_user(app_name, record.user_id)
        return _adk_session(record, app_name, events, merged(state_of(record), app=app, user=user))

    # ------------------------------------------------------------ appending

    def _lock(self, key: Key) -> asyncio.Lock:
        """Return what orders the appends of one loop: those of one copy do not make each other stale."""
        return self._locks.setdefault((id(asyncio.get_running_loop()), key), asyncio.Lock())

    async def _opened(self, session: AdkSession, key: Key) -> tuple[Mark, Session]:
        """Return up to where a copy was read, and the session it is a copy of."""
        written = session._storage_update_marker  # pyright: ignore[reportPrivateUsage]  # ADK's place for this
        if written is None:
            found = await find(self._manager, key)
            if found is None:
                raise _not_found(session.id)
            return await mark_of_made(session, found), found
        mark = Mark.read(written)
        try:
            here = await self._manager.get_session(mark.row_id)
        except SessionNotFoundError:
            raise _not_found(session.id) from None
        if not is_known_as(here.record, key):  # the copy was changed since it was read
            raise _not_found(session.id)
        return mark, here


def _adk_session(record: SessionRecord, app_name: str, events: list[Event], state: dict[str, Any]) -> AdkSession:
    session = AdkSession(
        id=adk_id(record),
        app_name=app_name,
        user_id=record.user_id,
        state=state,
        events=events,
        last_update_time=record.last_activity.timestamp(),
    )
    _set_mark(session, Mark.of(record))
    return session


def _set_mark(session: AdkSession, mark: Mark) -> None:
    session._storage_update_marker = str(mark)  # pyright: ignore[reportPrivateUsage]  # ADK's place for this


def _key(app_name: str, user_id: str, session_id: str) -> Key:
    return Key(check_name(app_name, field="app_name"), check_name(user_id, field="user_id"), check_id(session_id))


def _not_found(session_id: str) -> AdkSessionNotFoundError:
    return AdkSessionNotFoundError(f"Session {session_id} not found.")
