"""The Mistral provider keeps the providers' contract: the real SDK over loopback HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, ClassVar

import pytest

from langswarm_sessions.providers.mistral import MistralConnection, MistralProviderSession
from langswarm_sessions.providers.mistral.client import connect_mistral
from langswarm_sessions.testing.providers import ContractFault, LogContract, ProviderContract, ProviderRig, Seen, Wanted
from tests.support.mistral_server import MistralServer, Reply, ToolCall, faults
from tests.support.mistral_server.plugin import mistral_server

__all__ = ["mistral_server"]

FAULTS: dict[ContractFault, faults.Fault] = {
    ContractFault.RATE_LIMIT: faults.rate_limit(retry_after=2),
    ContractFault.UNAVAILABLE: faults.http_error(503),
    ContractFault.AUTH: faults.http_error(401),
    ContractFault.OVERFLOW: faults.overflow(),
    ContractFault.DROP: faults.cut_stream(),
    ContractFault.EOF: faults.end_stream(),
}


class MistralRig(ProviderRig):
    """The loopback server pulls the strings."""

    settings: ClassVar[dict[str, Any]] = {}

    def __init__(self, server: MistralServer) -> None:
        self.server = server
        self.secret = server.api_key
        self.connection: MistralConnection = connect_mistral(server.credential)

    def session(self, config: dict[str, Any] | None = None) -> MistralProviderSession:
        return self.connection.open("session", "mistral-medium-latest", self.settings if config is None else config)

    def say(self, answer: str | Sequence[Wanted]) -> None:
        if isinstance(answer, str):
            self.server.script(answer)
        else:
            self.server.script(Reply(tool_calls=tuple(ToolCall(call.name, call.arguments) for call in answer)))

    def fail(self, fault: ContractFault) -> None:
        self.server.fault(FAULTS[fault])

    def forget(self) -> None:
        self.server.forget()

    def fail_before_arrival(self) -> None:
        self.server.fault(faults.drop())

    def fail_after_arrival(self) -> None:
        self.server.fault(faults.drop(keeps="turn"))

    def seen(self) -> Seen:
        view = self.server.model_views[-1]
        return Seen(
            user_texts=view.user_texts,
            instructions=view.instructions,
            tool_names=list(view.tool_names),
            continued=view.continued,
        )


class CutRig(MistralRig):
    """Answers get lost in the middle of their stream."""

    def fail_after_arrival(self) -> None:
        self.server.fault(faults.cut_stream(after_events=2))


class ForgetfulRig(MistralRig):
    """Mistral is told to keep nothing."""

    settings: ClassVar[dict[str, Any]] = {"native": "none"}


class TestMistral(ProviderContract, LogContract):
    @pytest.fixture
    async def rig(self, mistral_server: MistralServer) -> AsyncIterator[ProviderRig]:
        rig = MistralRig(mistral_server)
        yield rig
        await rig.connection.aclose()


class TestMistralCut(LogContract):
    @pytest.fixture
    async def rig(self, mistral_server: MistralServer) -> AsyncIterator[ProviderRig]:
        rig = CutRig(mistral_server)
        yield rig
        await rig.connection.aclose()


class TestMistralThatKeepsNothing(ProviderContract):
    @pytest.fixture
    async def rig(self, mistral_server: MistralServer) -> AsyncIterator[ProviderRig]:
        rig = ForgetfulRig(mistral_server)
        yield rig
        await rig.connection.aclose()
