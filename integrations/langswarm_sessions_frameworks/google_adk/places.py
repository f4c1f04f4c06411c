"""Where ADK's sessions and states are among ours. Pure functions.

ADK knows a session by app, user and id; here ids are unique in a database. A session has ADK's own id where that is
free, so that others find it by it, and else one that is made of all three. Its context says which app's it is, and
which id ADK knows it by; tags say the same, to find it by. The rest of its context is ADK's state.
State of an app and of a user is the context of a session of its own, which says nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from langswarm_sessions.checks import check_name
from langswarm_sessions.errors import InvalidInputError
from langswarm_sessions.records import SessionRecord

__all__ = [
    "APP_STATE",
    "adk_id",
    "app_of",
    "app_state_place",
    "app_tag",
    "check_id",
    "id_tag",
    "own_context",
    "row_ids",
    "state_of",
    "state_owner",
    "tags_of",
    "user_state_place",
    "user_state_tag",
]

APP_STATE = "adk:app-state"
_APP = "adk:app="
_ID = "adk:id="
_OURS = "langswarm_sessions:"  # what begins so in a context is an adapter's, of this framework or of another
_APP_KEY = f"{_OURS}app"
_ID_KEY = f"{_OURS}id"
_OWN = "adk:"
_LONGEST = 255
_LONGEST_ID = 200


def app_tag(app_name: str) -> str:
    """Return the tag of an app's sessions."""
    return _fitting(f"{_APP}{app_name}")


def id_tag(session_id: str) -> str:
    """Return the tag of a session that ADK knows by this id, and that has another one here."""
    return _fitting(f"{_ID}{session_id}")


def user_state_tag(app_name: str) -> str:
    """Return the tag of the sessions that hold the state of an app's users."""
    return _fitting(f"adk:user-state={app_name}")


def check_id(session_id: object) -> str:
    """Return an id of ADK's, without the spaces around it, as ADK's own services take it.

    Raises:
        InvalidInputError: It is no printable, non-empty string of at most 200 characters.
    """
    checked = check_name(session_id, field="session_id").strip()
    if len(checked) > _LONGEST_ID:
        raise InvalidInputError(f"session_id must have at most {_LONGEST_ID} characters.")
    return checked


def own_context(app_name: str, session_id: str) -> dict[str, str]:
    """Return what the context of a session says beside ADK's state."""
    return {_APP_KEY: app_name, _ID_KEY: session_id}


def app_of(record: SessionRecord) -> str | None:
    """Return the app a session belongs to; None when it belongs to none."""
    return record.context.get(_APP_KEY)


def adk_id(record: SessionRecord) -> str:
    """Return the id ADK knows a session by."""
    return record.context.get(_ID_KEY) or record.session_id


def state_of(record: SessionRecord) -> dict[str, Any]:
    """Return the state of a session alone."""
    return {key: value for key, value in record.context.items() if not key.startswith(_OURS)}


def tags_of(app_name: str, record: SessionRecord, session_id: str) -> tuple[str, ...]:
    """Return the tags a session has, and those it is found by."""
    found_by = [app_tag(app_name)] if record.session_id == session_id else [app_tag(app_name), id_tag(session_id)]
    return tuple(dict.fromkeys([*record.config.tags, *found_by]))


def row_ids(app_name: str, user_id: str, session_id: str) -> Iterator[str]:
    """Yield the ids a session may have here, in the order they are tried.

    Those that are made come one after the other: a deleted session keeps its id until it is purged.
    """
    if not session_id.startswith(_OWN):
        yield session_id
    made = _joined("session", app_name, user_id, session_id)
    yield made
    for number in range(2, 1_000_000):
        yield _fitting(f"{made}~{number}")


def app_state_place(app_name: str) -> str:
    """Return the id of the session that holds an app's state."""
    return _joined("app-state", app_name)


def user_state_place(app_name: str, user_id: str) -> str:
    """Return the id of the session that holds a user's state in an app."""
    return _joined("user-state", app_name, user_id)


def state_owner(app_name: str) -> str:
    """Return who owns the state of an app: no user does."""
    return _joined("app", app_name)


def _joined(*names: str) -> str:
    return _fitting(_OWN + "/".join(quote(name, safe="") for name in names))


def _fitting(name: str) -> str:
    """Return a name as it is, or, where it is longer than names are here, one that is the same each time."""
    if len(name) <= _LONGEST:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()
    return f"{name[: _LONGEST - len(digest) - 1]}~{digest}"
