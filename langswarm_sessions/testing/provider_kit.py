"""What the conformance suite of providers is built of: the rig around a provider, and requests in one line each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import pytest

from langswarm_sessions.errors import IncompleteStreamError
from langswarm_sessions.interfaces.provider import Completed, EngineSession, ProviderEvent, ProviderRequest
from langswarm_sessions.messages import Role, SessionMessage, ToolCall, ToolResult
from langswarm_sessions.records import NativeState

__all__ = [
    "CLOCK",
    "ContractFault",
    "ProviderRig",
    "RigFixtures",
    "Seen",
    "Wanted",
    "answer",
    "ask_for_times",
    "read",
    "results",
    "state_after",
    "user",
]

CLOCK: dict[str, Any] = {
    "name": "clock",
    "description": "Tells the time.",
    "parameters": {"type": "object", "properties": {"zone": {"type": "string"}}},
}


class ContractFault(StrEnum):
    """What a rig must be able to let go wrong with the next request."""

    RATE_LIMIT = "rate_limit"
    """Refuse it for now and ask to wait 2 seconds."""
    UNAVAILABLE = "unavailable"
    AUTH = "auth"
    OVERFLOW = "overflow"
    DROP = "drop"
    """Break the connection in the middle of the answer."""
    EOF = "eof"
    """End the stream in the middle of the answer, without an error."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A tool call the model is to make."""

    name: str
    arguments: dict[str, Any] = field(default_factory=dict[str, Any], repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the model had before it when it gave its newest answer.

    Args:
        user_texts: Texts of all user messages, kept ones included, oldest first.
        instructions: The instructions of that request.
        tool_names: The tools it was offered.
        continued: Whether the request continued a kept conversation.
    """

    user_texts: list[str] = field(repr=False)
    instructions: str | None = field(repr=False)
    tool_names: list[str]
    continued: bool


class ProviderRig(ABC):
    """A provider under test and the strings its counterparty hangs on."""

    secret: str = ""
    """The key in use; it must show up nowhere."""

    @abstractmethod
    def session(self, config: dict[str, Any] | None = None) -> EngineSession:
        """Return a new live session."""

    @abstractmethod
    def say(self, answer: str | Sequence[Wanted]) -> None:
        """Let the model give this answer next: a text, or tool calls made at once."""

    @abstractmethod
    def fail(self, fault: ContractFault) -> None:
        """Let the next request fail."""

    def forget(self) -> None:
        """Let the provider lose every conversation it keeps; only asked for by `StateContract` and its kind."""
        pytest.fail("a rig whose sessions keep conversations overrides forget()")

    @abstractmethod
    def seen(self) -> Seen:
        """Return what the model had before it at its newest answer."""

    def fail_before_arrival(self) -> None:
        """Let the next request time out, or its connection break, before the provider has it.

        Only asked for by `LogContract`.
        """
        pytest.fail("a rig whose sessions keep a log overrides fail_before_arrival()")

    def fail_after_arrival(self) -> None:
        """Let the provider carry out and keep the next request, and its answer get lost on the way back.

        Only asked for by `LogContract`.
        """
        pytest.fail("a rig whose sessions keep a log overrides fail_after_arrival()")


class RigFixtures:
    """The fixture every part of the suite works with."""

    @pytest.fixture
    async def rig(self) -> ProviderRig:
        """Override: the provider under test."""
        pytest.fail("give the suite a fixture `rig`: a ProviderRig around your provider")


def user(text: str) -> SessionMessage:
    """Return a message of the user."""
    return SessionMessage(role=Role.USER, content=text)


def results(*outputs: tuple[str, str]) -> SessionMessage:
    """Return a message with tool results: call id and output each."""
    parts = [ToolResult(tool_call_id=call_id, content=output) for call_id, output in outputs]
    return SessionMessage(role=Role.TOOL, parts=list(parts))


async def read(session: EngineSession, request: ProviderRequest) -> tuple[list[ProviderEvent], Completed]:
    """Read one request's events; the last one is the answer."""
    events = [event async for event in session.stream_turn(request)]
    if not events or not isinstance(events[-1], Completed):
        raise IncompleteStreamError("the stream ended without Completed")
    return events, events[-1]


async def answer(session: EngineSession, *messages: SessionMessage, **fields: Any) -> Completed:
    """Send messages and return the answer."""
    return (await read(session, ProviderRequest(messages=messages, **fields)))[1]


def state_after(session: EngineSession, completed: Completed) -> NativeState:
    """Return the native state to continue from."""
    assert completed.native_id is not None, "keep_native=True must give an id to continue from"
    return NativeState(
        provider=session.name,
        kind=session.profile.native,
        id=completed.native_id,
        cursor=1,
        turn_id="turn",
        model=completed.model,
        open_calls=tuple(part.id for part in completed.parts if isinstance(part, ToolCall)),
        memo=completed.native_memo,
    )


async def ask_for_times(
    rig: ProviderRig, session: EngineSession, *messages: SessionMessage, **fields: Any
) -> tuple[Completed, SessionMessage]:
    """Let the model call the clock twice at once; return its answer, and results for it in another order."""
    rig.say([Wanted("clock", {"zone": "UTC"}), Wanted("clock", {"zone": "CET"})])
    asked = await answer(session, *messages, **fields)
    calls = [part for part in asked.parts if isinstance(part, ToolCall)]
    assert [call.arguments for call in calls] == [{"zone": "UTC"}, {"zone": "CET"}]
    assert len({call.id for call in calls}) == 2
    assert asked.finish_reason == "tool_calls"
    return asked, results((calls[1].id, "13:00"), (calls[0].id, "12:00"))
