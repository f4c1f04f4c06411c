"""The Gemini provider keeps the providers' contract: the real SDK over loopback HTTP, through both of its APIs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from langswarm_sessions.providers.gemini import GeminiConnection, GeminiProviderSession
from langswarm_sessions.providers.gemini.client import connect_gemini
from langswarm_sessions.testing.providers import (
    ContractFault,
    NodeContract,
    ProviderContract,
    ProviderRig,
    Seen,
    Wanted,
)
from tests.support.gemini_server import GeminiServer, Reply, ToolCall, faults
from tests.support.gemini_server.plugin import gemini_server

__all__ = ["gemini_server"]

FAULTS: dict[ContractFault, faults.Fault] = {
    ContractFault.RATE_LIMIT: faults.rate_limit(2),
    ContractFault.UNAVAILABLE: faults.http_error(503, "UNAVAILABLE", "The model is overloaded."),
    ContractFault.AUTH: faults.invalid_key(),
    ContractFault.OVERFLOW: faults.overflow(),
    ContractFault.DROP: faults.cut_stream(),
    ContractFault.EOF: faults.end_stream(),
}


class GeminiRig(ProviderRig):
    """The loopback server pulls the strings."""

    def __init__(self, server: GeminiServer, **settings: Any) -> None:
        self.server = server
        self.secret = server.api_key
        self.settings = settings
        self.connection: GeminiConnection = connect_gemini({"api_key": server.api_key, "base_url": server.base_url})

    def session(self, config: dict[str, Any] | None = None) -> GeminiProviderSession:
        return self.connection.open("session", "gemini-4-carbon", {**self.settings, **(config or {})})

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
            continued=view.previous_id is not None,
        )


class TestGemini(ProviderContract, NodeContract):
    @pytest.fixture
    async def rig(self, gemini_server: GeminiServer) -> AsyncIterator[ProviderRig]:
        rig = GeminiRig(gemini_server)
        yield rig
        await rig.connection.aclose()


class TestGeminiWithoutState(ProviderContract):
    """What is kept nowhere goes through generate_content."""

    @pytest.fixture
    async def rig(self, gemini_server: GeminiServer) -> AsyncIterator[ProviderRig]:
        rig = GeminiRig(gemini_server, native="none")
        yield rig
        await rig.connection.aclose()

    async def test_settings_are_checked_and_nothing_secret_is_told(self, rig: ProviderRig) -> None:
        assert isinstance(rig, GeminiRig)
        rig.settings = {}
        await super().test_settings_are_checked_and_nothing_secret_is_told(rig)
