"""A session wherever a chat model is expected."""

from __future__ import annotations

from langswarm_sessions_langchain.chat_model.model import SessionChatModel

__all__ = ["SessionChatModel"]
