"""Any LangChain chat model as a provider of sessions."""

from __future__ import annotations

from langswarm_sessions_langchain.chat_model.adapter import LangChainProviderSession
from langswarm_sessions_langchain.chat_model.client import LangChainProvider

__all__ = ["LangChainProvider", "LangChainProviderSession"]
