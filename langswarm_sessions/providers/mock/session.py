"""The live mock session."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from typing import Any

from langswarm_sessions.errors import InvalidInputError
from langswarm_sessions.ids import new_id
from langswarm_sessions.interfaces.provider import Completed, ProviderEvent, ProviderRequest, Started, TextDelta
from langswarm_sessions.messages import Part, Role, TextPart, ToolCall
from langswarm_sessions.providers.base import BuiltInProviderSession
from langswarm_sessions.providers.mock.connection import MOCK_PROFILE, MockConnection
from langswarm_sessions.providers.mock.faults import MockFault, PlannedFault, StreamEnds, plan_fault
from langswarm_sessions.providers.mock.nodes import Node, check_tool_pairs, estimate_text_tokens, line_of
from langswarm_sessions.providers.mock.script import (
    DEFAULT_PATTERN,
    MockResponse,
    calls_of,
    checked_responses,
    pieces_of,
)
from langswarm_sessions.records import NativeState, Usage

__all__ = ["MockProviderSession"]

_PLACEHOLDER = re.compile(r"\{(\w*)\}")
_NO_FAULT = PlannedFault(kind=None, error=StreamEnds, times=0, after_chunks=sys.maxsize)


class MockProviderSession(BuiltInProviderSession[MockConnection]):
    """Answers "Mock response to: <input>", or what it was told to.

    It keeps conversations like a provider with immutable nodes, and takes the whole window when asked. It knows no
    conversation of another process, which shows a session healing.

    Args:
        session_id: The session it belongs to.
        model: Any name.
        config: All documented provider_config keys, and `response_pattern` and `pace` (seconds between pieces).
        connection: What it shares with the manager's other mock sessions; by default it has its own.

    Example:
        >>> import asyncio
        >>> asyncio.run(MockProviderSession().send_message("hi")).content
        'Mock response to: hi'
    """

    __slots__ = ()

    name = "mock"
    profile = MOCK_PROFILE

    def __init__(
        self,
        session_id: str = "mock-session",
        model: str = "mock-model",
        config: Mapping[str, Any] | None = None,
        *,
        connection: MockConnection | None = None,
    ) -> None:
        super().__init__(
            session_id,
            model,
            config,
            connection=connection or MockConnection(),
            owns_connection=connection is None,
        )

    def set_response_pattern(self, pattern: str) -> None:
        """Answer with `pattern`, in which `{input}` stands for the newest input.

        Raises:
            InvalidInputError: It is no text, or stands for something else.
        """
        given: object = pattern
        if not isinstance(given, str):
            raise InvalidInputError("set_response_pattern: pattern must be a string, such as 'You said: {input}'.")
        unknown = [name for name in _PLACEHOLDER.findall(given) if name != "input"]
        if unknown:
            raise InvalidInputError(
                f"set_response_pattern: {{{unknown[0]}}} stands for nothing; write {{input}}, or set_responses([text])."
            )
        self._connection.script(self.session_id).pattern = pattern

    def set_responses(self, responses: Iterable[MockResponse]) -> None:
        """Give these answers, one to each of the next requests; then the pattern answers again.

        Args:
            responses: Each a text, a tool call or a list of them, an async iterator of text pieces, or a function of
                the `ProviderRequest` (async or not) that returns one of these.

        Example:
            >>> MockProviderSession().set_responses(["first", [ToolCall(id="call_1", name="clock")], "third"])
        """
        self._connection.script(self.session_id).responses = checked_responses(responses)

    def set_pace(self, seconds: float) -> None:
        """Wait this many seconds before each piece of an answer.

        Raises:
            InvalidInputError: The number is negative.
        """
        if seconds < 0:
            raise InvalidInputError("set_pace: seconds must be 0 or more.")
        self._connection.script(self.session_id).pace = seconds

    def fail_next(
        self,
        fault: MockFault | str | Exception,
        times: int = 1,
        *,
        after_chunks: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        """Let the next requests fail.

        Args:
            fault: A `MockFault`, its name, or an exception to raise as it is.
            times: How many requests in a row fail.
            after_chunks: Pieces of the answer that come first (None: 1 for `drop` and `eof`, else 0).
            retry_after: Seconds the failure asks to wait, for `rate_limit` and `unavailable`.

        Raises:
            InvalidInputError: There is no such fault.
        """
        planned = plan_fault(fault, times=times, after_chunks=after_chunks, retry_after=retry_after)
        self._connection.script(self.session_id).faults.append(planned)

    def forget(self) -> None:
        """Lose the conversation's native state, as an expiry at a provider would."""
        self._connection.nodes.forget_session(self.session_id)

    @property
    def requests(self) -> list[ProviderRequest]:
        """The newest hundred requests it was sent, failed ones included, oldest first."""
        return list(self._connection.script(self.session_id).requests)

    @property
    def seen(self) -> list[tuple[str, str]]:
        """Role and text of everything in its current native conversation, oldest first."""
        node_id = self.provider_session_id
        return self._connection.nodes.lines(node_id) if node_id is not None else []

    async def cleanup_provider_resources(self) -> None:
        """Forget what it was told to say and asked, and its conversations."""
        self._connection.forget(self.session_id)
        await super().cleanup_provider_resources()

    async def delete_native(self, native: NativeState) -> None:
        """Forget a conversation."""
        self._connection.nodes.forget(native.id)

    def translate(self, error: Exception) -> Exception:
        """Return the error unchanged: the mock raises this library's errors."""
        return error

    async def stream_turn(self, request: ProviderRequest) -> AsyncGenerator[ProviderEvent, None]:
        """Answer one request as it was told to, word by word."""
        script = self._connection.script(self.session_id)
        script.record(request)
        fault = script.take_fault(request) or _NO_FAULT
        try:
            fault.strike(0)
            parent = self._connection.nodes.parent_of(request)
            check_tool_pairs(request.messages, parent.open_calls if parent is not None else frozenset())
            reply = await script.answer(request, self._pattern(script.pattern))
            yield Started(request_id=f"mockreq_{new_id()}")
            pace = script.pace if script.pace is not None else self._config.get("pace", 0)
            texts: list[str] = []
            async with aclosing(pieces_of(reply)) as pieces:
                async for piece in pieces:
                    if pace:
                        await asyncio.sleep(pace)
                    texts.append(piece)
                    yield TextDelta(piece)
                    fault.strike(len(texts))
            if fault is not _NO_FAULT:  # the answer was shorter than the fault's place in it
                raise fault.error()
        except StreamEnds:
            return
        yield self._completed(request, parent, "".join(texts), calls_of(reply))

    def _pattern(self, scripted: str | None) -> str:
        if scripted is not None:
            return scripted
        configured: str = self._config.get("response_pattern", DEFAULT_PATTERN)
        return configured

    def _completed(
        self, request: ProviderRequest, parent: Node | None, text: str, calls: tuple[ToolCall, ...]
    ) -> Completed:
        parts: list[Part] = [TextPart(text)] if text or not calls else []
        parts.extend(calls)
        lines = tuple(line_of(message) for message in request.messages)
        said = text + "".join(f"{call.name}({call.arguments})" for call in calls)
        new = sum(estimate_text_tokens(line[1]) for line in lines)
        known = parent.tokens if parent is not None else 0
        told = estimate_text_tokens(request.instructions or "")
        output = estimate_text_tokens(said)
        native_id = None
        if request.keep_native:
            node = Node(
                session_id=self.session_id,
                parent=request.native.id if request.native is not None else None,
                lines=(*lines, (Role.ASSISTANT.value, said)),
                tokens=known + new + output,
                open_calls=frozenset(call.id for call in calls),
            )
            native_id = self._connection.nodes.add(node)
        return Completed(
            parts=tuple(parts),
            model=self.model,
            usage=Usage(
                input_tokens=known + new + told,
                output_tokens=output,
                total_tokens=known + new + told + output,
                cached_tokens=known,
            ),
            finish_reason="tool_calls" if calls else "stop",
            provider_message_id=f"mockmsg_{new_id()}",
            native_id=native_id,
        )
