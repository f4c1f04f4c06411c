"""The SDK, loaded at once: it loads its parts on first use, which would hold an event loop for a second."""

from __future__ import annotations

from mistralai.client import Mistral, errors, models
from mistralai.client.agents import Agents
from mistralai.client.beta import Beta
from mistralai.client.chat import Chat
from mistralai.client.conversations import Conversations

__all__ = ["Agents", "Beta", "Chat", "Conversations", "Mistral", "errors", "models"]
