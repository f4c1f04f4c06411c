"""What may be given as a manager."""

from __future__ import annotations

from langswarm_sessions.blocking import BlockingSessionManager
from langswarm_sessions.errors import ConfigurationError
from langswarm_sessions.manager import SessionManager

__all__ = ["checked_manager"]


def checked_manager(manager: object) -> SessionManager:
    """Return the manager; of a blocking one the manager behind it.

    Raises:
        ConfigurationError: It is something else.
    """
    if isinstance(manager, BlockingSessionManager):
        return manager.manager
    if not isinstance(manager, SessionManager):
        raise ConfigurationError(f"manager must be a SessionManager, not {type(manager).__name__}.")
    return manager
