"""The pytest fixtures of the Cohere counterparty."""

from __future__ import annotations

from tests.support.provider_server.plugin import environment_fixture, server_fixture

from .server import CohereServer

cohere_server = server_fixture(CohereServer, name="cohere_server")
cohere_environment = environment_fixture(name="cohere_environment", server="cohere_server")
