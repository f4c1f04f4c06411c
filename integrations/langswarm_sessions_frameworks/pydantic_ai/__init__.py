"""Sessions of this library for pydantic-ai."""

from __future__ import annotations

from langswarm_sessions_frameworks.extras import needed

try:
    from langswarm_sessions_frameworks.pydantic_ai.history import SessionMessages
    from langswarm_sessions_frameworks.pydantic_ai.store import SessionConversationStore
except ImportError as error:
    if (error.name or "").partition(".")[0] != "pydantic_ai":
        raise
    raise needed("pydantic-ai-slim", "pydantic-ai") from error

__all__ = ["SessionConversationStore", "SessionMessages"]
