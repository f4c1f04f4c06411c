"""The mock provider keeps the providers' contract."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from langswarm_sessions.interfaces.provider import ProviderRequest
from langswarm_sessions.messages import Role, ToolCall
from langswarm_sessions.providers.mock import MockConnection, MockProviderSession
from langswarm_sessions.testing.providers import (
    ContractFault,
    LogContract,
    NodeContract,
    ProviderContract,
    ProviderRig,
    Seen,
    Wanted,
)


class MockRig(ProviderRig):
    """The mock is its own counterparty.

    Args:
        config: Settings of sessions that are given none.
    """

    def __init__(self, config: dict[str, Any] | None = None) -> None:
        self.connection = MockConnection()
        self.config = config or {}
        self.newest = self.session()

    def session(self, config: dict[str, Any] | None = None) -> MockProviderSession:
        return self.connection.open("session", "mock-model", self.config if config is None else config)

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

    def fail_before_arrival(self) -> None:
        self.newest.fail_next("timeout", stored="nothing")

    def fail_after_arrival(self) -> None:
        self.newest.fail_next("drop", stored="answer")

    def forget(self) -> None:
        self.newest.forget()

    def seen(self) -> Seen:
        request: ProviderRequest = self.newest.requests[-1]
        log = list(self.newest.conversations.values())
        if request.keep_native and log:
            lines = log[-1]
        else:
            kept = self.connection.nodes.lines(request.native.id) if request.native is not None else []
            lines = kept + [(str(message.role), message.content) for message in request.messages]
        return Seen(
            user_texts=[text for role, text in lines if role == Role.USER],
            instructions=request.instructions,
            tool_names=[str(tool["name"]) for tool in request.options.tools],
            continued=request.native is not None,
        )


class TestMock(ProviderContract, NodeContract):
    @pytest.fixture
    async def rig(self) -> ProviderRig:
        return MockRig()


class TestMockWithLogs(ProviderContract, LogContract):
    @pytest.fixture
    async def rig(self) -> ProviderRig:
        return MockRig({"native": "log"})


class TestMockWithoutState(ProviderContract):
    @pytest.fixture
    async def rig(self) -> ProviderRig:
        return MockRig({"native": "none"})
