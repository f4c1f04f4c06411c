"""Copies and pickles of Runnables that hold a manager."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, PrivateAttr

from langswarm_sessions.errors import ConfigurationError
from langswarm_sessions.factory import get_session_manager, session_manager_is_set
from langswarm_sessions.manager import SessionManager
from langswarm_sessions_langchain.managers import checked_manager

__all__ = ["Reconnecting"]


class Reconnecting(BaseModel):
    """A Runnable with a field `manager`: copies share it, pickles leave it out.

    A manager holds connections, keys and running turns, which no pickle can carry. One that is the process-wide manager
    is found again by `get_session_manager()` in the process that reads the pickle. If it was set where the pickle was
    written, it must be set there, too: a database made with all defaults would know nothing of the conversations.
    """

    _was_set: bool = PrivateAttr(default=False)

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        manager = getattr(self, "manager", None)
        known = {} if memo is None else memo
        known[id(manager)] = manager
        return super().__deepcopy__(known)

    def __getstate__(self) -> dict[Any, Any]:
        state = super().__getstate__()
        manager = state["__dict__"].get("manager")
        if manager is not None and checked_manager(manager) is not get_session_manager():
            raise ConfigurationError(
                f"{type(self).__name__}: a manager cannot be pickled; it holds connections and keys. Make it the "
                "process-wide one with set_session_manager(manager), here and where the pickle is read."
            )
        fields = {**state["__dict__"], "manager": None}
        private: dict[str, Any] = {**(state["__pydantic_private__"] or {})}
        private["_was_set"] = self._was_set or session_manager_is_set()
        return {**state, "__dict__": fields, "__pydantic_private__": private}

    def _manager_in_force(self) -> SessionManager:
        """Return the manager of a call.

        Raises:
            ConfigurationError: Where this was pickled the process-wide manager was set, and here it is not.
        """
        given: object = getattr(self, "manager", None)
        if given is not None:
            return checked_manager(given)
        if self._was_set and not session_manager_is_set():
            raise ConfigurationError(
                f"{type(self).__name__} comes from a pickle whose manager was set with set_session_manager(), and in "
                "this process none is set. Call set_session_manager(manager) here, with a manager on the same storage."
            )
        return get_session_manager()
