"""Between two turns of a send: the tools an answer calls are run, and each result is stored as soon as it is there."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from copy import deepcopy
from typing import Any, cast

from langswarm_sessions.errors import ProviderTimeoutError
from langswarm_sessions.messages import Role, SessionMessage, ToolCall, ToolResult, content_bytes
from langswarm_sessions.records import Lease
from langswarm_sessions.tools import ToolContext, ToolOutcome, ToolRunning, run_call
from langswarm_sessions.turns.send.exchange import Exchange, was_cleared
from langswarm_sessions.turns.send.inside import inside_tool
from langswarm_sessions.turns.send.sending import Sending
from langswarm_sessions.turns.waiting import to_the_end

__all__ = ["ToolPhase"]


class ToolPhase:
    """Runs the calls of one answer that have no result yet, all at once.

    Args:
        sending: The send.
        running: Its tools.
        exchange: The answer, and the results it has.
        lease: The lease the results are stored under.
    """

    def __init__(self, sending: Sending, running: ToolRunning, exchange: Exchange, *, lease: Lease) -> None:
        self._sending = sending
        self._running = running
        self._asked = exchange.asked
        self._lease = lease
        self._results = dict(exchange.results)
        self._chain = sending.chain(sending.subject.record)

    async def run(self) -> Mapping[str, SessionMessage]:
        """Return the results by the id of their call, those stored before included.

        Raises:
            ProviderTimeoutError: The send's own time was over.
            SessionError: A result could not be stored, or middleware refused it.
            asyncio.CancelledError: The caller went away; tools were cancelled, what was finished is stored.
        """
        calls = {call.id: call for call in self._asked.tool_calls if self._is_due(call)}
        limit = asyncio.timeout(self._seconds_left)
        try:
            with self._sending.span.causes.limit(lambda: self._out_of_time() if limit.expired() else None):
                async with limit, asyncio.TaskGroup() as group:
                    for call in calls.values():
                        name = f"tool {call.id} of {self._sending.session_id}"
                        group.create_task(self._run_and_store(call), name=name)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise self._out_of_time() from error
        except BaseExceptionGroup as errors:  # the first one ended the others
            raise errors.exceptions[0] from None
        return self._results

    def _is_due(self, call: ToolCall) -> bool:
        return call.id not in self._results and not self._running.toolbox.leaves_open(call)

    @property
    def _seconds_left(self) -> float | None:
        """What the caller gave the send; the time of a single answer does not bind tools."""
        return None if self._sending.turn.timeout is None else self._sending.deadline.left

    def _out_of_time(self) -> ProviderTimeoutError:
        return ProviderTimeoutError(
            f"No answer within {self._sending.deadline.seconds:g} s: tools were still running. Pass a longer timeout=, "
            "or a tool_timeout= that leaves the model time to answer.",
            session_id=self._sending.session_id,
            provider=self._sending.provider.name,
        )

    async def _run_and_store(self, call: ToolCall) -> None:
        sending, tool = self._sending, self._running.toolbox.runnable.get(call.name)
        span, session_id = sending.span, sending.session_id
        known = None if tool is None else tool.name
        with span.tool(name=known, call_id=call.id, description=None if tool is None else tool.description) as told:
            told.content(arguments=call.arguments if call.raw_arguments is None else call.raw_arguments)
            with inside_tool(session_id):
                outcome = await run_call(call, self._running, self._context)
            told.finished(error_type=outcome.error_type)
            told.content(result=outcome.result.content)
        if not was_cleared(self._asked, sending.subject.record):  # else the result would be seen without its call
            self._results[call.id] = await to_the_end(self._store(outcome))

    def _context(self, call: ToolCall) -> ToolContext:
        subject = self._sending.subject
        record = subject.record
        return ToolContext(
            session=cast("Any", subject),
            session_id=record.session_id,
            user_id=record.user_id,
            turn_id=self._asked.turn_id or "",
            tool_call_id=call.id,
            user_context=deepcopy(dict(record.context)),
        )

    async def _store(self, outcome: ToolOutcome) -> SessionMessage:
        sending = self._sending
        message = _message_of(outcome.result)
        if sending.services.has_middleware:
            message = await self._chain.outward(message)
        storage = sending.services.storage
        with sending.span.storage("append", backend=storage.backend, db_system=storage.db_system) as op:
            finished = await storage.append_messages(sending.session_id, [message], held=self._lease)
            op.done(count=1, size=content_bytes(finished.answers))
        sending.subject.adopt(finished.session)
        return finished.answers[0]


def _message_of(result: ToolResult) -> SessionMessage:
    return SessionMessage(role=Role.TOOL, parts=[result])
