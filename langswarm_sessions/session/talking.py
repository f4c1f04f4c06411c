"""Saying something in a session."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langswarm_sessions.errors import InvalidInputError
from langswarm_sessions.messages import (
    Content,
    SessionMessage,
    as_message,
)
from langswarm_sessions.records import (
    ResponseFormat,
    ToolChoice,
)
from langswarm_sessions.session.inputs import (
    MAX_TOOL_ROUNDS,
    Tools,
    offered,
    tools_to_run,
    turn_input,
)
from langswarm_sessions.session.tool_answers import SessionToolAnswers
from langswarm_sessions.tools import toolbox_of
from langswarm_sessions.turns import MessageStream, RunningTurn, TurnInput

__all__ = ["SessionTalking"]


class SessionTalking(SessionToolAnswers):
    """The turns of a session."""

    __slots__ = ()

    async def send_message(
        self,
        content: Content,
        *,
        metadata: Mapping[str, Any] | None = None,
        tools: Tools | None = None,
        tool_choice: ToolChoice | None = None,
        response_format: ResponseFormat | None = None,
        idempotency_key: str | None = None,
        timeout: float | None = None,
        instructions: str | None = None,
        run_tools: bool = False,
        tool_timeout: float | None = None,
        max_tool_rounds: int = MAX_TOOL_ROUNDS,
    ) -> SessionMessage:
        """Say something and return the answer, once both are stored.

        Args:
            content: Text, a message, or a list of parts.
            metadata: JSON-ready values kept with the input.
            tools: What the model may call: functions (async or not), LangChain tools, JSON function definitions.
            tool_choice: "auto", "none", "required", a tool's name, or the provider's own form.
            response_format: A pydantic model class or a named JSON schema the answer's text is to follow, or
                "json_object"; beats the setting of provider_config.
            idempotency_key: Names the turn: the same key again returns the recorded answer.
            timeout: Seconds the turn may take: waiting in line, retries and tools included.
            instructions: System instructions from this turn on; stored when they change.
            run_tools: Run the tools that are called, all calls of an answer at once, and give the model their results,
                until it calls none; a tool choice holds for the first answer alone. False: calls come back in
                `tool_calls`, for `send_tool_results`. So do, in either case, calls of JSON definitions.
            tool_timeout: Seconds one call may take; the model is told when it took longer (None: no limit).
            max_tool_rounds: How often tools are run at most; after that the answer comes back with its open calls.

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
        turn = _said(
            content,
            metadata=metadata,
            tools=tools,
            tool_choice=tool_choice,
            response_format=response_format,
            idempotency_key=idempotency_key,
            timeout=timeout,
            instructions=instructions,
            run_tools=run_tools,
            tool_timeout=tool_timeout,
            max_tool_rounds=max_tool_rounds,
            stream=False,
        )
        return await self.run_turn(turn).result()

    def send_message_stream(
        self,
        content: Content,
        *,
        metadata: Mapping[str, Any] | None = None,
        tools: Tools | None = None,
        tool_choice: ToolChoice | None = None,
        response_format: ResponseFormat | None = None,
        idempotency_key: str | None = None,
        timeout: float | None = None,
        instructions: str | None = None,
        run_tools: bool = False,
        tool_timeout: float | None = None,
        max_tool_rounds: int = MAX_TOOL_ROUNDS,
    ) -> MessageStream:
        """Say something and read the answer as it comes; see `send_message`.

        Leaving the loop early (or `await stream.aclose()`) stores what was read with status "interrupted".

        Returns:
            An async iterator of str; its `message` is the stored answer once it has ended.
        """
        turn = _said(
            content,
            metadata=metadata,
            tools=tools,
            tool_choice=tool_choice,
            response_format=response_format,
            idempotency_key=idempotency_key,
            timeout=timeout,
            instructions=instructions,
            run_tools=run_tools,
            tool_timeout=tool_timeout,
            max_tool_rounds=max_tool_rounds,
            stream=True,
        )
        return MessageStream(self.run_turn(turn))

    async def start_turn(
        self,
        content: Content,
        *,
        metadata: Mapping[str, Any] | None = None,
        tools: Tools | None = None,
        tool_choice: ToolChoice | None = None,
        response_format: ResponseFormat | None = None,
        idempotency_key: str | None = None,
        timeout: float | None = None,
        instructions: str | None = None,
        run_tools: bool = False,
        tool_timeout: float | None = None,
        max_tool_rounds: int = MAX_TOOL_ROUNDS,
    ) -> RunningTurn:
        """Say something in a turn that goes on when its readers leave; see `send_message` for the arguments.

        Returns:
            The running turn: `read(after=...)`, `result()`, `cancel()`.
        """
        turn = _said(
            content,
            metadata=metadata,
            tools=tools,
            tool_choice=tool_choice,
            response_format=response_format,
            idempotency_key=idempotency_key,
            timeout=timeout,
            instructions=instructions,
            run_tools=run_tools,
            tool_timeout=tool_timeout,
            max_tool_rounds=max_tool_rounds,
            stream=True,
        )
        return self._runtime.engine.launch(self, turn)

    def get_turn(self, turn_id: str) -> RunningTurn:
        """Return a turn that was started with `start_turn` in this process and runs, or has just ended.

        Args:
            turn_id: Its `id`.

        Raises:
            InvalidInputError: There is none; what it said is in `get_messages()`.
        """
        turn = self._runtime.engine.running.get(self.session_id, turn_id)
        if turn is None:
            raise InvalidInputError(
                "turn_id: no turn with this id runs here. What it said is stored: see get_messages().",
                session_id=self.session_id,
            )
        return turn


def _said(
    content: Content,
    *,
    metadata: Mapping[str, Any] | None,
    tools: Tools | None,
    tool_choice: ToolChoice | None,
    response_format: ResponseFormat | None,
    idempotency_key: str | None,
    timeout: float | None,
    instructions: str | None,
    run_tools: bool,
    tool_timeout: float | None,
    max_tool_rounds: int,
    stream: bool,
) -> TurnInput:
    """Return the input of a send; see `SessionTalking.send_message`."""
    message, toolbox = as_message(content, metadata=metadata), toolbox_of(tools)
    return turn_input(
        [message],
        options=offered(toolbox, tool_choice, response_format=response_format),
        idempotency_key=idempotency_key,
        timeout=timeout,
        instructions=instructions,
        stream=stream,
        tools=tools_to_run(toolbox, run_tools=run_tools, tool_timeout=tool_timeout, max_tool_rounds=max_tool_rounds),
    )
