"""A session as the memory of an agent made by `create_agent`."""

from __future__ import annotations

from langswarm_sessions.errors import MissingDependencyError

try:
    import langchain.agents.middleware  # noqa: F401  # pyright: ignore[reportUnusedImport]
except ImportError as error:
    raise MissingDependencyError(
        "SessionAgentMiddleware needs langchain 1.4 or later: pip install 'langswarm-sessions[langchain]'."
    ) from error

from langswarm_sessions_langchain.agents.middleware import SessionAgentMiddleware
from langswarm_sessions_langchain.agents.runs import HistoryOwner

__all__ = ["HistoryOwner", "SessionAgentMiddleware"]
