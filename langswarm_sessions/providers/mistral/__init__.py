"""Mistral: conversations the provider keeps (a log), and client-side replay over chat completions."""

from __future__ import annotations

from langswarm_sessions.providers.mistral.adapter import MistralProviderSession
from langswarm_sessions.providers.mistral.client import MistralConnection

__all__ = ["MistralConnection", "MistralProviderSession"]
