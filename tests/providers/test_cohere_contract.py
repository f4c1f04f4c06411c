"""The Cohere provider keeps the providers' contract: the real SDK over loopback HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from langswarm_sessions.providers.cohere import CohereConnection, CohereProviderSession
from langswarm_sessions.providers.cohere.client import connect_cohere
from langswarm_sessions.testing.providers import ContractFault, ProviderContract, ProviderRig, Seen, Wanted
from tests.support.cohere_server import CohereServer, Reply, ToolCall, faults

pytest_plugins = ["tests.support.cohere_server.plugin"]

FAULTS: dict[ContractFault, faults.Fault] = {
    ContractFault.RATE_LIMIT: faults.rate_limit(retry_after=2),
    ContractFault.UNAVAILABLE: faults.http_error(503),
    ContractFault.AUTH: faults.http_error(401, "invalid api token"),
    ContractFault.OVERFLOW: faults.http_error(400, "too many tokens: size limit exceeded by 11326 tokens."),
    ContractFault.DROP: faults.cut_stream(),
    ContractFault.EOF: faults.end_stream(),
}


class CohereRig(ProviderRig):
    """The loopback server pulls the strings."""

    def __init__(self, server: CohereServer) -> None:
        self.server = server
        self.secret = server.api_key
        self.connection: CohereConnection = connect_cohere({"api_key": server.api_key, "base_url": server.base_url})

    def session(self, config: dict[str, Any] | None = None) -> CohereProviderSession:
        return self.connection.open("session", "command-a-03-2025", config or {})

    def say(self, answer: str | Sequence[Wanted]) -> None:
        if isinstance(answer, str):
            self.server.script(answer)
        else:
            self.server.script(Reply(tool_calls=tuple(ToolCall(call.name, call.arguments) for call in answer)))

    def fail(self, fault: ContractFault) -> None:
        self.server.fault(FAULTS[fault])

    def seen(self) -> Seen:
        view = self.server.model_views[-1]
        return Seen(
            user_texts=view.user_texts,
            instructions=view.instructions,
            tool_names=list(view.tool_names),
            continued=False,
        )


class TestCohere(ProviderContract):
    @pytest.fixture
    async def rig(self, cohere_server: CohereServer) -> AsyncIterator[ProviderRig]:
        rig = CohereRig(cohere_server)
        yield rig
        await rig.connection.aclose()
