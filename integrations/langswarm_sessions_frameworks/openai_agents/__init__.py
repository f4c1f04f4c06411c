"""Sessions of this library for the OpenAI Agents SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langswarm_sessions_frameworks.openai_agents.session import AgentsSession

__all__ = ["AgentsSession"]


def __getattr__(name: str) -> Any:
    """Load the session when it is first asked for: items are read without the SDK, too."""
    if name == "AgentsSession":
        from langswarm_sessions_frameworks.openai_agents.session import AgentsSession

        globals()[name] = AgentsSession
        return AgentsSession
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
