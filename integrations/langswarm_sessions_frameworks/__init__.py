"""Neighbours of LangChain: the sessions of this library as the memory of other agent frameworks.

One thin adapter a framework, all over one shared core; every name is loaded when it is first used, and importing this
package loads none of the frameworks.

Adapters:
    `openai_agents.AgentsSession`: a `Session` of the OpenAI Agents SDK.
    `pydantic_ai.SessionConversationStore`: a `ConversationStore` of pydantic-ai.
    `pydantic_ai.SessionMessages`: what agents of pydantic-ai take as `message_history`.
    `agent_framework.SessionHistoryProvider`: a `HistoryProvider` of Agent Framework.
    `google_adk.AdkSessionService`: a `BaseSessionService` of Google's ADK.

Shared core (imports nothing but `langswarm_sessions`):
    `conversation.Conversation`: one session's rows as a framework reads and writes them: `messages(limit)`, `clear()`,
        `append(...)` (atomic, with retractions and a change of the session's row) and `hold()`, for a turn that lasts
        as long as a framework's run: `turn = await conversation.hold(); ...; turn.release()`.
    `formats.ItemFormat`: what a framework's items look like: subclass it; then `message_of(format, items)` makes a row
        that keeps the items whole, and `read_as(format, messages, ...)` gives the items back with a `LossReport`.
    `provider.FrameworkProvider`: the provider "framework" of sessions that a framework answers.
    `extras.needed(package, extra)`: the error of a package that is not installed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langswarm_sessions_frameworks.agent_framework import SessionHistoryProvider
    from langswarm_sessions_frameworks.formats import LossReport
    from langswarm_sessions_frameworks.google_adk import AdkSessionService
    from langswarm_sessions_frameworks.openai_agents import AgentsSession
    from langswarm_sessions_frameworks.pydantic_ai import SessionConversationStore, SessionMessages

__all__ = [
    "AdkSessionService",
    "AgentsSession",
    "LossReport",
    "SessionConversationStore",
    "SessionHistoryProvider",
    "SessionMessages",
]

_HOMES = {
    "AdkSessionService": "google_adk",
    "AgentsSession": "openai_agents",
    "LossReport": "formats",
    "SessionConversationStore": "pydantic_ai",
    "SessionHistoryProvider": "agent_framework",
    "SessionMessages": "pydantic_ai",
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for."""
    if name in _HOMES:
        value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
