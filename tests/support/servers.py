"""The fixtures of the five counterparties; each loads its SDK when a test first asks for it."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from tests.support.provider_server.plugin import environment_fixture, server_fixture
from tests.support.provider_server.server import ProviderServer

_Server = ProviderServer[Any, Any]


def _server(package: str, name: str) -> Callable[[], _Server]:
    def make() -> _Server:
        server: Callable[[], _Server] = getattr(import_module(f"tests.support.{package}"), name)
        return server()

    return make


anthropic_server = server_fixture(_server("anthropic_server", "AnthropicServer"), name="anthropic_server")
anthropic_environment = environment_fixture(name="anthropic_environment", server="anthropic_server")
cohere_server = server_fixture(_server("cohere_server", "CohereServer"), name="cohere_server")
cohere_environment = environment_fixture(name="cohere_environment", server="cohere_server")
gemini_server = server_fixture(_server("gemini_server", "GeminiServer"), name="gemini_server")
gemini_environment = environment_fixture(name="gemini_environment", server="gemini_server")
mistral_server = server_fixture(_server("mistral_server", "MistralServer"), name="mistral_server")
mistral_environment = environment_fixture(name="mistral_environment", server="mistral_server")
openai_server = server_fixture(_server("openai_server", "OpenAIServer"), name="openai_server")
openai_environment = environment_fixture(name="openai_environment", server="openai_server")
