"""A LangChain chat model of ours as the counterparty of tests.

It records what it is given, refuses what some model behind LangChain would, answers from a script, and fails as told.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx2
import openai
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import Field, PrivateAttr

Reply = str | AIMessage | Sequence[AIMessageChunk]

_CALL_ID = re.compile(r"[A-Za-z0-9_-]{1,40}")
_CALL_BLOCKS = {"tool_use", "tool_call", "function_call"}
_REQUEST = httpx2.Request("POST", "http://127.0.0.1/v1/chat")


def api_error(status: int, *, code: str = "", headers: dict[str, str] | None = None, text: str = "") -> Exception:
    """Return what OpenAI's SDK raises for a status; its text quotes the conversation, as servers do."""
    kinds: dict[int, type[openai.APIStatusError]] = {
        400: openai.BadRequestError,
        401: openai.AuthenticationError,
        403: openai.PermissionDeniedError,
        404: openai.NotFoundError,
        409: openai.ConflictError,
        422: openai.UnprocessableEntityError,
        429: openai.RateLimitError,
    }
    kind = kinds.get(status, openai.InternalServerError)
    response = httpx2.Response(status, headers=headers, request=_REQUEST)
    body = {"message": text or "refused: canary-7f3a sk-secret", "code": code or None}
    return kind(body["message"] or "", response=response, body=body)


@dataclass(frozen=True, slots=True)
class Asked:
    """One call of the model.

    Args:
        messages: What it was given.
        kwargs: The call's keyword arguments.
        settings: The settings it was called with.
    """

    messages: list[BaseMessage]
    kwargs: dict[str, Any]
    settings: dict[str, Any]

    @property
    def user_texts(self) -> list[str]:
        return [str(message.text) for message in self.messages if isinstance(message, HumanMessage)]

    @property
    def instructions(self) -> str | None:
        return next((str(message.text) for message in self.messages if isinstance(message, SystemMessage)), None)

    @property
    def tool_names(self) -> list[str]:
        return [tool["function"]["name"] for tool in self.kwargs.get("tools", [])]

    @property
    def answers(self) -> list[AIMessage]:
        return [message for message in self.messages if isinstance(message, AIMessage)]


@dataclass(slots=True)
class Fault:
    """What goes wrong with a call: an error at once or after some words, or an end that is none."""

    error: Exception | None = None
    after: int = 0


@dataclass(slots=True)
class Counterparty:
    """What pulls the strings of one model and all copies of it."""

    script: list[Reply] = field(default_factory=list[Reply])
    faults: list[Fault] = field(default_factory=list[Fault])
    calls: list[Asked] = field(default_factory=list[Asked])
    closed: int = 0
    before_chunk: Callable[[], Any] | None = None

    def say(self, *replies: Reply) -> None:
        self.script += replies

    def fail(self, error: Exception | None = None, *, after: int = 0) -> None:
        self.faults.append(Fault(error, after))

    @property
    def last(self) -> Asked:
        return self.calls[-1]

    def reply(self) -> Reply:
        return self.script.pop(0) if self.script else "A whole answer, in several words."


def judge(messages: Sequence[BaseMessage]) -> None:
    """Refuse what some provider behind LangChain refuses: order of roles, pairing, ids, empty content."""
    waiting: list[str] = []
    seen: set[str] = set()
    for place, message in enumerate(messages):
        if isinstance(message, ToolMessage):
            if message.tool_call_id not in waiting:
                raise _refusal(f"messages[{place}] answers no open call")
            waiting.remove(message.tool_call_id)
            continue
        if waiting:
            raise _refusal(f"messages[{place}]: calls have no result")
        if isinstance(message, AIMessage):
            waiting = [str(call["id"]) for call in message.tool_calls]
            _judge_answer(message, waiting, seen, place)
        elif isinstance(message, SystemMessage) and place:
            raise _refusal(f"messages[{place}]: a system message is the first one")
        elif not message.content:
            raise _refusal(f"messages[{place}] is empty")
    if waiting or not isinstance(messages[-1], HumanMessage | ToolMessage):
        raise _refusal("the last message asks nothing")


def _judge_answer(message: AIMessage, ids: list[str], seen: set[str], place: int) -> None:
    if message.invalid_tool_calls or not (message.content or ids):
        raise _refusal(f"messages[{place}] says nothing that can be sent")
    if any(not _CALL_ID.fullmatch(id_) or id_ in seen for id_ in ids) or len({*ids}) < len(ids):
        raise _refusal(f"messages[{place}]: an id of a call is malformed or not unique")
    blocks = [block for block in message.content if isinstance(block, dict)]
    named = [block.get("call_id", block.get("id")) for block in blocks if block.get("type") in _CALL_BLOCKS]
    if not {*named} <= {*ids}:
        raise _refusal(f"messages[{place}]: a block of a call stands under another id")
    if "id" in message.response_metadata:
        raise _refusal(f"messages[{place}] names an answer of the server")
    seen.update(ids)


