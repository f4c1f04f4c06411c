"""A session as a Runnable: the step of a chain that remembers."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from typing import Any, cast

from langchain_core.callbacks import AsyncCallbackManagerForChainRun, CallbackManagerForChainRun
from langchain_core.messages import AIMessage, AnyMessage
from langchain_core.prompt_values import ChatPromptValueConcrete, StringPromptValue
from langchain_core.runnables import ConfigurableFieldSpec, Runnable, RunnableConfig, RunnableSerializable
from langchain_core.runnables.graph import Graph
from langchain_core.runnables.utils import get_unique_config_specs
from langchain_core.tools import BaseTool
from pydantic import BaseModel, ConfigDict, Field, create_model
from typing_extensions import override

from langswarm_sessions.blocking import BlockingSessionManager
from langswarm_sessions.checks import check_name
from langswarm_sessions.errors import ConfigurationError
from langswarm_sessions.manager import SessionManager
from langswarm_sessions_langchain.managers import checked_manager
from langswarm_sessions_langchain.runnable.as_tool import argument_types, text_tool
from langswarm_sessions_langchain.runnable.asking import Asking
from langswarm_sessions_langchain.runnable.bound import RUNNABLE_PROVIDER
from langswarm_sessions_langchain.runnable.caller_thread import CallerThread
from langswarm_sessions_langchain.runnable.config import CONFIG_SPECS, named_config
from langswarm_sessions_langchain.runnable.copying import Reconnecting
from langswarm_sessions_langchain.runnable.drawing import graph_around
from langswarm_sessions_langchain.runnable.inputs import MessageKeys, SessionInput
from langswarm_sessions_langchain.runnable.nesting import StreamWithin
from langswarm_sessions_langchain.runnable.outputs import add_output

__all__ = ["SessionRunnable"]


class SessionRunnable(Reconnecting, RunnableSerializable[Any, AIMessage]):
    """Takes a turn of the session that the config names, and returns the answer.

    Without `bound` the session's own provider answers. With `bound` that Runnable does: it is given the conversation
    so far, and what it answers is stored, streams and tool calls included.

    Input is text, a message, messages, a PromptValue, or a dict that holds one of these. All of it is new; system
    messages it begins with are this turn's instructions. The turn is stored before and after the model is asked: an
    input whose model fails is stored as failed, and resumed when it is sent again (`with_retry`, `with_fallbacks`).

    The config's `configurable` names the session: `session_id` (required) and `user_id`. Keyword arguments (or `bind`)
    are `idempotency_key` and `timeout` in seconds; without `bound` also `tools`, `tool_choice` and `response_format`,
    with it everything else is passed on.

    Args:
        bound: The Runnable that answers; it returns text, a message, messages, or a dict that holds one of these.
        manager: Where sessions live; None takes `get_session_manager()`.
        provider: Provider of sessions that are created; an existing session must have the same (None: any).
        model: Its model, likewise.
        user_id: Whose sessions, when the config does not say.
        input_messages_key: Key of the new messages in an input dict.
        history_messages_key: Key under which `bound` is given the conversation so far; None puts it before the input.
        output_messages_key: Key of the answer in a dict that `bound` returns.

    Raises:
        ConfigurationError: An argument is wrong.
        InvalidInputError: A name is not a non-empty string.

    Example:
        >>> from langswarm_sessions import create_session_manager
        >>> manager = create_session_manager(storage="memory")
        >>> runnable = SessionRunnable(manager=manager, provider="mock", model="mock-model")
        >>> runnable.invoke("hi", {"configurable": {"session_id": "first"}}).text
        'Mock response to: hi'
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    bound: Runnable[Any, Any] | None = None
    manager: SessionManager | None = Field(default=None, repr=False, exclude=True)
    provider: str | None = None
    model: str | None = None
    user_id: str | None = None
    input_messages_key: str | None = None
    history_messages_key: str | None = None
    output_messages_key: str | None = None

    def __init__(
        self,
        bound: Runnable[Any, Any] | None = None,
        *,
        manager: SessionManager | BlockingSessionManager | None = None,
        provider: str | None = None,
        model: str | None = None,
        user_id: str | None = None,
        input_messages_key: str | None = None,
        history_messages_key: str | None = None,
        output_messages_key: str | None = None,
        name: str | None = None,
    ) -> None:
        given = None if manager is None else checked_manager(manager)
        if not isinstance(bound, Runnable | None):
            raise ConfigurationError("bound must be a Runnable (or None: the session's provider answers).")
        if bound is not None and provider not in (None, RUNNABLE_PROVIDER):
            raise ConfigurationError("provider= has no meaning beside bound=: the Runnable answers. Leave one out.")
        names = {
            "provider": provider,
            "model": model,
            "user_id": user_id,
            "input_messages_key": input_messages_key,
            "history_messages_key": history_messages_key,
            "output_messages_key": output_messages_key,
            "name": name,
        }
        checked = {key: check_name(value, field=key) for key, value in names.items() if value is not None}
        values: dict[str, Any] = {"bound": bound, "manager": given, **checked}
        super().__init__(**values)

    def __repr__(self) -> str:
        """Show what was configured; of the wrapped Runnable only its name: its own repr may hold secrets."""
        shown = {
            "bound": None if self.bound is None else self.bound.get_name(),
            "provider": self.provider,
            "model": self.model,
            "user_id": self.user_id,
            "input_messages_key": self.input_messages_key,
            "history_messages_key": self.history_messages_key,
            "output_messages_key": self.output_messages_key,
        }
        return f"SessionRunnable({', '.join(f'{key}={value!r}' for key, value in shown.items() if value is not None)})"

    __str__ = __repr__

    # What it is

    @property
    @override
    def InputType(self) -> Any:
        return str | StringPromptValue | ChatPromptValueConcrete | list[AnyMessage] | dict[str, Any]

    @property
    @override
    def OutputType(self) -> Any:
        return AIMessage

    @override
    def get_input_schema(self, config: RunnableConfig | None = None) -> type[BaseModel]:
        if self.input_messages_key is None:
            return cast("type[BaseModel]", super().get_input_schema(config))
        entry: Any = (str | AnyMessage | list[AnyMessage], ...)
        return create_model("SessionRunnableInput", **{self.input_messages_key: entry})

    @property
    @override
    def config_specs(self) -> list[ConfigurableFieldSpec]:
        inner = [] if self.bound is None else self.bound.config_specs
        return get_unique_config_specs([*CONFIG_SPECS, *inner])

    @override
    def get_graph(self, config: RunnableConfig | None = None) -> Graph:
        return super().get_graph(config) if self.bound is None else graph_around(self, self.bound, config)

    @override
    def as_tool(
        self,
        args_schema: Any = None,
        *,
        name: str | None = None,
        description: str | None = None,
        arg_types: dict[str, type] | None = None,
    ) -> BaseTool:
        """Return a tool that takes a turn of the session its agent's config names, and returns the answer's text.

        Args:
            args_schema: A pydantic class of its arguments; by default one text, or the entries of the input dict.
            name: Of the tool.
            description: What the model is told of it.
            arg_types: Types of the arguments by their names, in place of `args_schema`.
        """
        if args_schema is None and arg_types is None:
            arg_types = argument_types(
                self.bound, input_key=self.input_messages_key, history_key=self.history_messages_key
            )
        return text_tool(self, args_schema, name=name, description=description, arg_types=arg_types)

    # Runs

    @override
    def invoke(self, input: SessionInput, config: RunnableConfig | None = None, **kwargs: Any) -> AIMessage:
        return self._call_with_config(self._invoke, input, named_config(config), **kwargs)

    @override
    async def ainvoke(self, input: SessionInput, config: RunnableConfig | None = None, **kwargs: Any) -> AIMessage:
        return await self._acall_with_config(self._ainvoke, input, named_config(config), **kwargs)

    @override
    def stream(self, input: SessionInput, config: RunnableConfig | None = None, **kwargs: Any) -> Iterator[AIMessage]:
        yield from self.transform(iter((input,)), config, **kwargs)

    @override
    async def astream(
        self, input: SessionInput, config: RunnableConfig | None = None, **kwargs: Any
    ) -> AsyncIterator[AIMessage]:
        async def inputs() -> AsyncIterator[SessionInput]:
            yield input

        async with aclosing(StreamWithin(self._chunks_of(inputs(), config, **kwargs))) as chunks:
            async for chunk in chunks:
                yield chunk

    @override
    def transform(
        self, input: Iterator[SessionInput], config: RunnableConfig | None = None, **kwargs: Any
    ) -> Iterator[AIMessage]:
        yield from self._transform_stream_with_config(input, self._transform, named_config(config), **kwargs)

    @override
    async def atransform(
        self, input: AsyncIterator[SessionInput], config: RunnableConfig | None = None, **kwargs: Any
    ) -> AsyncIterator[AIMessage]:
        async with aclosing(StreamWithin(self._chunks_of(input, config, **kwargs))) as chunks:
            async for chunk in chunks:
                yield chunk

    def _chunks_of(
        self, inputs: AsyncIterator[SessionInput], config: RunnableConfig | None, **kwargs: Any
    ) -> AsyncGenerator[AIMessage]:
        chunks = self._atransform_stream_with_config(inputs, self._atransform, named_config(config), **kwargs)
        return cast("AsyncGenerator[AIMessage]", chunks)

    # Inside a run

    def _invoke(
        self, input: SessionInput, run_manager: CallbackManagerForChainRun, config: RunnableConfig, **kwargs: Any
    ) -> AIMessage:
        thread = CallerThread[AIMessage](self._manager_in_force().bridge)
        asking = self._asking(config, kwargs, callbacks=run_manager.get_child(), thread=thread)
        [answer] = thread.iterate(lambda: asking.answer(input))
        return answer

    async def _ainvoke(
        self, input: SessionInput, run_manager: AsyncCallbackManagerForChainRun, config: RunnableConfig, **kwargs: Any
    ) -> AIMessage:
        asking = self._asking(config, kwargs, callbacks=run_manager.get_child())
        async with aclosing(asking.answer(input)) as answers:
            return await anext(answers)

    def _transform(
        self,
        inputs: Iterator[SessionInput],
        run_manager: CallbackManagerForChainRun,
        config: RunnableConfig,
        **kwargs: Any,
    ) -> Iterator[AIMessage]:
        value: Any = None
        for part in inputs:
            value = add_output(value, part)
        thread = CallerThread[AIMessage](self._manager_in_force().bridge)
        asking = self._asking(config, kwargs, thread=thread)
        yield from thread.iterate(lambda: asking.chunks(value, run_id=str(run_manager.run_id)))

    async def _atransform(
        self,
        inputs: AsyncIterator[SessionInput],
        run_manager: AsyncCallbackManagerForChainRun,
        config: RunnableConfig,
        **kwargs: Any,
    ) -> AsyncIterator[AIMessage]:
        value: Any = None
        async for part in inputs:
            value = add_output(value, part)
        asking = self._asking(config, kwargs)
        async with aclosing(asking.chunks(value, run_id=str(run_manager.run_id))) as chunks:
            async for chunk in chunks:
                yield chunk

    def _asking(
        self,
        config: RunnableConfig,
        kwargs: dict[str, Any],
        *,
        callbacks: Any = None,
        thread: CallerThread[Any] | None = None,
    ) -> Asking:
        return Asking(
            manager=self._manager_in_force(),
            bound=self.bound,
            provider=self.provider,
            model=self.model,
            user_id=self.user_id,
            keys=MessageKeys(
                input=self.input_messages_key, history=self.history_messages_key, output=self.output_messages_key
            ),
            config=config,
            callbacks=callbacks,
            kwargs=kwargs,
            thread=thread,
        )
