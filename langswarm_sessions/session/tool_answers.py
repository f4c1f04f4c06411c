"""Answering the calls of the last answer: by results given, or by running what was broken off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from langswarm_sessions.errors import InvalidInputError
from langswarm_sessions.messages import (
    Role,
    SessionMessage,
    ToolResultInput,
    TurnState,
    as_tool_messages,
    plain_mapping,
)
from langswarm_sessions.records import (
    MessageFilter,
    ResponseFormat,
    ToolChoice,
    TurnOptions,
    TurnRecord,
    response_format_of,
)
from langswarm_sessions.session.inputs import (
    MAX_TOOL_ROUNDS,
    Tools,
    offered,
    tools_to_run,
    turn_input,
    unanswerable,
)
from langswarm_sessions.session.reading import SessionReading
from langswarm_sessions.tools import toolbox_of
from langswarm_sessions.turns import TurnInput, TurnStream

__all__ = ["SessionToolAnswers"]

_LOOKED_AT = 20  # newest messages of a role: a call is answered soon after it was made


class SessionToolAnswers(SessionReading):
    """The turns of a session that go on from tool calls."""

    __slots__ = ()

    async def send_tool_results(
        self,
        results: Sequence[ToolResultInput],
        *,
        tools: Tools | None = None,
        tool_choice: ToolChoice | None = None,
        response_format: ResponseFormat | None = None,
        metadata: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> SessionMessage:
        """Answer the tool calls of the last answer and return what the model says next.

        Args:
            results: One entry per call: ToolResult or {"tool_call_id", "content", "is_error"}.
            tools: As in `send_message`; None offers the tools of the turn that made the calls.
            tool_choice: As in `send_message`; None leaves it to the model, whatever chose the calls.
            response_format: As in `send_message`; None keeps that of the turn that made the calls.
            metadata: Kept with each result.
            idempotency_key: As in `send_message`.
            timeout: As in `send_message`.

        Raises:
            InvalidInputError: There are no open calls, or a result names none of them.
        """
        messages = as_tool_messages(results)
        kept = plain_mapping({} if metadata is None else metadata, field="metadata")
        for message in messages:
            message.metadata.update(kept)
        before = await self._options_of_calls(messages, idempotency_key=idempotency_key)
        options = offered(toolbox_of(before.tools if tools is None else tools), tool_choice)
        if tool_choice is None:
            options = replace(options, tool_choice=before.tool_choice).after_results(self.record.provider_config)
        wanted = response_format_of(response_format) or before.response_format
        turn = turn_input(
            messages,
            options=replace(options, response_format=wanted),
            idempotency_key=idempotency_key,
            timeout=timeout,
            operation="tool_results",
        )
        return await self.run_turn(turn).result()

    async def resume_tools(
        self,
        tools: Tools,
        *,
        timeout: float | None = None,
        tool_timeout: float | None = None,
        max_tool_rounds: int = MAX_TOOL_ROUNDS,
    ) -> SessionMessage:
        """Go on where a send with `run_tools=True` was broken off, by a crash or a cancellation.

        Calls of the last answer whose results are stored are not run again; the others are, and the model goes on.
        With the broken send's idempotency key, sending it again does the same.

        Args:
            tools: The tools, as in `send_message`.
            timeout: As in `send_message`.
            tool_timeout: As in `send_message`.
            max_tool_rounds: As in `send_message`.

        Raises:
            InvalidInputError: The last answer calls no tool, or the conversation has gone on since.

        Example:
            >>> async def go_on(session, search):
            ...     return await session.resume_tools([search])
        """
        asked = await self._last_answer()
        if asked is None or not asked.tool_calls or asked.turn_id is None:
            raise InvalidInputError("The last answer calls no tool: there is nothing to resume.")
        toolbox = toolbox_of(tools)
        broken = await self._runtime.services.storage.load_turn(self.session_id, asked.turn_id)
        wanted = broken.options.response_format if broken is not None else None
        turn = turn_input(
            (),
            options=replace(offered(toolbox, None), response_format=wanted),
            idempotency_key=None,
            timeout=timeout,
            operation="tool_results",
            tools=tools_to_run(toolbox, run_tools=True, tool_timeout=tool_timeout, max_tool_rounds=max_tool_rounds),
            continues=asked,
        )
        return await self.run_turn(turn).result()

    def run_turn(self, turn: TurnInput) -> TurnStream:
        """Start a turn in the engine's own terms; the other send methods are made of this.

        Args:
            turn: Input, options and how it is read.
        """
        return self._runtime.engine.start(self, turn)

    async def _options_of_calls(self, results: Sequence[SessionMessage], *, idempotency_key: str | None) -> TurnOptions:
        """Check results against the last answer's calls; return the options of the turn that made them."""
        asked = await self._last_answer()
        problem = unanswerable(results, calls=asked.tool_calls if asked is not None else [])
        if problem is not None:
            sent = await self._sent_before(results, idempotency_key)
            if sent is None:
                raise InvalidInputError(problem, session_id=self.session_id)
            return sent.options
        turn_id = asked.turn_id if asked is not None else None
        turn = await self._runtime.services.storage.load_turn(self.session_id, turn_id) if turn_id else None
        return turn.options if turn is not None else TurnOptions()

    async def _last_answer(self) -> SessionMessage | None:
        page = await self.list_messages(MessageFilter(limit=_LOOKED_AT, role=Role.ASSISTANT))
        return next((answer for answer in reversed(page) if answer.status is TurnState.COMPLETED), None)

    async def _sent_before(self, results: Sequence[SessionMessage], idempotency_key: str | None) -> TurnRecord | None:
        """Return the turn that these results were sent in under the same key; None when there is none."""
        if idempotency_key is None:
            return None
        wanted = {result.tool_call_id for message in results for result in message.tool_results}
        for sent in reversed(await self.list_messages(MessageFilter(limit=_LOOKED_AT, role=Role.TOOL))):
            if sent.turn_id and any(result.tool_call_id in wanted for result in sent.tool_results):
                turn = await self._runtime.services.storage.load_turn(self.session_id, sent.turn_id)
                if turn is not None and turn.idempotency_key == idempotency_key:
                    return turn
        return None
