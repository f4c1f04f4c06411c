"""The agent's own model as the provider of one turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar, cast

from langchain.agents.middleware import ModelRequest, ModelResponse
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.exceptions import ContextOverflowError as LangChainContextOverflow
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables import RunnableConfig, ensure_config
from langchain_core.runnables.config import merge_configs, var_child_runnable_config
from typing_extensions import override

from langswarm_sessions.errors import ConfigurationError, ContextOverflowError
from langswarm_sessions.interfaces import (
    Completed,
    EngineProvider,
    ProviderEvent,
    ProviderProfile,
    ProviderRequest,
    TextDelta,
)
from langswarm_sessions_langchain.agents.transcript import answered_calls, what_is_sent
from langswarm_sessions_langchain.runnable.bound import RUNNABLE_PROFILE, RUNNABLE_PROVIDER
from langswarm_sessions_langchain.runnable.config import grouped
from langswarm_sessions_langchain.runnable.outputs import completed_of
from langswarm_sessions_langchain.tracing import below_turn

__all__ = ["AgentModelProvider", "CallModel", "GraphModelProvider", "split_answer"]

CallModel = Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]


class AgentModelProvider(EngineProvider):
    """Answers one turn with what is inside an agent's `wrap_model_call`: other middleware, and the agent's model.

    The session owns the history: the model is given its window, and the run as the graph has it.

    Args:
        request: The agent's request.
        call: The handler, called in the thread and the context of the agent.
        model: What the model is called until the answer says it.
        session_id: Whose turn it is.

    Attributes:
        request: The agent's request.
        response: What the handler returned, once it did.
    """

    name = RUNNABLE_PROVIDER
    profile: ClassVar[ProviderProfile] = RUNNABLE_PROFILE

    def __init__(self, request: ModelRequest[Any], call: CallModel, *, model: str, session_id: str) -> None:
        self.request = request
        self._session_id = session_id
        self._call = call
        self.model = model
        self.response: ModelResponse[Any] | None = None

    async def stream_turn(self, request: ProviderRequest) -> AsyncIterator[ProviderEvent]:
        """Call the handler; what its model streams is told as it comes, so that a turn broken off keeps it."""
        wanted = self.wanted(request)
        heard = _Heard(asyncio.get_running_loop())
        answering = asyncio.get_running_loop().create_task(self._answered(wanted, heard))
        answering.add_done_callback(lambda _: heard.end())
        try:
            while (text := await heard.next()) is not None:
                yield TextDelta(text)
            self.response = await answering
        finally:
            if not answering.done():
                answering.cancel()
                await asyncio.gather(answering, return_exceptions=True)
        yield self.completed(self.response)

    def translate(self, error: Exception) -> Exception:
        """Leave errors as they are, for the agent's own handling; but let a window that is too long be cut."""
        if isinstance(error, LangChainContextOverflow):
            return ContextOverflowError(
                "The conversation is longer than the model's context window; set max_messages in session_config.",
                provider=self.name,
            )
        return error

    async def _answered(self, request: ModelRequest[Any], heard: _Heard) -> ModelResponse[Any]:
        # Of this task's own context: what the model's run inherits, in whatever thread it is called.
        config = below_turn(ensure_config())
        beside = RunnableConfig(callbacks=[heard], metadata=grouped(config, self._session_id))
        var_child_runnable_config.set(merge_configs(config, beside))
        return await self._call(request)

    def wanted(self, request: ProviderRequest) -> ModelRequest[Any]:
        """Return what the handler is asked: the agent's request, with the history of who owns it."""
        sent = what_is_sent(request.messages, self.request.messages, self.request.state["messages"])
        return self.request.override(messages=cast("Any", answered_calls(sent)))

    def completed(self, response: ModelResponse[Any]) -> Completed:
        """Return the end of the turn."""
        earlier, answer, _ = split_answer(response.result)
        return completed_of([*earlier, answer], model=self.model)


class GraphModelProvider(AgentModelProvider):
    """Answers one turn where the graph's state owns the history: the request says what the model is given."""

    profile: ClassVar[ProviderProfile] = replace(RUNNABLE_PROFILE, owns_history=True)

    @override
    def translate(self, error: Exception) -> Exception:
        """Leave every error as it is: what is sent is not the session's to cut."""
        return error

    @override
    def wanted(self, request: ProviderRequest) -> ModelRequest[Any]:
        """Return the agent's request, but for calls that were broken off."""
        return self.request.override(messages=cast("Any", answered_calls(self.request.messages)))


class _Heard(BaseCallbackHandler):
    """Hears what the model says while it says it, in whatever thread that is."""

    run_inline = True

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._texts: asyncio.Queue[str | None] = asyncio.Queue()

    @override
    def on_llm_new_token(self, token: object, **_: Any) -> None:
        if isinstance(token, str) and token:
            self._loop.call_soon_threadsafe(self._texts.put_nowait, token)

    def end(self) -> None:
        self._texts.put_nowait(None)

    async def next(self) -> str | None:
        return await self._texts.get()


def split_answer(result: Sequence[BaseMessage]) -> tuple[list[BaseMessage], AIMessage, list[BaseMessage]]:
    """Return what came before an answer, the answer, and what comes with it (results of structured output).

    Raises:
        ConfigurationError: There is no answer.
    """
    at = next((at for at in reversed(range(len(result))) if isinstance(result[at], AIMessage)), None)
    answer = None if at is None else result[at]
    if at is None or not isinstance(answer, AIMessage):
        raise ConfigurationError(
            "An agent's model call returned no AIMessage: middleware inside SessionAgentMiddleware must return one in "
            "ModelResponse.result."
        )
    return list(result[:at]), answer, list(result[at + 1 :])
