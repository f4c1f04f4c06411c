"""Cohere over the v2 Chat API: the window is sent with every request."""

from __future__ import annotations

from langswarm_sessions.providers.cohere.adapter import CohereProviderSession
from langswarm_sessions.providers.cohere.client import CohereConnection

__all__ = ["CohereConnection", "CohereProviderSession"]
