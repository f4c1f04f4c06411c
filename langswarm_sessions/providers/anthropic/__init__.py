"""Anthropic over the Messages API: client-side replay with prompt caching, message threads by option."""

from __future__ import annotations

from langswarm_sessions.providers.anthropic.adapter import AnthropicProviderSession
from langswarm_sessions.providers.anthropic.client import AnthropicConnection

__all__ = ["AnthropicConnection", "AnthropicProviderSession"]
