"""Any LangChain chat model as a provider of sessions."""

from __future__ import annotations

from langswarm_sessions_langchain.provider.adapter import LangChainProviderSession
from langswarm_sessions_langchain.provider.client import LangChainProvider

__all__ = ["LangChainProvider", "LangChainProviderSession"]
