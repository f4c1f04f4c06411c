"""Agent Framework: a session as the history of its agents."""

from __future__ import annotations

from langswarm_sessions_frameworks.extras import needed

try:
    from langswarm_sessions_frameworks.agent_framework.format import AGENT_FRAMEWORK, MessageFormat
    from langswarm_sessions_frameworks.agent_framework.provider import SessionHistoryProvider
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "agent_framework":
        raise
    raise needed("agent-framework-core", "agent-framework") from error

__all__ = ["AGENT_FRAMEWORK", "MessageFormat", "SessionHistoryProvider"]
