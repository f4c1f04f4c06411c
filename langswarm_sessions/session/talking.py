"""Saying something in a session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langswarm_sessions.checks import turn_options
from langswarm_sessions.errors import InvalidInputError
from langswarm_sessions.messages import (
    Content,
    Role,
    SessionMessage,
    ToolCall,
    ToolResultInput,
    as_message,
    as_tool_messages,
    plain_mapping,
)
from langswarm_sessions.records import MessageFilter, ToolChoice, TurnOptions
from langswarm_sessions.session.inputs import Tools, turn_input
from langswarm_sessions.session.reading import SessionReading
from langswarm_sessions.turns import MessageStream, TurnInput, TurnStream

__all__ = ["SessionTalking"]


class SessionTalking(SessionReading):
    """The turns of a session."""

    __slots__ = ()

    async def send_message(
        self,
        content: Content,
        *,
        metadata: Mapping[str, Any] | None = None,
        tools: Tools | None = None,
        tool_choice: ToolChoice | None = None,
        idempotency_key: str | None = None,
        timeout: float | None = None,
        instructions: str | None = None,
    ) -> SessionMessage:
        """Say something and return the answer, once both are stored.

        Args:
            content: Text, a message, or a list of parts.
            metadata: JSON-ready values kept with the input.
            tools: JSON function definitions the model may call.
            tool_choice: "auto", "none", "required", a tool's name, or the provider's own form.
            idempotency_key: Names the turn: the same key again returns the recorded answer.
            timeout: Seconds the turn may take, retries included.
            instructions: System instructions from this turn on; stored when they change.

        Raises:
            InvalidInputError: An argument is wrong.
            SessionBusyError: Another turn held the session for too long.
            SessionArchivedError: The session is archived.
            ProviderError: The provider failed; the input is stored with status "failed".
            StorageError: Nothing could be stored.

        Example:
            >>> async def ask(session):
            ...     reply = await session.send_message("What did I say first?")
            ...     return reply.content
        """
        turn = turn_input(
            [as_message(content, metadata=metadata)],
            options=turn_options(tools, tool_choice),
            idempotency_key=idempotency_key,
            timeout=timeout,
            instructions=instructions,
        )
        return await self.run_turn(turn).result()

    def send_message_stream(
        self,
        content: Content,
        *,
        metadata: Mapping[str, Any] | None = None,
        tools: Tools | None = None,
        tool_choice: ToolChoice | None = None,
        idempotency_key: str | None = None,
        timeout: float | None = None,
        instructions: str | None = None,
    ) -> MessageStream:
        """Say something and read the answer as it comes; see `send_message`.

        Leaving the loop early (or `await stream.aclose()`) stores what was read with status "interrupted".

        Returns:
            An async iterator of str; its `message` is the stored answer once it has ended.
        """
        turn = turn_input(
            [as_message(content, metadata=metadata)],
            options=turn_options(tools, tool_choice),
            idempotency_key=idempotency_key,
            timeout=timeout,
            instructions=instructions,
            stream=True,
        )
        return MessageStream(self.run_turn(turn))

    async def send_tool_results(
        self,
        results: Sequence[ToolResultInput],
        *,
        tools: Tools | None = None,
        tool_choice: ToolChoice | None = None,
        metadata: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> SessionMessage:
        """Answer the tool calls of the last answer and return what the model says next.

        Args:
            results: One entry per call: ToolResult or {"tool_call_id", "content", "is_error"}.
            tools: As in `send_message`; None offers the tools of the turn that made the calls.
            tool_choice: As in `send_message`.
            metadata: Kept with each result.
            idempotency_key: As in `send_message`.
            timeout: As in `send_message`.

        Raises:
            InvalidInputError: There are no open calls, or a result names none of them.
        """
        messages = as_tool_messages(results)
        kept = plain_mapping(metadata or {}, field="metadata")
        for message in messages:
            message.metadata.update(kept)
        options = await self._options_of_calls(messages)
        if tools is not None or tool_choice is not None:
            options = turn_options(tools, tool_choice)
        turn = turn_input(
            messages,
            options=options,
            idempotency_key=idempotency_key,
            timeout=timeout,
            operation="tool_results",
        )
        return await self.run_turn(turn).result()

    def run_turn(self, turn: TurnInput) -> TurnStream:
        """Start a turn in the engine's own terms; the other send methods are made of this.

        Args:
            turn: Input, options and how it is read.
        """
        return self._runtime.engine.start(self, turn)

    async def _options_of_calls(self, results: Sequence[SessionMessage]) -> TurnOptions:
        """Check results against the last answer's open calls; return the options of the turn that made them."""
        storage = self._runtime.services.storage
        page = await self.list_messages(MessageFilter(limit=1, role=Role.ASSISTANT))
        calls: list[ToolCall] = page[0].tool_calls if page else []
        if not calls:
            raise InvalidInputError(
                "results: the last answer asks for no tool. Send results right after an answer with tool_calls.",
                session_id=self.session_id,
            )
        known = {call.id for call in calls}
        for position, message in enumerate(results):
            if any(result.tool_call_id not in known for result in message.tool_results):
                raise InvalidInputError(
                    f"results[{position}]: 'tool_call_id' must be one of {', '.join(sorted(known))}.",
                    session_id=self.session_id,
                )
        turn = await storage.load_turn(self.session_id, page[0].turn_id) if page[0].turn_id else None
        return turn.options if turn is not None else TurnOptions()
