"""A session as middleware of an agent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextvars import copy_context
from typing import Annotated, Any, NotRequired

from langchain.agents.middleware import AgentMiddleware, AgentState, ModelRequest, ModelResponse
from langchain.agents.middleware.types import PrivateStateAttr, ToolCallRequest
from langchain_core.messages import ToolMessage
from langgraph.runtime import Runtime
from langgraph.types import Command
from typing_extensions import override

from langswarm_sessions.blocking import BlockingSessionManager
from langswarm_sessions.checks import check_mapping, check_name, check_wait
from langswarm_sessions.errors import ConfigurationError
from langswarm_sessions.factory import get_session_manager
from langswarm_sessions.manager import SessionManager
from langswarm_sessions_langchain.agents.runs import AgentRun, HistoryOwner, read_run
from langswarm_sessions_langchain.agents.steps import AgentSteps
from langswarm_sessions_langchain.managers import checked_manager
from langswarm_sessions_langchain.runnable.caller_thread import CallerThread

__all__ = ["SessionAgentMiddleware"]


class SessionAgentState(AgentState[Any]):
    """What the middleware adds to an agent's state."""

    session_run: NotRequired[Annotated[str, PrivateStateAttr]]


class SessionAgentMiddleware(AgentMiddleware[SessionAgentState, Any, Any]):
    """Keeps the conversation of an agent in a session.

    Every run of the agent is turns of the session that the config names (`session_id`, else `thread_id`): the input is
    stored before the model is asked, each answer and each tool result as it comes. A run that was broken off goes on
    where it was when its input is sent again, or when the graph is resumed; what was answered is not asked again.

    Without a checkpointer the session owns the history: the model is given what was said in earlier runs. With one the
    graph's state does, and the session keeps the transcript beside it. `history=` says otherwise.

    Without `provider` the agent's own model answers. With it the session's provider does, as in any session: it keeps
    the conversation where it can, and the agent's model is only a placeholder.

    Args:
        manager: Where sessions live; None takes `get_session_manager()`.
        provider: Provider of sessions that are created; an existing session must have the same.
        model: Its model, likewise.
        provider_config: Settings of that model for sessions that are created, as in `create_session`.
        user_id: Whose sessions, when the config does not say.
        history: "session" or "graph"; None: the graph if it has a checkpointer, or runs inside a tool.
        turn_wait: Seconds that a run waits for another run of its session in this process.

    Raises:
        ConfigurationError: An argument is wrong.
        InvalidInputError: A name is not a non-empty string.

    Example:
        >>> from langchain.agents import create_agent
        >>> from langchain_core.language_models import FakeListChatModel
        >>> from langswarm_sessions import create_session_manager
        >>> memory = SessionAgentMiddleware(manager=create_session_manager(storage="memory"))
        >>> agent = create_agent(FakeListChatModel(responses=["Hello!"]), middleware=[memory])
        >>> said = agent.invoke({"messages": "hi"}, {"configurable": {"thread_id": "first"}})
        >>> said["messages"][-1].text
        'Hello!'
    """

    state_schema = SessionAgentState

    def __init__(
        self,
        *,
        manager: SessionManager | BlockingSessionManager | None = None,
        provider: str | None = None,
        model: str | None = None,
        provider_config: Mapping[str, Any] | None = None,
        user_id: str | None = None,
        history: HistoryOwner | str | None = None,
        turn_wait: float = 30.0,
    ) -> None:
        super().__init__()
        self.tools = []
        self._manager = None if manager is None else checked_manager(manager)
        names = {"provider": provider, "model": model, "user_id": user_id}
        checked = {key: None if value is None else check_name(value, field=key) for key, value in names.items()}
        self._provider, self._model, self._user_id = checked["provider"], checked["model"], checked["user_id"]
        self._history = _owner(history, provider=self._provider, model=self._model)
        self._provider_config = _settings(provider_config, provider=self._provider)
        self._turn_wait = check_wait(turn_wait, field="turn_wait")
        self._owner = HistoryOwner.SESSION if self._provider is not None else self._history

    def __repr__(self) -> str:
        """Show what was configured."""
        shown = {"provider": self._provider, "model": self._model, "user_id": self._user_id, "history": self._history}
        told = ", ".join(f"{name}={str(value)!r}" for name, value in shown.items() if value is not None)
        return f"SessionAgentMiddleware({told})"

    @property
    def history_owner(self) -> HistoryOwner | None:
        """Who decides what of the conversation the model is given; None before the first run, if nobody said."""
        return self._owner

    # Blocking

    @override
    def before_agent(self, state: SessionAgentState, runtime: Runtime[Any]) -> dict[str, Any] | None:
        """Begin a run."""
        return self._steps().manager.bridge.call(self._steps().begin, self._run(), state)

    @override
    def after_agent(self, state: SessionAgentState, runtime: Runtime[Any]) -> dict[str, Any] | None:
        """End a run."""
        self._steps().manager.bridge.call(self._steps().end, self._run(), state)
        return None

    @override
    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> ModelResponse[Any]:
        """Answer a model call in a turn of the session."""
        steps, run = self._steps(), self._run()
        thread = CallerThread[ModelResponse[Any]](steps.manager.bridge)

        async def call(wanted: ModelRequest[Any]) -> ModelResponse[Any]:
            return await thread.run(lambda: handler(wanted), copy_context())

        async def answered() -> AsyncIterator[ModelResponse[Any]]:
            yield await steps.call_model(run, request, call)

        [response] = thread.iterate(answered)
        return response

    @override
    def wrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], ToolMessage | Command[Any]]
    ) -> ToolMessage | Command[Any]:
        """Run a tool and store its result; one that is stored is not run again."""
        steps, run = self._steps(), self._run()
        recorded = steps.manager.bridge.call(steps.before_tool, run, request)
        if recorded is not None:
            return recorded
        with steps.tool_running(run, request):
            result = handler(request)
        return steps.manager.bridge.call(steps.after_tool, run, request, result)

    # Async

    @override
    async def abefore_agent(self, state: SessionAgentState, runtime: Runtime[Any]) -> dict[str, Any] | None:
        """Begin a run."""
        return await self._steps().begin(self._run(), state)

    @override
    async def aafter_agent(self, state: SessionAgentState, runtime: Runtime[Any]) -> dict[str, Any] | None:
        """End a run."""
        await self._steps().end(self._run(), state)
        return None

    @override
    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]
    ) -> ModelResponse[Any]:
        """Answer a model call in a turn of the session."""
        return await self._steps().call_model(self._run(), request, handler)

    @override
    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[ToolMessage | Command[Any]]]
    ) -> ToolMessage | Command[Any]:
        """Run a tool and store its result; one that is stored is not run again."""
        steps, run = self._steps(), self._run()
        recorded = await steps.before_tool(run, request)
        if recorded is not None:
            return recorded
        with steps.tool_running(run, request):
            result = await handler(request)
        return await steps.after_tool(run, request, result)

    def _run(self) -> AgentRun:
        return read_run(user_id=self._user_id)

    def _steps(self) -> AgentSteps:
        return AgentSteps(
            manager=self._manager if self._manager is not None else get_session_manager(),
            provider=self._provider,
            model=self._model,
            provider_config=self._provider_config,
            history=self._history,
            turn_wait=self._turn_wait,
            note_owner=self._note_owner,
        )

    def _note_owner(self, owner: HistoryOwner) -> None:
        self._owner = owner


def _owner(history: HistoryOwner | str | None, *, provider: str | None, model: str | None) -> HistoryOwner | None:
    if (provider is None) != (model is None):
        raise ConfigurationError("provider= and model= belong together: give both, or none for the agent's own model.")
    if history is not None and history not in set(HistoryOwner):
        raise ConfigurationError(f"history must be one of {', '.join(HistoryOwner)} (or None).")
    owner = None if history is None else HistoryOwner(history)
    if provider is not None and owner is HistoryOwner.GRAPH:
        raise ConfigurationError(
            "history='graph' has no meaning beside provider=: the session's provider is given the session's history. "
            "Leave one out."
        )
    return owner


def _settings(config: Mapping[str, Any] | None, *, provider: str | None) -> dict[str, Any]:
    if config is not None and provider is None:
        raise ConfigurationError(
            "provider_config= belongs to provider= and model=: without them the agent's own model answers, with its "
            "own settings. Leave it out."
        )
    return {} if config is None else dict(check_mapping(config, field="provider_config"))
