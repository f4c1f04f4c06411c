"""A session as a chat model."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, cast

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.callbacks.manager import BaseRunManager
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.messages.utils import count_tokens_approximately
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import ConfigurableFieldSpec, Runnable, RunnableConfig, ensure_config
from langchain_core.tools import BaseTool
from pydantic import ConfigDict, Field
from typing_extensions import override

from langswarm_sessions.blocking import BlockingSessionManager
from langswarm_sessions.checks import check_name
from langswarm_sessions.errors import ConfigurationError
from langswarm_sessions.manager import SessionManager
from langswarm_sessions_langchain.chat_model.asking import ModelAsking
from langswarm_sessions_langchain.chat_model.call import ids_in, read_ask, tool_choice_of, wire_tool
from langswarm_sessions_langchain.chat_model.structured import Method, structured
from langswarm_sessions_langchain.managers import checked_manager
from langswarm_sessions_langchain.runnable.as_tool import text_tool
from langswarm_sessions_langchain.runnable.config import CONFIG_SPECS, grouped
from langswarm_sessions_langchain.runnable.copying import Reconnecting
from langswarm_sessions_langchain.runnable.nesting import StreamWithin
from langswarm_sessions_langchain.tracing import noting_run

__all__ = ["SessionChatModel"]

_NAMES = ("provider", "model", "session_id", "user_id")
_KEYS = ("api_key", "access_token", "secret", "password")
_SETTINGS = ("temperature", "max_tokens", "timeout", "stop")

_opened: ContextVar[list[AsyncGenerator[Any]] | None] = ContextVar("langswarm_sessions_opened_streams", default=None)


class SessionChatModel(Reconnecting, BaseChatModel):
    """A session wherever LangChain expects a chat model: in chains, agents and graphs.

    Each call takes a turn of the session that is named by, in this order, the call (`session_id=`), the config's
    `configurable.session_id`, this object, or the config's `configurable.thread_id`. Without any of them a call takes a
    new session of its own, whose id is in the answer's `response_metadata`.

    The session is the memory. Of the messages a caller gives, those the session holds already are neither sent nor
    stored again, so the whole conversation may be given (as agents do) or only what is new. Leading system messages are
    the turn's instructions. A message that has an id names its turn: given again, the recorded answer comes back, and a
    turn that failed or was broken off is resumed.

    Args:
        manager: Where sessions live; None takes `get_session_manager()`.
        provider: Provider of sessions that are created; an existing session must have the same (None: any).
        model: The model that is asked (None: the session's).
        session_id: The session, when neither call nor config names one.
        user_id: Whose sessions, when neither call nor config says.
        temperature: Setting of every call; so are `max_tokens`, `timeout` (seconds) and `stop`.
        provider_config: Other settings of every call, as in `create_session`.
        streaming: Let `invoke` stream to callbacks.

    Raises:
        ConfigurationError: An argument is unknown or wrong.
        InvalidInputError: A name is not a non-empty string.

    Example:
        >>> from langswarm_sessions import create_session_manager
        >>> manager = create_session_manager(storage="memory")
        >>> model = SessionChatModel(manager=manager, provider="mock", model="mock-model", session_id="first")
        >>> model.invoke("hi").text
        'Mock response to: hi'
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    manager: SessionManager | BlockingSessionManager | None = Field(default=None, repr=False, exclude=True)
    provider: str | None = None
    model: str | None = None
    session_id: str | None = None
    user_id: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    timeout: float | None = None
    stop: list[str] | None = None
    provider_config: dict[str, Any] = Field(default_factory=dict[str, Any], repr=False)
    streaming: bool = False
    cache: bool = Field(default=False, exclude=True)  # pyright: ignore[reportIncompatibleVariableOverride]

    if not TYPE_CHECKING:  # checkers know the arguments from the fields

        def __init__(self, **values: Any) -> None:
            super().__init__(**_checked(values, known=type(self).model_fields))

    # What it is

    @property
    @override
    def _llm_type(self) -> str:
        return "langswarm-session"

    @property
    @override
    def _identifying_params(self) -> Mapping[str, Any]:
        named = {name: getattr(self, name) for name in _NAMES}
        return {name: value for name, value in {**named, **self._settings()}.items() if value is not None}

    @property
    @override
    def config_specs(self) -> list[ConfigurableFieldSpec]:
        return [*CONFIG_SPECS]

    @override
    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> Any:
        params = super()._get_ls_params(stop=stop or self.stop, **kwargs)
        return {**params, "ls_provider": self.provider or "langswarm_sessions"}

    @override
    def get_num_tokens(self, text: str) -> int:
        """Return about how many tokens a text has; only the provider's own tokenizer knows."""
        return count_tokens_approximately([HumanMessage(text)], extra_tokens_per_message=0)

    @override
    def get_num_tokens_from_messages(self, messages: list[BaseMessage], tools: Sequence[Any] | None = None) -> int:
        """Return about how many tokens messages have, as for `trim_messages(token_counter=model)`.

        Args:
            messages: The messages.
            tools: Tools that are sent along, in any form `bind_tools` takes.
        """
        return count_tokens_approximately(messages, tools=[wire_tool(tool) for tool in tools or ()])

    # Calls, which know their session by the config

    @override
    def invoke(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AIMessage:
        named, ids = self._named(config, kwargs)
        return super().invoke(input, named, stop=stop, **ids)

    @override
    async def ainvoke(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AIMessage:
        named, ids = self._named(config, kwargs)
        return await super().ainvoke(input, named, stop=stop, **ids)

    @override
    def stream(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> Iterator[AIMessageChunk]:
        named, ids = self._named(config, kwargs)
        yield from super().stream(input, named, stop=stop, **ids)

    @override
    async def astream(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[AIMessageChunk]:
        named, ids = self._named(config, kwargs)
        chunks = cast("AsyncGenerator[AIMessageChunk]", super().astream(input, named, stop=stop, **ids))
        opened: list[AsyncGenerator[Any]] = []
        # LangChain would leave the stream it opens to the garbage collector.
        async with aclosing(StreamWithin(chunks, opened=opened)) as stream:
            chunk = await _first(stream, opened)
            while chunk is not None:
                yield chunk
                chunk = await anext(stream, None)

    @override
    def stream_events(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        named, ids = self._named(config, kwargs)
        parent: Any = super()
        return parent.stream_events(input, named, **ids)

    @override
    def astream_events(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        named, ids = self._named(config, kwargs)
        parent: Any = super()
        return parent.astream_events(input, named, **ids)

    def _named(self, config: RunnableConfig | None, kwargs: Mapping[str, Any]) -> tuple[RunnableConfig, dict[str, Any]]:
        """Return config and keyword arguments with the session's id in both: LangChain hands on only the latter."""
        complete = ensure_config(config)
        ids = {**ids_in(complete, session_id=self.session_id, user_id=self.user_id), **kwargs}
        if session_id := ids.get("session_id"):
            complete["metadata"] = grouped(complete, session_id)
        return noting_run(complete), ids

    # Turns

    @override
    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        asking = self._asking(stop, kwargs, run_manager)
        return _result(asking.manager.bridge.call(asking.answer, messages))

    @override
    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return _result(await self._asking(stop, kwargs, run_manager).answer(messages))

    @override
    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        asking, run_id = self._asking(stop, kwargs, run_manager), _run_id(run_manager)
        chunks = asking.manager.bridge.iterate(lambda: asking.chunks(messages, run_id=run_id))
        for chunk in chunks:
            yield ChatGenerationChunk(message=chunk)

    @override
    def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        asking, run_id = self._asking(stop, kwargs, run_manager), _run_id(run_manager)
        stream = _generations(asking.chunks(messages, run_id=run_id))
        if (opened := _opened.get()) is not None:
            opened.append(stream)
        return stream

    def _asking(self, stop: list[str] | None, kwargs: Mapping[str, Any], run: BaseRunManager | None) -> ModelAsking:
        _, named = self._named(None, kwargs)
        return ModelAsking(
            manager=self._manager_in_force(),
            provider=self.provider,
            model=self.model,
            settings=self._settings(),
            ask=read_ask(named, stop=stop),
            run=run,
        )

    def _settings(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in _SETTINGS if getattr(self, name) not in (None, [])}
        return {**self.provider_config, **own}

    # What is made of it

    @override
    def bind_tools(
        self,
        tools: Sequence[Mapping[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | bool | Mapping[str, Any] | None = None,
        strict: bool | None = None,
        parallel_tool_calls: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Return this model with tools it may call.

        Args:
            tools: LangChain tools, functions, pydantic classes, JSON definitions, or the provider's own.
            tool_choice: "auto", "none", "any" (or "required", or True), or a tool's name.
            strict: Whether calls must follow the schemas to the letter; None leaves it to the provider.
            parallel_tool_calls: Whether one answer may call several; None leaves it to the provider.
            **kwargs: More keyword arguments of each call.
        """
        asked = {"tool_choice": tool_choice_of(tool_choice), "parallel_tool_calls": parallel_tool_calls}
        given = {name: value for name, value in asked.items() if value is not None}
        return super().bind(tools=[wire_tool(tool, strict=strict) for tool in tools], **given, **kwargs)

    @override
    def with_structured_output(
        self,
        schema: Mapping[str, Any] | type,
        *,
        method: Method = "json_schema",
        include_raw: bool = False,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, Any]:
        """Return a Runnable that answers with an object of a schema; see `structured` for the arguments."""
        return structured(self, schema, method=method, include_raw=include_raw, strict=strict, bound=kwargs)

    @override
    def as_tool(
        self,
        args_schema: Any = None,
        *,
        name: str | None = None,
        description: str | None = None,
        arg_types: dict[str, type] | None = None,
    ) -> BaseTool:
        """Return a tool that says its argument to the session and returns the answer's text."""
        return text_tool(self, args_schema, name=name, description=description, arg_types=arg_types)


def _checked(values: dict[str, Any], *, known: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a model, checked; None means "not given"."""
    given = {name: value for name, value in values.items() if value is not None}
    for name in given.keys() - known.keys():
        raise ConfigurationError(
            f"SessionChatModel: unknown argument {name!r}. Settings of the model go into provider_config=; keys and "
            "retries belong to the manager: create_session_manager(providers={...: key}, retry=RetryPolicy(...))."
        )
    for name in given.get("provider_config", {}):
        if str(name).endswith(_KEYS):  # what a model is configured with is shown to tracers
            raise ConfigurationError(
                f"provider_config: {name!r} belongs to the manager: create_session_manager(providers={{...: key}})."
            )
    if given.get("cache"):
        raise ConfigurationError("cache: an answer from a cache would be no turn of the session. Leave it out.")
    if "manager" in given:
        given["manager"] = checked_manager(given["manager"])
    for name in _NAMES:
        if name in given:
            check_name(given[name], field=name)
    return given


def _result(message: AIMessage) -> ChatResult:
    said = message.response_metadata
    return ChatResult(
        generations=[ChatGeneration(message=message, generation_info={"finish_reason": said.get("finish_reason")})],
        llm_output={"model_name": said.get("model_name")},
    )


def _run_id(run: CallbackManagerForLLMRun | AsyncCallbackManagerForLLMRun | None) -> str | None:
    return None if run is None else str(run.run_id)


async def _generations(chunks: AsyncGenerator[AIMessageChunk]) -> AsyncGenerator[ChatGenerationChunk]:
    async with aclosing(chunks):
        async for chunk in chunks:
            yield ChatGenerationChunk(message=chunk)


async def _first(chunks: AsyncIterator[AIMessageChunk], opened: list[AsyncGenerator[Any]]) -> AIMessageChunk | None:
    """Return the first chunk, if there is one, and note the streams that are opened for it."""
    token = _opened.set(opened)
    try:
        return await anext(chunks, None)
    finally:
        _opened.reset(token)
