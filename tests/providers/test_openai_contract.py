"""The OpenAI provider keeps the providers' contract: the real SDK over loopback HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from langswarm_sessions.providers.openai import OpenAIConnection, OpenAIProviderSession
from langswarm_sessions.providers.openai.client import connect_openai
from langswarm_sessions.testing.providers import ContractFault, ProviderContract, ProviderRig, Seen, Wanted
from tests.support.openai_server import OpenAIServer, Reply, ToolCall, faults

FAULTS: dict[ContractFault, faults.Fault] = {
    ContractFault.RATE_LIMIT: faults.rate_limit(retry_after=2),
    ContractFault.UNAVAILABLE: faults.http_error(503),
    ContractFault.AUTH: faults.http_error(401, code="invalid_api_key"),
    ContractFault.OVERFLOW: faults.http_error(400, code="context_length_exceeded"),
    ContractFault.DROP: faults.cut_stream(),
    ContractFault.EOF: faults.end_stream(),
}


class OpenAIRig(ProviderRig):
    """The loopback server pulls the strings."""

    def __init__(self, server: OpenAIServer) -> None:
        self.server = server
        self.secret = server.api_key
        self.connection: OpenAIConnection = connect_openai({"api_key": server.api_key, "base_url": server.base_url})

    def session(self, config: dict[str, Any] | None = None) -> OpenAIProviderSession:
        return self.connection.open("session", "gpt-6-astra", config or {})

    def say(self, answer: str | Sequence[Wanted]) -> None:
        if isinstance(answer, str):
            self.server.script(answer)
        else:
            self.server.script(Reply(tool_calls=tuple(ToolCall(call.name, call.arguments) for call in answer)))

    def fail(self, fault: ContractFault) -> None:
        self.server.fault(FAULTS[fault])

    def forget(self) -> None:
        self.server.forget()

    def seen(self) -> Seen:
        view = self.server.model_views[-1]
        return Seen(
            user_texts=view.user_texts,
            instructions=view.instructions,
            tool_names=list(view.tool_names),
            continued=view.previous_response_id is not None,
        )


class TestOpenAI(ProviderContract):
    @pytest.fixture
    async def rig(self, openai_server: OpenAIServer) -> AsyncIterator[ProviderRig]:
        rig = OpenAIRig(openai_server)
        yield rig
        await rig.connection.aclose()
