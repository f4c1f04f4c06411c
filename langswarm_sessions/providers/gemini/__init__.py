"""Gemini over the Interactions API (native nodes) and over generate_content (client-side replay)."""

from __future__ import annotations

from langswarm_sessions.providers.gemini.adapter import GeminiProviderSession
from langswarm_sessions.providers.gemini.client import GeminiConnection

__all__ = ["GeminiConnection", "GeminiProviderSession"]
