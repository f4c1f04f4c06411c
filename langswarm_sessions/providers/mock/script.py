"""What the mock provider was told to say, for one session."""

from __future__ import annotations

import inspect
import re
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from typing import cast

from langswarm_sessions.errors import InvalidInputError
from langswarm_sessions.ids import new_id
from langswarm_sessions.interfaces.provider import ProviderRequest
from langswarm_sessions.messages import Role, ToolCall
from langswarm_sessions.providers.mock.faults import MockFault, PlannedFault

__all__ = ["DEFAULT_PATTERN", "MockReply", "MockResponse", "MockScript", "input_of", "split_words"]

DEFAULT_PATTERN = "Mock response to: {input}"
"""What is said when nothing else was asked for."""

_REQUESTS_KEPT = 100

MockReply = str | ToolCall | Sequence[str | ToolCall] | AsyncIterator[str]
MockResponse = MockReply | Callable[[ProviderRequest], MockReply | Awaitable[MockReply]]
"""Text, tool calls or both, an async iterator of text pieces, or a function of the request that returns such."""


class MockScript:
    """Pattern, scripted answers, pace, faults, and the requests that came: one per session and connection."""

    __slots__ = ("faults", "look_faults", "looks", "pace", "pattern", "requests", "responses")

    def __init__(self) -> None:
        self.pattern: str | None = None
        self.pace: float | None = None
        self.responses: deque[MockResponse] | None = None
        self.faults: list[PlannedFault] = []
        self.requests: list[ProviderRequest] = []
        self.look_faults: list[PlannedFault] = []
        self.looks: list[ProviderRequest] = []

    def record(self, request: ProviderRequest) -> PlannedFault | None:
        """Keep a request and return the fault that befalls it; only the newest hundred requests are kept."""
        return _record(request, self.requests, self.faults)

    def record_look(self, request: ProviderRequest) -> PlannedFault | None:
        """Keep a request whose fate was asked for, and return the fault that befalls the asking."""
        return _record(request, self.looks, self.look_faults)

    async def answer(self, request: ProviderRequest, pattern: str) -> MockReply:
        """Return what to say to a request: the next scripted answer, else the pattern."""
        if not self.responses:
            return pattern.replace("{input}", input_of(request))
        response = self.responses.popleft()
        if not callable(response):
            return response
        reply = response(request)
        return await reply if inspect.isawaitable(reply) else reply


def _record(
    request: ProviderRequest, requests: list[ProviderRequest], faults: list[PlannedFault]
) -> PlannedFault | None:
    requests.append(request)
    if len(requests) > _REQUESTS_KEPT:
        del requests[0]
    for fault in faults:
        if fault.kind is MockFault.LOST and request.native is None:
            continue
        fault.times -= 1
        if fault.times == 0:
            faults.remove(fault)
        return fault
    return None


def checked_responses(responses: Iterable[MockResponse]) -> deque[MockResponse]:
    """Return scripted answers as a queue.

    Raises:
        InvalidInputError: They are one text instead of a list.
    """
    if isinstance(responses, str):
        raise InvalidInputError("set_responses: give a list of answers, not one text.")
    return deque(responses)


def calls_of(reply: MockReply) -> tuple[ToolCall, ...]:
    """Return the tool calls of an answer, each with an id."""
    calls = (said for said in _said_in(reply) if isinstance(said, ToolCall))
    return tuple(call if call.id else replace(call, id=f"call_{new_id()}") for call in calls)


async def pieces_of(reply: MockReply) -> AsyncGenerator[str, None]:
    """Yield the text of an answer piece by piece; joined they are the text.

    Raises:
        InvalidInputError: It is no answer.
    """
    if isinstance(reply, AsyncIterator):
        async for piece in reply:
            yield piece
        return
    for said in _said_in(reply):
        for word in split_words(said) if isinstance(said, str) else ():
            yield word


def _said_in(reply: MockReply) -> Sequence[str | ToolCall]:
    if isinstance(reply, AsyncIterator):
        return ()
    said: object = (reply,) if isinstance(reply, str | ToolCall) else reply
    if isinstance(said, Sequence):
        found = cast("Sequence[object]", said)
        if all(isinstance(one, str | ToolCall) for one in found):
            return cast("Sequence[str | ToolCall]", found)
    raise InvalidInputError("set_responses: an answer must be a text, a tool call or a list of these.")


def split_words(text: str) -> list[str]:
    """Cut a text into words with the blanks around them; joined they are the text again."""
    return re.findall(r"\s*\S+\s*|\s+", text)


def input_of(request: ProviderRequest) -> str:
    """Return what a request asks: the tool results it ends in, else the newest text of the user."""
    results: list[str] = []
    for message in reversed(request.messages):
        if message.role is Role.TOOL:
            results[:0] = [result.content for result in message.tool_results]
        elif message.role is not Role.SYSTEM:
            return ", ".join(results) if results or message.role is Role.ASSISTANT else message.content
    return ", ".join(results)
