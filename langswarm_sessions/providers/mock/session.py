"""The live mock session."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing, suppress
from typing import Any

from langswarm_sessions.errors import InvalidInputError
from langswarm_sessions.ids import new_id
from langswarm_sessions.interfaces.provider import (
    Completed,
    ProviderEvent,
    ProviderProfile,
    ProviderRequest,
    Started,
    TextDelta,
)
from langswarm_sessions.providers.base import BuiltInProviderSession
from langswarm_sessions.providers.mock.answering import Answering
from langswarm_sessions.providers.mock.connection import MockConnection, profile_of
from langswarm_sessions.providers.mock.faults import MockFault, MockStored, PlannedFault, StreamEnds, plan_fault
from langswarm_sessions.providers.mock.logs import NEWEST
from langswarm_sessions.providers.mock.script import DEFAULT_PATTERN, MockResponse, checked_responses
from langswarm_sessions.records import NativeKind, NativeState

__all__ = ["MockProviderSession"]

_PLACEHOLDER = re.compile(r"\{(\w*)\}")
_NO_FAULT = PlannedFault(kind=None, error=StreamEnds, times=0, after_chunks=sys.maxsize, stored=MockStored.ANSWER)


class MockProviderSession(BuiltInProviderSession[MockConnection]):
    """Answers "Mock response to: <input>", or what it was told to.

    It keeps conversations like a provider with immutable nodes, or, with `native="log"`, like one whose conversations
    grow in place, and takes the whole window when asked. It knows no conversation of another process, which shows a
    session healing.

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

    @property
    def profile(self) -> ProviderProfile:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]
        """What the mock can do for this session; it depends on the setting `native`."""
        return profile_of(self._config)

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
        stored: MockStored | str | None = None,
    ) -> None:
        """Let the next requests fail.

        Args:
            fault: A `MockFault`, its name, or an exception to raise as it is.
            times: How many requests in a row fail.
            after_chunks: Pieces of the answer that come first (None: 1 for `drop` and `eof`, else 0).
            retry_after: Seconds the failure asks to wait, for `rate_limit`, `unavailable` and `busy`.
            stored: What a log holds of such a request: a `MockStored` or its name (None: `input` where pieces of the
                answer came, else `nothing`).

        Raises:
            InvalidInputError: There is no such fault.
        """
        planned = plan_fault(fault, times=times, after_chunks=after_chunks, retry_after=retry_after, stored=stored)
        self._connection.script(self.session_id).faults.append(planned)

    def fail_reconcile(self, fault: MockFault | str | Exception, times: int = 1) -> None:
        """Let the next looks into the log fail.

        Args:
            fault: As for `fail_next`.
            times: How many looks in a row fail.

        Raises:
            InvalidInputError: There is no such fault.
        """
        self._connection.script(self.session_id).look_faults.append(plan_fault(fault, times=times))

    def forget(self) -> None:
        """Lose the conversation's native state, as an expiry at a provider would."""
        self._connection.forget_conversations(self.session_id)

    @property
    def requests(self) -> list[ProviderRequest]:
        """The newest hundred requests it was sent, failed ones included, oldest first."""
        return list(self._connection.script(self.session_id).requests)

    @property
    def looks(self) -> list[ProviderRequest]:
        """The newest hundred requests whose fate it was asked for, oldest first."""
        return list(self._connection.script(self.session_id).looks)

    @property
    def conversations(self) -> dict[str, list[tuple[str, str]]]:
        """Role and text of everything in each log of the session, those given up included, oldest first."""
        return self._connection.logs.of_session(self.session_id)

    @property
    def seen(self) -> list[tuple[str, str]]:
        """Role and text of everything in its current native conversation, oldest first."""
        native_id = self.provider_session_id
        if native_id is None:
            return []
        return self._connection.nodes.lines(native_id) or self._connection.logs.lines(native_id)

    async def cleanup_provider_resources(self) -> None:
        """Forget what it was told to say and asked, and its conversations."""
        self._connection.forget(self.session_id)
        await super().cleanup_provider_resources()

    async def delete_native(self, native: NativeState) -> None:
        """Forget a conversation."""
        self._connection.nodes.forget(native.id)
        self._connection.logs.forget(native.id)

    def translate(self, error: Exception) -> Exception:
        """Return the error unchanged: the mock raises this library's errors."""
        return error

    async def stream_turn(self, request: ProviderRequest) -> AsyncGenerator[ProviderEvent, None]:
        """Answer one request as it was told to, word by word."""
        script = self._connection.script(self.session_id)
        fault = script.record(request) or _NO_FAULT
        if fault.kind is MockFault.LOST and request.native is not None:
            await self.delete_native(request.native)
        with suppress(StreamEnds):
            if fault.comes_first:
                raise fault.error()
            answering = self._arrived(request)
            answering.take(fault.stored)
            answering.answer_with(await script.answer(request, self._pattern(script.pattern)))
            async with aclosing(answering.pieces):
                if fault.is_due(0):
                    await answering.go_on(fault.stored)
                    raise fault.error()
                yield Started(request_id=f"mockreq_{new_id()}")
                pace = script.pace if script.pace is not None else self._config.get("pace", 0)
                async for piece in answering.pieces:
                    if pace:
                        await asyncio.sleep(pace)
                    answering.said.append(piece)
                    yield TextDelta(piece)
                    if fault.is_due(len(answering.said)):
                        break
                if fault is not _NO_FAULT:  # at its place, or the answer was shorter than that
                    await answering.go_on(fault.stored)
                    raise fault.error()
            yield answering.complete()

    async def reconcile(self, request: ProviderRequest) -> Completed | None:
        """Look into the log: the answer, if it holds what was sent and the answer; None if it has not grown."""
        script = self._connection.script(self.session_id)
        native, fault = request.native, script.record_look(request)
        if fault is not None:
            raise fault.error()
        if native is None or native.kind is not NativeKind.LOG:
            return await super().reconcile(request)
        return self._connection.logs.find(native).answer_to(request.messages, newest=native.memo.get(NEWEST))

    def _arrived(self, request: ProviderRequest) -> Answering:
        return Answering(
            request,
            session_id=self.session_id,
            model=self.model,
            kind=self.profile.native,
            connection=self._connection,
        )

    def _pattern(self, scripted: str | None) -> str:
        if scripted is not None:
            return scripted
        configured: str = self._config.get("response_pattern", DEFAULT_PATTERN)
        return configured
