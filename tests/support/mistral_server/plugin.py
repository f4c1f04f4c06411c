"""The pytest fixtures of the Mistral counterparty."""

from __future__ import annotations

from tests.support.provider_server.plugin import environment_fixture, server_fixture

from .server import MistralServer

mistral_server = server_fixture(MistralServer, name="mistral_server")
mistral_environment = environment_fixture(name="mistral_environment", server="mistral_server")
