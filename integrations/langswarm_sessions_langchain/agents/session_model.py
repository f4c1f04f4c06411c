"""What is put into an agent's model slot for one call: the session's provider, or an answer that was recorded."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.callbacks.manager import BaseRunManager
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, SystemMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from pydantic import ConfigDict, Field
from typing_extensions import override

from langswarm_sessions.bridge import Bridge
from langswarm_sessions.errors import InvalidInputError
from langswarm_sessions.messages import SessionMessage
from langswarm_sessions.session import Session
from langswarm_sessions.turns import TurnInput, TurnStream
from langswarm_sessions_langchain.provider.profile import model_names
from langswarm_sessions_langchain.runnable.config import read_options
from langswarm_sessions_langchain.runnable.reading import answer_chunks, whole_answer
from langswarm_sessions_langchain.tracing import in_model_run

__all__ = ["SESSION_MODEL_TYPE", "RecordedAnswer", "SessionCall", "SessionSlot"]

_ASKED = frozenset({"tools", "tool_choice", "response_format", "idempotency_key", "timeout"})

SESSION_MODEL_TYPE = "langswarm-session"
"""What a session calls itself wherever it stands for a chat model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCall:
    """One model call of an agent, answered by the session's provider.

    Args:
        session: The session.
        inputs: What is new.
        key: The call's idempotency key.
        bridge: Carries blocking calls.
    """

    session: Session = field(repr=False)
    inputs: tuple[SessionMessage, ...] = field(repr=False)
    key: str
    bridge: Bridge = field(repr=False)

    def turn(
        self,
        messages: Sequence[BaseMessage],
        kwargs: dict[str, Any],
        *,
        stream: bool,
        run: BaseRunManager | None,
    ) -> TurnStream:
        """Return the turn that answers the call.

        Args:
            messages: What the agent gives its model; of these only the system messages they begin with are used, as
                instructions: the session knows the rest.
            kwargs: Tools, tool choice and response format.
            stream: Whether the answer is read in pieces.
            run: LangChain's run of the call.
        """
        _refuse_settings(kwargs, session_id=self.session.session_id)
        asked = read_options(kwargs, bound=False)
        told = [message.text for message in messages[: _first_said(messages)]]
        has_some = self.session.record.instructions is not None
        turn = TurnInput(
            messages=self.inputs,
            instructions="\n\n".join(told) if told else "" if has_some else None,
            options=asked.options,
            idempotency_key=self.key,
            timeout=asked.timeout,
            stream=stream,
            operation="stream" if stream else "send",
            resume_failed=bool(self.inputs),
        )
        with in_model_run(run, self.session.session_id):
            return self.session.run_turn(turn)

    async def answer(
        self, messages: Sequence[BaseMessage], kwargs: dict[str, Any], run: BaseRunManager | None
    ) -> AIMessage:
        """Return the whole answer."""
        return await whole_answer(self.turn(messages, kwargs, stream=False, run=run))

    def chunks(
        self, messages: Sequence[BaseMessage], kwargs: dict[str, Any], run: BaseRunManager | None
    ) -> AsyncGenerator[AIMessageChunk]:
        """Return the answer in chunks that sum up to it; closing the generator interrupts the turn."""
        return answer_chunks(self.turn(messages, kwargs, stream=True, run=run), run_id=None)


class _Slot(BaseChatModel):
    """A chat model for one call: it takes whatever an agent binds to it."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    cache: bool | None = Field(default=False, exclude=True)  # pyright: ignore[reportIncompatibleVariableOverride]

    @property
    def _llm_type(self) -> str:
        return SESSION_MODEL_TYPE

    @override
    def bind_tools(
        self, tools: Sequence[dict[str, Any] | type | Callable[..., Any] | Any], **kwargs: Any
    ) -> Runnable[LanguageModelInput, AIMessage]:
        return self.bind(tools=list(tools), **kwargs)


class SessionSlot(_Slot):
    """Answers with a session's provider."""

    call: SessionCall = Field(repr=False, exclude=True)

    @override
    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return _result(self.call.bridge.call(self.call.answer, messages, kwargs, run_manager))

    @override
    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return _result(await self.call.answer(messages, kwargs, run_manager))

    @override
    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        for chunk in self.call.bridge.iterate(lambda: self.call.chunks(messages, kwargs, run_manager)):
            yield ChatGenerationChunk(message=chunk)

    @override
    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        async with aclosing(self.call.chunks(messages, kwargs, run_manager)) as chunks:
            async for chunk in chunks:
                yield ChatGenerationChunk(message=chunk)


class RecordedAnswer(_Slot):
    """Gives an answer that was stored before: the agent reads from it what it would have read from the model's."""

    answer: AIMessage = Field(repr=False, exclude=True)
    model_name: str | None = None

    @classmethod
    def in_place_of(cls, model: BaseChatModel, answer: AIMessage) -> RecordedAnswer:
        """Return what gives the answer, with what an agent reads off the model that gave it: how it answers in a form.

        Args:
            model: The model that was asked.
            answer: Its answer.
        """
        name = next(iter(model_names(model)), None)
        return cls(answer=answer, profile=getattr(model, "profile", None), model_name=name)

    @override
    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return _result(self.answer)


def _refuse_settings(kwargs: Mapping[str, Any], *, session_id: str) -> None:
    """Refuse settings of the model, which are the session's: left out in silence they would seem to hold.

    Raises:
        InvalidInputError: There is one.
    """
    for name in kwargs.keys() - _ASKED:
        raise InvalidInputError(
            f"model_settings: {name!r} was set for a call that the session's provider answers; its settings are the "
            f"session's: SessionAgentMiddleware(provider_config={{{name!r}: ...}}) for new sessions, "
            "session.provider_session.update_provider_config for this one.",
            session_id=session_id,
        )


def _first_said(messages: Sequence[BaseMessage]) -> int:
    return next((at for at, message in enumerate(messages) if not isinstance(message, SystemMessage)), len(messages))


def _result(answer: AIMessage) -> ChatResult:
    return ChatResult(generations=[ChatGeneration(message=answer)])
