"""What is done at each step of an agent's run, whether the agent runs blocking or not."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from langchain.agents.middleware import ModelRequest, ModelResponse
from langchain.agents.middleware.types import ToolCallRequest
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langgraph.types import Command

from langswarm_sessions.errors import ConfigurationError
from langswarm_sessions.ids import new_id
from langswarm_sessions.manager import SessionManager
from langswarm_sessions.session import Session
from langswarm_sessions_langchain.agents.answering import CallModel
from langswarm_sessions_langchain.agents.model_call import AgentModelCall
from langswarm_sessions_langchain.agents.order import order_of
from langswarm_sessions_langchain.agents.runs import RUN_KEY, AgentRun, HistoryOwner
from langswarm_sessions_langchain.agents.stored import add, inputs_of, note_end, recorded_result, said_again
from langswarm_sessions_langchain.agents.transcript import newly_said
from langswarm_sessions_langchain.runnable.bound import RUNNABLE_PROVIDER
from langswarm_sessions_langchain.runnable.session import open_conversation

__all__ = ["AgentSteps"]

logger = logging.getLogger("langswarm_sessions_langchain.agents")

State = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSteps:
    """The steps of the agents that one middleware serves.

    Args:
        manager: Where sessions live.
        provider: Provider of sessions that are created, and that existing ones must have (None: the agent's model).
        model: Its model, likewise.
        history: Who owns the history, if that was said.
        turn_wait: Seconds to wait for another run of the session.
        note_owner: Told who owns the history.
    """

    manager: SessionManager
    provider: str | None
    model: str | None
    history: HistoryOwner | None
    turn_wait: float
    note_owner: Callable[[HistoryOwner], None] = field(repr=False)

    # Steps of the graph

    async def begin(self, run: AgentRun, state: State) -> dict[str, Any]:
        """Begin a run: wait for the one before, and see whether this one goes on where another was broken off."""
        key = new_id()
        order = order_of(self.manager)
        await order.enter(run.session_id, key, seconds=self.turn_wait)
        try:
            session = await self._session(run)
            self._warn_of_lost_state(run, session, state["messages"])
            change = await said_again(session, state["messages"])
        except BaseException:
            order.end(run.session_id, key)
            raise
        order.leave(run.session_id, key)
        return {RUN_KEY: key, **({"messages": change} if change else {})}

    async def call_model(self, run: AgentRun, request: ModelRequest[Any], call: CallModel) -> ModelResponse[Any]:
        """Answer a model call in a turn of the session."""
        step = _Step(self, run, request.state)
        await step.enter()
        try:
            session = await self._session(run)
            answering = AgentModelCall(self.manager, run, session, request, owner=self.owner(run, session))
            response = await answering.answered(call)
        except BaseException:
            step.end()
            raise
        step.leave()
        return response

    async def before_tool(self, run: AgentRun, request: ToolCallRequest) -> ToolMessage | None:
        """Begin a tool call; return its result if that was stored before."""
        step = _Step(self, run, request.state)
        await step.enter()
        try:
            session = await self._session(run)
            result = await recorded_result(session, request.tool_call["id"] or "", _messages(request.state))
        except BaseException:
            step.end()
            raise
        if result is not None:
            step.leave()
        return result

    async def after_tool(
        self, run: AgentRun, request: ToolCallRequest, result: ToolMessage | Command[Any]
    ) -> ToolMessage | Command[Any]:
        """Store the result of a tool call, and end its step."""
        step = _Step(self, run, request.state)
        try:
            session = await self._session(run)
            if isinstance(result, ToolMessage):
                await add(self.manager, session, [result])
            else:
                await add(self.manager, session, _results(result), of_command=True)
        except BaseException:
            step.end()
            raise
        step.leave()
        return result

    def fail_tool(self, run: AgentRun, request: ToolCallRequest) -> None:
        """End the step of a tool that failed, was interrupted or cancelled."""
        _Step(self, run, request.state).end()

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

    async def _session(self, run: AgentRun) -> Session:
        session = await open_conversation(
            self.manager,
            run.session_id,
            user_id=run.user_id,
            provider=self.provider or RUNNABLE_PROVIDER,
            model=self.model or RUNNABLE_PROVIDER,
        )
        for setting, name in {"provider": self.provider, "model": self.model}.items():
            has = getattr(session, setting)
            if name not in (None, has):
                raise ConfigurationError(
                    f"{setting}={name!r}: the session was created with {has!r}. Leave provider= and model= out to go "
                    "on with what it has, or use another session_id.",
                    session_id=run.session_id,
                    provider=session.provider,
                )
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


class _Step:
    """A step of a run, in its place among the runs of the session."""

    def __init__(self, steps: AgentSteps, run: AgentRun, state: object) -> None:
        self._steps = steps
        self._order = order_of(steps.manager)
        self._session_id = run.session_id
        self._run_key = str(cast("Mapping[str, Any]", state).get(RUN_KEY) if isinstance(state, Mapping) else None)

    async def enter(self) -> None:
        await self._order.enter(self._session_id, self._run_key, seconds=self._steps.turn_wait)

    def leave(self) -> None:
        self._order.leave(self._session_id, self._run_key)

    def end(self) -> None:
        self._order.end(self._session_id, self._run_key)


def _messages(state: object) -> list[BaseMessage]:
    found = cast("Mapping[str, Any]", state).get("messages") if isinstance(state, Mapping) else None
    return list(found or ())


def _results(command: Command[Any]) -> list[BaseMessage]:
    """Return the tool results in the state update of a command."""
    update = command.update
    messages = cast("Mapping[str, Any]", update).get("messages") if isinstance(update, Mapping) else None
    listed = cast("Sequence[object]", messages) if isinstance(messages, list) else [messages]
    return [message for message in listed if isinstance(message, ToolMessage)]
