"""The OpenAI provider keeps the providers' contract: the real SDK over loopback HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from langswarm_sessions.providers.openai import OpenAIConnection, OpenAIProviderSession
from langswarm_sessions.providers.openai.client import connect_openai
from langswarm_sessions.testing.providers import (
    ContractFault,
    LogContract,
    NodeContract,
    ProviderContract,
    ProviderRig,
    Seen,
    Wanted,
)
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
    """The loopback server pulls the strings.

    Args:
        server: The test's server.
        config: Settings of sessions that are given none.
        asks: What its sessions post to.
    """

    def __init__(self, server: OpenAIServer, config: dict[str, Any] | None = None, *, asks: str = "create") -> None:
        self.server = server
        self.config = config or {}
        self.asks: str = asks
        self.secret = server.api_key
        self.connection: OpenAIConnection = connect_openai({"api_key": server.api_key, "base_url": server.base_url})

    def session(self, config: dict[str, Any] | None = None) -> OpenAIProviderSession:
        return self.connection.open("session", "gpt-6-astra", self.config if config is None else config)

    def say(self, answer: str | Sequence[Wanted]) -> None:
        if isinstance(answer, str):
            self.server.script(answer)
        else:
            self.server.script(Reply(tool_calls=tuple(ToolCall(call.name, call.arguments) for call in answer)))

    def fail(self, fault: ContractFault) -> None:
        self.server.fault(FAULTS[fault], on=self.asks)

    def fail_before_arrival(self) -> None:
        self.server.fault(faults.drop())

    def fail_after_arrival(self) -> None:
        self.server.fault(faults.drop(stored=True))

    def forget(self) -> None:
        self.server.forget()

    def seen(self) -> Seen:
        *earlier, view = self.server.model_views
        is_known = view.conversation_id in {other.conversation_id for other in earlier}
        return Seen(
            user_texts=view.user_texts,
            instructions=view.instructions,
            tool_names=list(view.tool_names),
            continued=view.previous_response_id is not None or (view.conversation_id is not None and is_known),
        )


class TestOpenAI(ProviderContract, NodeContract):
    @pytest.fixture
    async def rig(self, openai_server: OpenAIServer) -> AsyncIterator[ProviderRig]:
        rig = OpenAIRig(openai_server)
        yield rig
        await rig.connection.aclose()


class TestOpenAIConversations(ProviderContract, LogContract):
    @pytest.fixture
    async def rig(self, openai_server: OpenAIServer) -> AsyncIterator[ProviderRig]:
        rig = OpenAIRig(openai_server, {"native": "log"})
        yield rig
        await rig.connection.aclose()


class TestOpenAIChat(ProviderContract):
    @pytest.fixture
    async def rig(self, openai_server: OpenAIServer) -> AsyncIterator[ProviderRig]:
        rig = OpenAIRig(openai_server, {"api": "chat"}, asks="chat")
        yield rig
        await rig.connection.aclose()
