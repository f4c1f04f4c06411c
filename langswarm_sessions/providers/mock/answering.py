"""One request to the mock provider, on its way to its answer."""

from __future__ import annotations

from dataclasses import replace

from langswarm_sessions.ids import new_id
from langswarm_sessions.interfaces.provider import Completed, ProviderRequest
from langswarm_sessions.messages import Part, TextPart
from langswarm_sessions.providers.mock.connection import MockConnection
from langswarm_sessions.providers.mock.faults import MockStored
from langswarm_sessions.providers.mock.logs import MockLog
from langswarm_sessions.providers.mock.nodes import (
    Node,
    answer_line,
    calls_in,
    check_tool_pairs,
    estimate_text_tokens,
    line_of,
)
from langswarm_sessions.providers.mock.script import MockReply, calls_of, pieces_of
from langswarm_sessions.records import NativeKind, Usage

__all__ = ["Answering"]


class Answering:
    """What is known before a request, what is said to it, and where both are kept.

    Args:
        request: What arrived.
        session_id: Whose request it is.
        model: Who answers.
        kind: The kind of conversation the session keeps.
        connection: Where conversations are kept.

    Raises:
        NativeStateLostError: The conversation it continues is gone.
        ProviderUnavailableError: The conversation is locked.
        InvalidRequestError: Tool calls and results do not fit together.
    """

    __slots__ = (
        "_connection",
        "_keeps_node",
        "_log",
        "_model",
        "_parent",
        "_reply",
        "_request",
        "_session_id",
        "_tokens",
        "pieces",
        "said",
    )

    def __init__(
        self, request: ProviderRequest, *, session_id: str, model: str, kind: NativeKind, connection: MockConnection
    ) -> None:
        self._request = request
        self._session_id = session_id
        self._model = model
        self._connection = connection
        self._log: MockLog | None = None
        self._parent: Node | None = None
        self._keeps_node = request.keep_native and kind is NativeKind.NODE
        if kind is NativeKind.LOG:
            self._log = connection.logs.open(session_id, request)
        else:
            self._parent = connection.nodes.parent_of(request)
        before = self._log or self._parent
        check_tool_pairs(request.messages, frozenset() if before is None else before.open_calls)
        self._tokens = 0 if before is None else before.tokens
        self.said: list[str] = []

    def take(self, stored: MockStored) -> None:
        """Keep what was sent, if it is to be kept at once; a node comes into being with its answer only."""
        if self._log is not None and stored in (MockStored.INPUT, MockStored.ANSWER):
            self._log.take(self._request.messages)

    def answer_with(self, reply: MockReply) -> None:
        """Begin to say something."""
        self._reply = reply
        self.pieces = pieces_of(reply)

    async def go_on(self, stored: MockStored) -> None:
        """Do what the provider does although its caller gets no answer."""
        if stored not in (MockStored.ANSWER, MockStored.LATER):
            return
        async for piece in self.pieces:
            self.said.append(piece)
        if stored is MockStored.LATER and self._log is not None:
            self._log.keep_later(self._request.messages, self._completed())
        else:
            self.complete()

    def complete(self) -> Completed:
        """Keep the answer and return it."""
        completed = self._completed()
        if self._log is not None:
            return self._log.keep(completed)
        if not self._keeps_node:
            return completed
        return replace(completed, native_id=self._connection.nodes.add(self._node(completed)))

    def _completed(self) -> Completed:
        text, calls = "".join(self.said), calls_of(self._reply)
        parts: list[Part] = [TextPart(text)] if text or not calls else []
        parts.extend(calls)
        completed = Completed(
            parts=tuple(parts),
            model=self._model,
            usage=Usage(),
            finish_reason="tool_calls" if calls else "stop",
            provider_message_id=f"mockmsg_{new_id()}",
        )
        return replace(completed, usage=self._usage(completed))

    def _usage(self, completed: Completed) -> Usage:
        given = self._tokens + self._sent() + estimate_text_tokens(self._request.instructions or "")
        output = estimate_text_tokens(answer_line(completed)[1])
        return Usage(input_tokens=given, output_tokens=output, total_tokens=given + output, cached_tokens=self._tokens)

    def _node(self, completed: Completed) -> Node:
        request = self._request
        return Node(
            session_id=self._session_id,
            parent=request.native.id if request.native is not None else None,
            lines=(*map(line_of, request.messages), answer_line(completed)),
            tokens=self._tokens + self._sent() + completed.usage.output_tokens,
            open_calls=calls_in(completed),
        )

    def _sent(self) -> int:
        return sum(estimate_text_tokens(line_of(message)[1]) for message in self._request.messages)
