"""LangChain faces of langswarm-sessions: a session as a Runnable or a history, a chat model as a provider.

Every name is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langswarm_sessions_langchain.agents import SessionAgentMiddleware
    from langswarm_sessions_langchain.chat_model import SessionChatModel
    from langswarm_sessions_langchain.checkpoints import SessionCheckpointSaver
    from langswarm_sessions_langchain.history import SessionChatMessageHistory
    from langswarm_sessions_langchain.messages import from_langchain, messages_to_langchain, to_langchain
    from langswarm_sessions_langchain.provider import LangChainProvider
    from langswarm_sessions_langchain.runnable import SessionRunnable

__all__ = [
    "LangChainProvider",
    "SessionAgentMiddleware",
    "SessionChatMessageHistory",
    "SessionChatModel",
    "SessionCheckpointSaver",
    "SessionRunnable",
    "from_langchain",
    "messages_to_langchain",
    "to_langchain",
]

_HOMES = {
    "LangChainProvider": "provider",
    "SessionAgentMiddleware": "agents",
    "SessionChatMessageHistory": "history",
    "SessionChatModel": "chat_model",
    "SessionCheckpointSaver": "checkpoints",
    "SessionRunnable": "runnable",
    "from_langchain": "messages",
    "messages_to_langchain": "messages",
    "to_langchain": "messages",
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for."""
    if name in _HOMES:
        value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
