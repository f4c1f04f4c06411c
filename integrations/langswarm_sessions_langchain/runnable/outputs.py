"""Answers on their way out: what a wrapped Runnable returned, and what a SessionRunnable returns. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    BaseMessageChunk,
    ToolMessage,
    message_chunk_to_message,
)
from langchain_core.messages.ai import add_ai_message_chunks

from langswarm_sessions.errors import ConfigurationError
from langswarm_sessions.interfaces import Completed
from langswarm_sessions.messages import SessionMessage
from langswarm_sessions.records import Usage
from langswarm_sessions_langchain.messages import from_langchain, restored_langchain, to_langchain, usage_of
from langswarm_sessions_langchain.runnable.billed import billed_call
from langswarm_sessions_langchain.runnable.inputs import pick

__all__ = ["add_output", "answer_message", "completed_of", "last_chunk", "new_messages", "text_of_chunk"]


def add_output(total: Any, chunk: Any) -> Any:
    """Add a chunk of a Runnable's output to what came before, as LangChain does: by `+`, else the newest counts."""
    if total is None or (isinstance(chunk, BaseMessage) and not isinstance(chunk, BaseMessageChunk)):
        return chunk
    try:
        return total + chunk
    except TypeError:
        return chunk


def text_of_chunk(chunk: Any, output_key: str | None) -> str:
    """Return the piece of the answer's text that a chunk of a Runnable's output adds; "" for other chunks."""
    if isinstance(chunk, Mapping):
        entries = cast("Mapping[str, Any]", chunk)
        key = output_key or (next(iter(entries)) if len(entries) == 1 else "output")
        chunk = entries.get(key)
    if isinstance(chunk, str):
        return chunk
    is_answer = isinstance(chunk, BaseMessageChunk | AIMessage)
    return str(chunk.text) if is_answer else ""


def new_messages(output: Any, given: Sequence[BaseMessage], *, output_key: str | None) -> list[BaseMessage]:
    """Return what a Runnable said in a turn, in order; what it was given and returned with it left out.

    Args:
        output: Text, a message, messages, or a dict that holds one of these (a graph's state, for example).
        given: The messages it was given.
        output_key: Where in a dict.

    Raises:
        InvalidInputError: The dict has no such entry.
        ConfigurationError: It is none of these, or it says nothing new.
    """
    if isinstance(output, Mapping):
        entries = cast("Mapping[str, Any]", output)
        output = pick(entries, output_key, default="output", argument="output_messages_key")
    if isinstance(output, str):
        return [AIMessage(output)]
    if isinstance(output, BaseMessage):
        return [message_chunk_to_message(output)]
    messages = cast("Sequence[object]", output) if isinstance(output, Sequence) else ()
    said = [message_chunk_to_message(message) for message in messages if isinstance(message, BaseMessage)]
    if len(said) < len(messages) or not isinstance(output, Sequence):
        kind = type(cast("object", output)).__name__
        raise ConfigurationError(
            f"bound: the Runnable returned {kind}; it must return a str, a message, a list of "
            "messages, or a dict that has one of these under output_messages_key."
        )
    fresh = _without_given(said, given)
    if not fresh:
        raise ConfigurationError("bound: the Runnable returned no new message; it must add an answer to its input.")
    return fresh


def completed_of(messages: Sequence[BaseMessage], *, model: str, models: Sequence[BaseChatModel] = ()) -> Completed:
    """Return a Runnable's messages as the end of a turn: the last one is the answer.

    Args:
        messages: What it said.
        model: What the model is called if no answer says it.
        models: The chat models it is made of.
    """
    answer = _as_answer(messages[-1])
    earlier = messages[:-1] if answer is messages[-1] or not isinstance(messages[-1], ToolMessage) else messages
    said = from_langchain(answer)
    known = said.provider_metadata
    spent = [message for message in (*earlier, answer) if isinstance(message, AIMessage)]
    called = known.get("model") or model
    return Completed(
        parts=tuple(said.parts),
        model=called,
        usage=sum((usage_of(message) for message in spent), Usage()),
        finish_reason=known.get("finish_reason"),
        provider_message_id=answer.id,
        payload=said.provider_payload,
        earlier=tuple(from_langchain(message) for message in earlier),
        calls=tuple(billed_call(message, models, model=called) for message in spent),
        raw=answer,
    )


def answer_message(message: SessionMessage, completed: Completed | None) -> AIMessage:
    """Return a turn's stored answer as LangChain's, with the ids of session and turn in `response_metadata`.

    Args:
        message: The stored answer.
        completed: What the provider said. A wrapped Runnable's own object is given out, if nobody edited it since.
    """
    restored = restored_langchain(message)
    live = completed.raw if completed is not None and restored is not None else None
    answer = live if isinstance(live, AIMessage) else _as_answer(restored or to_langchain(message))
    named = {"session_id": message.session_id, "turn_id": message.turn_id}
    return answer.model_copy(
        update={
            "id": answer.id or message.message_id,
            "response_metadata": {**answer.response_metadata, **{name: id_ for name, id_ in named.items() if id_}},
        }
    )


def last_chunk(answer: AIMessage, streamed: Sequence[AIMessageChunk]) -> AIMessageChunk:
    """Return the chunk that makes the sum of a stream equal to the whole answer.

    Args:
        answer: The whole answer.
        streamed: The chunks given out so far.
    """
    before = add_ai_message_chunks(*streamed) if streamed else AIMessageChunk(content="")
    calls_known = bool(before.tool_call_chunks)
    return AIMessageChunk(
        content=_rest_of(answer.content, before),
        id=answer.id,
        additional_kwargs=_missing(answer.additional_kwargs, before.additional_kwargs),
        response_metadata=_missing(answer.response_metadata, before.response_metadata),
        usage_metadata=answer.usage_metadata if before.usage_metadata is None else None,
        tool_calls=[] if calls_known else answer.tool_calls,
        invalid_tool_calls=[] if calls_known else answer.invalid_tool_calls,
        chunk_position="last",
    )


def _rest_of(content: str | list[str | dict[Any, Any]], before: AIMessageChunk) -> str | list[str | dict[Any, Any]]:
    if not before.content:
        return content
    if isinstance(content, str):
        said = str(before.text)
        return content[len(said) :] if content.startswith(said) else ""
    if isinstance(before.content, str) and content and content[0] == before.content:
        return content[1:]
    return ""


def _missing(wanted: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in wanted.items() if name not in known}


def _without_given(said: list[BaseMessage], given: Sequence[BaseMessage]) -> list[BaseMessage]:
    """Leave out what was only passed through: known by its id, or as the same beginning when ids were dropped."""
    known = {message.id for message in given if message.id is not None}
    repeated = 0
    for message, before in zip(said, given, strict=False):
        if message.id not in known and (message.type, message.content) != (before.type, before.content):
            break
        repeated += 1
    if repeated < len(given):
        repeated = 0
    return [message for message in said[repeated:] if message.id is None or message.id not in known]


def _as_answer(message: BaseMessage) -> AIMessage:
    if isinstance(message, AIMessage):
        return message
    return AIMessage(
        message.content,
        id=None if isinstance(message, ToolMessage) else message.id,
        name=message.name,
        additional_kwargs=message.additional_kwargs,
        response_metadata=message.response_metadata,
    )
