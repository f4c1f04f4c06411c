"""Bringing conversations from elsewhere into sessions: what is read, and what is told of it.

Begin with `manager.import_from("sqlite:///chat.db", user_id="ada")`. Every name is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langswarm_sessions.importing.checkpoints import CheckpointSource
    from langswarm_sessions.importing.openai_agents import OpenAIAgentsSource
    from langswarm_sessions.importing.opening import open_source
    from langswarm_sessions.importing.redis_history import RedisChatHistorySource
    from langswarm_sessions.importing.report import ImportProblem, ImportProgress, ImportReport
    from langswarm_sessions.importing.source import (
        Assembled,
        Assembler,
        ImportSource,
        SourceEntry,
        SourceHead,
        SourceSurvey,
    )
    from langswarm_sessions.importing.sql_history import SQLChatHistorySource

__all__ = [
    "Assembled",
    "Assembler",
    "CheckpointSource",
    "ImportProblem",
    "ImportProgress",
    "ImportReport",
    "ImportSource",
    "OpenAIAgentsSource",
    "RedisChatHistorySource",
    "SQLChatHistorySource",
    "SourceEntry",
    "SourceHead",
    "SourceSurvey",
    "open_source",
]

_HOMES = {
    "Assembled": "source",
    "Assembler": "source",
    "CheckpointSource": "checkpoints",
    "ImportProblem": "report",
    "ImportProgress": "report",
    "ImportReport": "report",
    "ImportSource": "source",
    "OpenAIAgentsSource": "openai_agents",
    "RedisChatHistorySource": "redis_history",
    "SQLChatHistorySource": "sql_history",
    "SourceEntry": "source",
    "SourceHead": "source",
    "SourceSurvey": "source",
    "open_source": "opening",
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for."""
    if name in _HOMES:
        value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
