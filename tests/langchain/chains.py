"""Chains and models that the LangChain tests share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from importlib import import_module
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, BaseMessageChunk, message_chunk_to_message
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import RunnableConfig
from pydantic import PrivateAttr

from langswarm_sessions import Page, SessionManager, SessionMessage
from langswarm_sessions.records import MessageFilter


def on(session_id: str, **configurable: Any) -> RunnableConfig:
    """Return the config that names a session."""
    return {"configurable": {"session_id": session_id, **configurable}}


async def stored(manager: SessionManager, session_id: str, *, for_model: bool = False) -> Page[SessionMessage]:
    """Return what is stored of a session."""
    session = await manager.get_session(session_id)
    return await session.list_messages(MessageFilter(for_model=for_model))


async def told(manager: SessionManager, session_id: str) -> list[tuple[str, str, str]]:
    """Return role, text and status of every message of a session."""
    return [(str(m.role), m.content, str(m.status)) for m in await stored(manager, session_id)]


def summed(chunks: Sequence[BaseMessage]) -> BaseMessage:
    """Return the message that the chunks of a stream are the chunks of."""
    total: BaseMessage | None = None
    for chunk in chunks:
        assert isinstance(chunk, BaseMessageChunk)
        total = chunk if not isinstance(total, BaseMessageChunk) else total + chunk
    assert total is not None
    return message_chunk_to_message(total)


def agent_of(*arguments: Any, **keywords: Any) -> Any:
    """Return LangChain's own agent, whose type is too wide to be told."""
    agents: Any = import_module("langchain.agents")
    return agents.create_agent(*arguments, **keywords)


class Unavailable(Exception):
    """What a failing model raises."""


class Scripted(BaseChatModel):
    """A chat model that records what it is given, answers from a script, and fails where that says an error."""

    script: list[Any] = []
    tools: list[Any] = []
    _asked: list[list[BaseMessage]] = PrivateAttr(default_factory=list[list[BaseMessage]])
    _kwargs: list[dict[str, Any]] = PrivateAttr(default_factory=list[dict[str, Any]])

    @property
    def _llm_type(self) -> str:
        return "scripted"

    @property
    def asked(self) -> list[list[BaseMessage]]:
        """What the model was given, call by call."""
        return self._asked

    @property
    def kwargs(self) -> list[dict[str, Any]]:
        """The keyword arguments of each call."""
        return self._kwargs

    def _next(self, messages: list[BaseMessage], kwargs: dict[str, Any]) -> AIMessage:
        self._asked.append(list(messages))
        self._kwargs.append(kwargs)
        reply = (
            self.script[min(len(self._asked), len(self.script)) - 1] if self.script else f"answer {len(self._asked)}"
        )
        if isinstance(reply, BaseException):
            raise reply
        return (
            reply if isinstance(reply, AIMessage) else AIMessage(reply, response_metadata={"model_name": "scripted-1"})
        )

    def _generate(
        self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self._next(messages, kwargs))])

    def _stream(
        self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        reply = self._next(messages, kwargs)
        for word in str(reply.text).split(" "):
            yield ChatGenerationChunk(message=AIMessageChunk(content=word + " "))

    async def _astream(
        self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in self._stream(messages, stop, run_manager, **kwargs):
            yield chunk


class Runs(BaseCallbackHandler):
    """Records the runs that a tracer sees."""

    def __init__(self) -> None:
        self.started: list[tuple[str, Any, Any]] = []
        self.metadata: dict[str, dict[str, Any]] = {}
        self.ended: list[Any] = []
        self.failed: list[BaseException] = []

    def on_chain_start(
        self, serialized: Any, inputs: Any, *, run_id: Any, parent_run_id: Any = None, **kwargs: Any
    ) -> None:
        self.started.append((kwargs.get("name") or "", run_id, parent_run_id))
        self.metadata[kwargs.get("name") or ""] = kwargs.get("metadata") or {}

    def on_chat_model_start(
        self, serialized: Any, messages: Any, *, run_id: Any, parent_run_id: Any = None, **kwargs: Any
    ) -> None:
        name: Any = serialized["name"]
        self.on_chain_start(
            serialized, messages, run_id=run_id, parent_run_id=parent_run_id, **{**kwargs, "name": name}
        )

    def on_chain_end(self, outputs: Any, **kwargs: Any) -> None:
        self.ended.append(outputs)

    def on_chain_error(self, error: BaseException, **kwargs: Any) -> None:
        self.failed.append(error)
