"""State of apps and users, which ADK's sessions share: kept as the contexts of sessions of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from google.adk.sessions.state import State

from langswarm_sessions.errors import SessionNotFoundError
from langswarm_sessions.manager import SessionManager
from langswarm_sessions.records import SessionRecord
from langswarm_sessions.session import Session
from langswarm_sessions_frameworks.google_adk.places import (
    APP_STATE,
    app_state_place,
    state_owner,
    user_state_place,
    user_state_tag,
)
from langswarm_sessions_frameworks.parts import plain_values
from langswarm_sessions_frameworks.provider import FRAMEWORK_PROVIDER, register

__all__ = ["FRAMEWORK", "PAGE", "Delta", "SharedStates", "merged"]

FRAMEWORK = "google-adk"
PAGE = 500
"""How many sessions are listed at a time."""


Change = Callable[[SessionRecord], SessionRecord]
_DESCRIPTION = "Holds state of Google ADK; says nothing."


class Delta:
    """A change of state, by whom it concerns; `temp:` keys concern nobody beyond the run.

    Args:
        state: Keys as ADK has them, with their prefixes.
    """

    def __init__(self, state: Mapping[str, Any]) -> None:
        plain: dict[str, Any] = plain_values(dict(state))
        self.app = _of(plain, State.APP_PREFIX)
        self.user = _of(plain, State.USER_PREFIX)
        prefixes = (State.APP_PREFIX, State.USER_PREFIX, State.TEMP_PREFIX)
        self.session = {key: value for key, value in plain.items() if not key.startswith(prefixes)}


def merged(session: Mapping[str, Any], *, app: Mapping[str, Any], user: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an agent sees as its session's state."""
    return {
        **session,
        **{State.APP_PREFIX + key: value for key, value in app.items()},
        **{State.USER_PREFIX + key: value for key, value in user.items()},
    }


class SharedStates:
    """The states of apps and users.

    Args:
        manager: Where they are kept.
    """

    def __init__(self, manager: SessionManager) -> None:
        self._manager = manager

    async def of_app(self, app_name: str) -> dict[str, Any]:
        """Return an app's state."""
        return await self._read(app_state_place(app_name))

    async def of_user(self, app_name: str, user_id: str) -> dict[str, Any]:
        """Return a user's state in an app."""
        return await self._read(user_state_place(app_name, user_id))

    async def of_users(self, app_name: str) -> dict[str, dict[str, Any]]:
        """Return the states of all users of an app that have one."""
        found: dict[str, dict[str, Any]] = {}
        cursor = None
        while True:
            page = await self._manager.search_sessions(tags=[user_state_tag(app_name)], limit=PAGE, cursor=cursor)
            found.update({session.user_id: dict(session.record.context) for session in page})
            if (cursor := page.next_cursor) is None:
                return found

    async def changes(self, delta: Delta, *, app_name: str, user_id: str) -> dict[str, Change]:
        """Return what of a change concerns the app and the user, by the ids of the sessions that hold their states.

        Those sessions are there once this returns; they change with what the change comes with: `Amendment(also=...)`.
        """
        found: dict[str, Change] = {}
        if delta.app:
            place = await self._made(app_state_place(app_name), owner=state_owner(app_name))
            found[place] = _merging(delta.app, tag=APP_STATE)
        if delta.user:
            place = await self._made(user_state_place(app_name, user_id), owner=user_id)
            found[place] = _merging(delta.user, tag=user_state_tag(app_name))
        return found

    async def _read(self, place: str) -> dict[str, Any]:
        session = await self._find(place)
        return {} if session is None else dict(session.record.context)

    async def _made(self, place: str, *, owner: str) -> str:
        if await self._find(place) is None:
            register()
            await self._manager.open_session(place, user_id=owner, provider=FRAMEWORK_PROVIDER, model=FRAMEWORK)
        return place

    async def _find(self, place: str) -> Session | None:
        """Return the session that holds a state; one that was deleted as unused is used again, so it comes back."""
        try:
            return await self._manager.get_session(place)
        except SessionNotFoundError:
            pass
        try:
            await self._manager.restore_session(place)
            return await self._manager.get_session(place)
        except SessionNotFoundError:
            return None


def _merging(delta: Mapping[str, Any], *, tag: str) -> Change:
    def merged_in(record: SessionRecord) -> SessionRecord:
        tags = tuple(dict.fromkeys([*record.config.tags, tag]))
        config = replace(record.config, tags=tags, description=_DESCRIPTION)
        return replace(record, config=config, context={**record.context, **delta})

    return merged_in


def _of(state: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
