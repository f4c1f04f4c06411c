"""Checkpoints of LangGraph graphs in the same database as sessions."""

from __future__ import annotations

from langswarm_sessions.errors import MissingDependencyError

try:
    import langgraph.checkpoint.base  # noqa: F401  # pyright: ignore[reportUnusedImport]
except ImportError as error:
    raise MissingDependencyError(
        "SessionCheckpointSaver needs LangGraph. Install it with `pip install 'langswarm-sessions[langgraph]'`."
    ) from error

from langswarm_sessions_langchain.checkpoints.copying import CopyProgress, CopyReport
from langswarm_sessions_langchain.checkpoints.saver import SessionCheckpointSaver

__all__ = ["CopyProgress", "CopyReport", "SessionCheckpointSaver"]
