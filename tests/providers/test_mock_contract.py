"""The mock provider keeps the providers' contract."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from langswarm_sessions.interfaces.provider import ProviderRequest
from langswarm_sessions.messages import Role, ToolCall
from langswarm_sessions.providers.mock import MockConnection, MockProviderSession
from langswarm_sessions.testing.providers import ContractFault, ProviderContract, ProviderRig, Seen, Wanted


class MockRig(ProviderRig):
    """The mock is its own counterparty."""

    def __init__(self) -> None:
        self.connection = MockConnection()
        self.newest = self.connection.open("session", "mock-model", {})

    def session(self, config: dict[str, Any] | None = None) -> MockProviderSession:
        return self.connection.open("session", "mock-model", config or {})

    def say(self, answer: str | Sequence[Wanted]) -> None:
        waiting = self.connection.script("session").responses or ()
        calls = (
            []
            if isinstance(answer, str)
            else [ToolCall(id="", name=call.name, arguments=call.arguments) for call in answer]
        )
        self.newest.set_responses([*waiting, calls or str(answer)])

    def fail(self, fault: ContractFault) -> None:
        self.newest.fail_next(str(fault), retry_after=2)

    def forget(self) -> None:
        self.newest.forget()

    def seen(self) -> Seen:
        request: ProviderRequest = self.newest.requests[-1]
        kept = self.connection.nodes.lines(request.native.id) if request.native is not None else []
        new = [message.content for message in request.messages if message.role is Role.USER]
        return Seen(
            user_texts=[text for role, text in kept if role == Role.USER] + new,
            instructions=request.instructions,
            tool_names=[str(tool["name"]) for tool in request.options.tools],
            continued=request.native is not None,
        )


class TestMock(ProviderContract):
    @pytest.fixture
    async def rig(self) -> ProviderRig:
        return MockRig()
