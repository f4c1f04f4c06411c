"""Providers: who answers. Each is loaded when it is first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langswarm_sessions.providers.anthropic import AnthropicProviderSession
    from langswarm_sessions.providers.cohere import CohereProviderSession
    from langswarm_sessions.providers.gemini import GeminiProviderSession
    from langswarm_sessions.providers.mistral import MistralProviderSession
    from langswarm_sessions.providers.mock import MockFault, MockProviderSession
    from langswarm_sessions.providers.openai import OpenAIProviderSession
    from langswarm_sessions.providers.registry import (
        ProviderSessionFactory,
        canonical_name,
        check_credentials,
        clean_up,
        connect,
    )
    from langswarm_sessions.providers.simple import SimpleProvider

__all__ = [
    "AnthropicProviderSession",
    "CohereProviderSession",
    "GeminiProviderSession",
    "MistralProviderSession",
    "MockFault",
    "MockProviderSession",
    "OpenAIProviderSession",
    "ProviderSessionFactory",
    "SimpleProvider",
    "canonical_name",
    "check_credentials",
    "clean_up",
    "connect",
]

_HOME = {
    "AnthropicProviderSession": "langswarm_sessions.providers.anthropic",
    "CohereProviderSession": "langswarm_sessions.providers.cohere",
    "GeminiProviderSession": "langswarm_sessions.providers.gemini",
    "MistralProviderSession": "langswarm_sessions.providers.mistral",
    "MockFault": "langswarm_sessions.providers.mock",
    "MockProviderSession": "langswarm_sessions.providers.mock",
    "OpenAIProviderSession": "langswarm_sessions.providers.openai",
    "ProviderSessionFactory": "langswarm_sessions.providers.registry",
    "SimpleProvider": "langswarm_sessions.providers.simple",
    "canonical_name": "langswarm_sessions.providers.registry",
    "check_credentials": "langswarm_sessions.providers.registry",
    "clean_up": "langswarm_sessions.providers.registry",
    "connect": "langswarm_sessions.providers.registry",
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for."""
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
