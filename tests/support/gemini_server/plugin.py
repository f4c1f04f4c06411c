"""The pytest fixtures of the Gemini counterparty."""

from __future__ import annotations

from tests.support.provider_server.plugin import environment_fixture, server_fixture

from .server import GeminiServer

gemini_server = server_fixture(GeminiServer, name="gemini_server")
gemini_environment = environment_fixture(name="gemini_environment", server="gemini_server")
