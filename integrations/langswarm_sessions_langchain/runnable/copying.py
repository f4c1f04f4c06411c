"""Copies and pickles of Runnables that hold a manager."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel

from langswarm_sessions.errors import ConfigurationError
from langswarm_sessions.factory import get_session_manager
from langswarm_sessions_langchain.managers import checked_manager

__all__ = ["Reconnecting"]


class Reconnecting(BaseModel):
    """A Runnable with a field `manager`: copies share it, pickles leave it out.

    A manager holds connections, keys and running turns, which no pickle can carry. One that is the process-wide manager
    is found again by `get_session_manager()` in the process that reads the pickle.
    """

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
        return {**state, "__dict__": fields}
