"""The Anthropic provider keeps the providers' contract: the real SDK over loopback HTTP, with and without threads."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from langswarm_sessions.errors import NativeStateLostError
from langswarm_sessions.interfaces.provider import Completed
from langswarm_sessions.providers.anthropic import AnthropicConnection, AnthropicProviderSession
from langswarm_sessions.providers.anthropic.client import connect_anthropic
from langswarm_sessions.records import NativeKind, NativeState, TurnOptions
from langswarm_sessions.testing.provider_kit import CLOCK, answer, user
from langswarm_sessions.testing.providers import (
    ContractFault,
    ProviderContract,
    ProviderRig,
    Seen,
    StateContract,
    Wanted,
)
from tests.support.anthropic_server import AnthropicServer, Reply, ToolCall, faults

pytest_plugins = ["tests.support.anthropic_server.plugin"]

FAULTS: dict[ContractFault, faults.Fault] = {
    ContractFault.RATE_LIMIT: faults.rate_limit(retry_after=2),
    ContractFault.UNAVAILABLE: faults.http_error(529),
    ContractFault.AUTH: faults.http_error(401),
    ContractFault.OVERFLOW: faults.http_error(400, message="prompt is too long: 210000 tokens > 200000 maximum"),
    ContractFault.DROP: faults.cut_stream(),
    ContractFault.EOF: faults.end_stream(),
}


class AnthropicRig(ProviderRig):
    """The loopback server pulls the strings."""

    def __init__(self, server: AnthropicServer, **config: Any) -> None:
        self.server = server
        self.secret = server.api_key
        self.config = config
        self.connection: AnthropicConnection = connect_anthropic(
            {"api_key": server.api_key, "base_url": server.base_url}
        )

    def session(self, config: dict[str, Any] | None = None) -> AnthropicProviderSession:
        return self.connection.open("session", "claude-haiku-5-5", {**self.config, **(config or {})})

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
            instructions=view.system,
            tool_names=list(view.tool_names),
            continued=view.previous_message_id is not None,
        )


class TestAnthropic(ProviderContract):
    @pytest.fixture
    async def rig(self, anthropic_server: AnthropicServer) -> AsyncIterator[ProviderRig]:
        rig = AnthropicRig(anthropic_server)
        yield rig
        await rig.connection.aclose()


class TestMessageThreads(ProviderContract, StateContract):
    """By option: a thread holds instructions and tools, and nothing at Anthropic deletes one."""

    @pytest.fixture
    async def rig(self, anthropic_server: AnthropicServer) -> AsyncIterator[ProviderRig]:
        rig = AnthropicRig(anthropic_server, native="ephemeral")
        yield rig
        await rig.connection.aclose()

    async def test_settings_are_checked_and_nothing_secret_is_told(self, rig: ProviderRig) -> None:
        assert isinstance(rig, AnthropicRig)
        rig.config = {}
        await super().test_settings_are_checked_and_nothing_secret_is_told(rig)

    async def test_instructions_and_tools_go_with_every_request(self, rig: ProviderRig) -> None:
        session = rig.session()
        first = await answer(session, user("one"), keep_native=True, instructions="Be brief.")
        changed: dict[str, Any] = {"instructions": "Be kind.", "options": TurnOptions(tools=(CLOCK,))}
        with pytest.raises(NativeStateLostError):
            await answer(session, user("two"), native=kept(first), keep_native=True, **changed)
        assert isinstance(rig, AnthropicRig)
        assert len(rig.server.requests) == 1, "seen before anything was sent"
        await answer(session, user("one"), user("two"), keep_native=True, **changed)
        assert (rig.seen().instructions, rig.seen().tool_names) == ("Be kind.", ["clock"])

    async def test_deleting_twice_is_once(self, rig: ProviderRig) -> None:
        session = rig.session()
        first = await answer(session, user("hi"), keep_native=True)
        await session.delete_native(kept(first))
        await session.delete_native(kept(first))


def kept(completed: Completed) -> NativeState:
    assert completed.native_id is not None
    return NativeState(
        provider="anthropic",
        kind=NativeKind.EPHEMERAL,
        id=completed.native_id,
        cursor=1,
        turn_id="turn",
        memo=completed.native_memo,
    )
