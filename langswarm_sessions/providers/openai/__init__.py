"""OpenAI over the Responses API: native nodes (`previous_response_id`) and client-side replay."""

from __future__ import annotations

from langswarm_sessions.providers.openai.adapter import OpenAIProviderSession
from langswarm_sessions.providers.openai.client import OpenAIConnection

__all__ = ["OpenAIConnection", "OpenAIProviderSession"]
