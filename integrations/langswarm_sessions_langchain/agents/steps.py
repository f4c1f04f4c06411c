"""What is done at each step of an agent's run, whether the agent runs blocking or not."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from langchain.agents.middleware import ModelRequest, ModelResponse
from langchain.agents.middleware.types import ToolCallRequest
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langgraph.types import Command

from langswarm_sessions.errors import ConfigurationError
from langswarm_sessions.ids import new_id
from langswarm_sessions.manager import SessionManager
from langswarm_sessions.session import Session
from langswarm_sessions_langchain.agents.answering import CallModel
from langswarm_sessions_langchain.agents.continuing import known_again, replacing, said_again
from langswarm_sessions_langchain.agents.model_call import AgentModelCall
from langswarm_sessions_langchain.agents.order import order_of
from langswarm_sessions_langchain.agents.runs import RUN_KEY, AgentRun, HistoryOwner, inside_tool
from langswarm_sessions_langchain.agents.stored import add, call_digest, inputs_of, note_end, recorded_result
from langswarm_sessions_langchain.agents.transcript import newly_said
from langswarm_sessions_langchain.runnable.bound import RUNNABLE_PROVIDER
from langswarm_sessions_langchain.runnable.nesting import refuse_inside_turn
from langswarm_sessions_langchain.runnable.session import check_same, open_conversation

__all__ = ["AgentSteps"]

logger = logging.getLogger("langswarm_sessions_langchain.agents")

State = Mapping[str, Any]
ToolAnswer = TypeVar("ToolAnswer")
"""What running a tool comes to: a result, a command, or (LangGraph lets a tool return several) a list of these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSteps:
    """The steps of the agents that one middleware serves.

    Args:
        manager: Where sessions live.
        provider: Provider of sessions that are created, and that existing ones must have (None: the agent's model).
        model: Its model, likewise.
        provider_config: Settings of sessions that are created.
        history: Who owns the history, if that was said.
        turn_wait: Seconds to wait for another run of the session.
        note_owner: Told who owns the history.
    """

    manager: SessionManager
    provider: str | None
    model: str | None
    provider_config: Mapping[str, Any] = field(repr=False)
    history: HistoryOwner | None
    turn_wait: float
    note_owner: Callable[[HistoryOwner], None] = field(repr=False)

    # Steps of the graph

    async def begin(self, run: AgentRun, state: State) -> dict[str, Any]:
        """Begin a run: wait for the one before, and see whether this one goes on where another was broken off."""
        key = new_id()
        async with self._step(run, {RUN_KEY: key}):
            session = await self._session(run)
            self._warn_of_lost_state(run, session, state["messages"])
            messages = list(state["messages"])
            if self.owner(run, session) is HistoryOwner.SESSION:
                messages = await known_again(session, messages) or messages
            messages = await said_again(session, messages) or messages
        change = replacing(messages) if _differ(messages, state["messages"]) else []
        return {RUN_KEY: key, **({"messages": change} if change else {})}

    async def call_model(self, run: AgentRun, request: ModelRequest[Any], call: CallModel) -> ModelResponse[Any]:
        """Answer a model call in a turn of the session."""
        async with self._step(run, request.state):
            session = await self._session(run)
            answering = AgentModelCall(self.manager, run, session, request, owner=self.owner(run, session))
            return await answering.answered(call)

    async def before_tool(self, run: AgentRun, request: ToolCallRequest) -> ToolMessage | None:
        """Begin a tool call, whose step lasts until `after_tool`; return its result if that was stored before."""
        async with self._step(run, request.state) as step:
            session = await self._session(run)
            result = await recorded_result(session, request.tool_call["id"] or "", _messages(request.state))
            step.goes_on = result is None
        return result

    @contextmanager
    def tool_running(self, run: AgentRun, request: ToolCallRequest) -> Generator[None]:
        """Run a tool in the block; one that fails, is interrupted or cancelled ends the run."""
        is_done = False
        try:
            with inside_tool(run, request.tool_call["id"] or ""):
                yield
            is_done = True
        finally:
            if not is_done:
                order_of(self.manager).end(run.session_id, _run_key(request.state))

    async def after_tool(self, run: AgentRun, request: ToolCallRequest, result: ToolAnswer) -> ToolAnswer:
        """Store the result of a tool call, all that is in it or nothing, and end its step."""
        async with self._step(run, request.state, is_entered=True):
            session = await self._session(run)
            of_call = call_digest(_messages(request.state), request.tool_call["id"] or "")
            is_command = not isinstance(result, ToolMessage)
            await add(self.manager, session, _results(result), of_call=of_call, of_command=is_command)
        return result

    async def end(self, run: AgentRun, state: State) -> None:
        """End a run: store what is not yet, and free the session."""
        try:
            messages = _messages(state)
            rest = newly_said(messages, session_id=run.session_id)
            last = messages[-1] if messages else None
            if rest or not isinstance(last, AIMessage) or last.tool_calls:
                session = await self._session(run)
                await add(self.manager, session, await inputs_of(session, messages) if rest else [])
                if not isinstance(last, AIMessage) or last.tool_calls:
                    await note_end(session)
        finally:
            order_of(self.manager).end(run.session_id, str(state.get(RUN_KEY)))

    # Parts of them

    @asynccontextmanager
    async def _step(self, run: AgentRun, state: object, *, is_entered: bool = False) -> AsyncGenerator[_Step]:
        """Take a step of a run in its place among the runs of the session; one that fails ends the run."""
        order, key, step, is_done = order_of(self.manager), _run_key(state), _Step(), False
        if not is_entered:
            refuse_inside_turn(run.session_id)
            await order.enter(run.session_id, key, seconds=self.turn_wait)
        try:
            yield step
            is_done = True
        finally:
            if not is_done:
                order.end(run.session_id, key)
            elif not step.goes_on:
                order.leave(run.session_id, key)

    async def _session(self, run: AgentRun) -> Session:
        session = await open_conversation(
            self.manager,
            run.session_id,
            user_id=run.user_id,
            provider=self.provider or RUNNABLE_PROVIDER,
            model=self.model or RUNNABLE_PROVIDER,
            provider_config=self.provider_config,
        )
        check_same(session, provider=self.provider, model=self.model)
        self.note_owner(self.owner(run, session))
        return session

    def owner(self, run: AgentRun, session: Session) -> HistoryOwner:
        """Return who owns what the model of a run is given.

        Raises:
            ConfigurationError: The graph is to own it, and the session's provider answers.
        """
        if session.provider != RUNNABLE_PROVIDER:
            if self.history is HistoryOwner.GRAPH:
                raise ConfigurationError(
                    f"history='graph': this session is answered by its own provider, {session.provider}, which is "
                    "given the session's history. Leave history= out.",
                    session_id=run.session_id,
                    provider=session.provider,
                )
            return HistoryOwner.SESSION
        if self.history is not None:
            return self.history
        return HistoryOwner.GRAPH if run.has_checkpointer or run.is_nested else HistoryOwner.SESSION

    def _warn_of_lost_state(self, run: AgentRun, session: Session, messages: list[BaseMessage]) -> None:
        if run.is_nested or self.owner(run, session) is HistoryOwner.SESSION or not session.message_count:
            return
        if len(newly_said(messages, session_id=run.session_id)) == len(messages):
            logger.warning(
                "Session %s has %d messages that the graph's state does not have: its checkpointer has lost them, or "
                "never had them. The model is not given them. SessionAgentMiddleware(history='session') would.",
                run.session_id,
                session.message_count,
            )


@dataclass(slots=True)
class _Step:
    """A step of a run; one that goes on is ended by somebody else."""

    goes_on: bool = False


def _run_key(state: object) -> str:
    return str(cast("Mapping[str, Any]", state).get(RUN_KEY) if isinstance(state, Mapping) else None)


def _differ(messages: Sequence[BaseMessage], before: Sequence[BaseMessage]) -> bool:
    return len(messages) != len(before) or any(one is not other for one, other in zip(messages, before, strict=True))


def _messages(state: object) -> list[BaseMessage]:
    found = cast("Mapping[str, Any]", state).get("messages") if isinstance(state, Mapping) else None
    return list(found or ())


def _results(answer: object) -> list[BaseMessage]:
    """Return the tool results in what a tool came to: a result, the state update of a command, or several of these."""
    if isinstance(answer, ToolMessage):
        return [answer]
    if isinstance(answer, Command):
        update = answer.update
        return _results(cast("Mapping[str, Any]", update).get("messages") if isinstance(update, Mapping) else None)
    return (
        [result for one in cast("list[object]", answer) for result in _results(one)] if isinstance(answer, list) else []
    )