def _refusal(why: str) -> Exception:
    return api_error(400, text=why)


class JudgedChat(BaseChatModel):
    """The model. Copies of it, which sessions with settings ask, share one counterparty."""

    model_name: str = Field(default="judged-1", alias="model")
    temperature: float | None = None
    max_tokens: int | None = Field(default=None, alias="max_output_tokens")
    random_seed: int | None = None
    max_retries: int = 2
    streams: bool = True
    names_provider: bool = True
    _party: Counterparty = PrivateAttr(default_factory=Counterparty)

    @property
    def party(self) -> Counterparty:
        return self._party

    @property
    def _llm_type(self) -> str:
        return "judged"

    def bind_tools(
        self,
        tools: Sequence[Any],
        *,
        tool_choice: Any = None,
        parallel_tool_calls: bool | None = None,
        response_format: Any = None,
        **kwargs: Any,
    ) -> Runnable[Any, AIMessage]:
        named = {"tool_choice": tool_choice, "parallel_tool_calls": parallel_tool_calls}
        given = {name: value for name, value in named.items() if value is not None}
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **given, **kwargs)

    def _streaming_disabled(self, **kwargs: Any) -> bool:
        return not self.streams

    def _accept(self, messages: list[BaseMessage], stop: list[str] | None, kwargs: dict[str, Any]) -> Fault | None:
        shown = ("model_name", "temperature", "max_tokens", "random_seed", "max_retries")
        settings = {name: getattr(self, name) for name in shown}
        given = {**kwargs, **({"stop": stop} if stop is not None else {})}
        self._party.calls.append(Asked(list(messages), given, settings))
        judge(messages)
        fault = self._party.faults.pop(0) if self._party.faults else None
        if fault is not None and not fault.after and fault.error is not None:
            raise fault.error
        return fault

    def _generate(
        self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        self._accept(messages, stop, kwargs)
        reply = self._party.reply()
        answer = reply if isinstance(reply, AIMessage) else AIMessage(str(reply))
        said = {"model_name": self.model_name, "finish_reason": "stop", **answer.response_metadata}
        answer = answer.model_copy(update={"response_metadata": said, "usage_metadata": self._usage(messages, 3)})
        return ChatResult(generations=[ChatGeneration(message=answer)])

    async def _astream(
        self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        fault = self._accept(messages, stop, kwargs)
        made = 0
        try:
            for chunk in self._chunks(messages, self._party.reply()):
                if self._party.before_chunk is not None:
                    await self._party.before_chunk()
                if fault is not None and made == fault.after:
                    if fault.error is not None:
                        raise fault.error
                    return
                made += 1
                yield ChatGenerationChunk(message=chunk)
        finally:
            self._party.closed += 1

    def _chunks(self, messages: Sequence[BaseMessage], reply: Reply) -> Iterator[AIMessageChunk]:
        about = {"model_provider": "judged"} if self.names_provider else {}
        if not isinstance(reply, str | AIMessage):
            yield from reply
            return
        made = 0
        answer = AIMessage(reply) if isinstance(reply, str) else reply
        for piece in _pieces(answer):
            made += 1
            yield piece.model_copy(update={"response_metadata": dict(about)})
        reason = "tool_calls" if answer.tool_calls else "stop"
        ending = {"finish_reason": reason, "model_name": f"{self.model_name}-0613", "id": "chatcmpl-77", **about}
        yield AIMessageChunk(
            content="",
            id=answer.id,
            additional_kwargs=answer.additional_kwargs,
            response_metadata={**ending, **answer.response_metadata},
            usage_metadata=self._usage(messages, made),
        )

    def _usage(self, messages: Sequence[BaseMessage], made: int) -> UsageMetadata:
        sent = sum(len(str(message.text).split()) for message in messages) + 1
        return UsageMetadata(
            input_tokens=sent,
            output_tokens=made,
            total_tokens=sent + made,
            input_token_details={"cache_read": 1},
            output_token_details={"reasoning": 2},
        )


def _pieces(answer: AIMessage) -> Iterator[AIMessageChunk]:
    """Yield an answer word by word, its calls in two pieces each."""
    if isinstance(answer.content, str):
        words = re.findall(r"\S+\s*", answer.content)
        yield from (AIMessageChunk(content=word) for word in words)
    else:
        for place, block in enumerate(answer.content):
            indexed = block if isinstance(block, str) else {**block, "index": place}
            yield AIMessageChunk(content=[indexed])
    for place, call in enumerate(answer.tool_calls):
        arguments = json.dumps(call["args"])
        middle = len(arguments) // 2
        first = tool_call_chunk(name=call["name"], args=arguments[:middle], id=call["id"], index=place)
        rest = tool_call_chunk(name=None, args=arguments[middle:], id=None, index=place)
        yield AIMessageChunk(content="", tool_call_chunks=[first])
        yield AIMessageChunk(content="", tool_call_chunks=[rest])
