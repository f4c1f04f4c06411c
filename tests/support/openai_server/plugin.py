"""The pytest fixtures of the OpenAI counterparty."""

from __future__ import annotations

from tests.support.provider_server.plugin import environment_fixture, server_fixture

from .server import OpenAIServer

openai_server = server_fixture(OpenAIServer, name="openai_server")
openai_environment = environment_fixture(name="openai_environment", server="openai_server")
