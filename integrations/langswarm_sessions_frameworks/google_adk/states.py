"""State of apps and users, which ADK's sessions share: kept as the contexts of sessions of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.adk.sessions.state import State

from langswarm_sessions.errors import SessionNotFoundError
from langswarm_sessions.manager import SessionManager
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

    async def apply(self, delta: Delta, *, app_name: str, user_id: str) -> None:
        """Store what of a change concerns the app and the user."""
        if delta.app:
            place, tag = app_state_place(app_name), APP_STATE
            await self._merge(place, delta.app, owner=state_owner(app_name), tag=tag)
        if delta.user:
            place, tag = user_state_place(app_name, user_id), user_state_tag(app_name)
            await self._merge(place, delta.user, owner=user_id, tag=tag)

    async def _read(self, place: str) -> dict[str, Any]:
        session = await self._find(place)
        return {} if session is None else dict(session.record.context)

    async def _merge(self, place: str, delta: Mapping[str, Any], *, owner: str, tag: str) -> None:
        session = await self._find(place)
        if session is None:
            register()
            session = await self._manager.open_session(
                place, user_id=owner, provider=FRAMEWORK_PROVIDER, model=FRAMEWORK
            )
            await session.update_config({"tags": [tag], "description": "Holds state of Google ADK; says nothing."})
        await session.update_context(delta)

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


def _of(state: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
