"""The pytest fixtures of the Anthropic counterparty."""

from __future__ import annotations

from tests.support.provider_server.plugin import environment_fixture, server_fixture

from .server import AnthropicServer

anthropic_server = server_fixture(AnthropicServer, name="anthropic_server")
anthropic_environment = environment_fixture(name="anthropic_environment", server="anthropic_server")
