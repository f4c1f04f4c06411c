"""The events of a streamed answer, built with the SDK's own models."""

from __future__ import annotations

from collections.abc import Iterator

from mistralai.client import models
from pydantic import BaseModel

from tests.support.provider_server.json_types import JsonObject, encode, string
from tests.support.provider_server.replies import split_words
from tests.support.provider_server.wire import Event

from .api import MadeAnswer, as_json
from .context import count_tokens, text_of, tokens_of

_ARGUMENT_PIECE = 12


def conversation_events(answer: MadeAnswer) -> Iterator[Event]:
    """Return the events of a conversation's answer, the terminal one last."""
    assert answer.conversation is not None
    yield _named(models.ResponseStartedEvent(conversation_id=answer.conversation.id))
    for index, entry in enumerate(answer.entries):
        yield from _entry_events(answer, entry, index)
    sent, made = _tokens(answer)
    usage = models.ConversationUsageInfo(prompt_tokens=sent, completion_tokens=made, total_tokens=sent + made)
    yield _named(models.ResponseDoneEvent(usage=usage))


def _entry_events(answer: MadeAnswer, entry: JsonObject, index: int) -> Iterator[Event]:
    entry_id = string(entry, "id")
    match string(entry, "type"):
        case "tool.execution":
            name, arguments = string(entry, "name"), string(entry, "arguments")
            yield _named(
                models.ToolExecutionStartedEvent(id=entry_id, name=name, arguments=arguments, output_index=index)
            )
            yield _named(models.ToolExecutionDoneEvent(id=entry_id, name=name, info={"n": 2}, output_index=index))
        case "function.call":
            for piece in _pieces(string(entry, "arguments")):
                yield _named(
                    models.FunctionCallEvent(
                        id=entry_id,
                        name=string(entry, "name"),
                        tool_call_id=string(entry, "tool_call_id"),
                        arguments=piece,
                        output_index=index,
                    )
                )
        case _:
            for content in _deltas(answer):
                event = models.MessageOutputEvent(
                    id=entry_id, content=content, output_index=index, model=answer.view.model
                )
                yield _named(event, is_text=isinstance(content, str))


def chat_events(answer: MadeAnswer, completion_id: str) -> Iterator[Event]:
    """Return the chunks of a chat completion, the one with the finish reason last."""
    for content in _deltas(answer):
        chunks: list[models.ContentChunk] = [] if isinstance(content, str) else [content]
        delta = models.DeltaMessage(role="assistant", content=content if isinstance(content, str) else chunks)
        yield _chunk(answer, completion_id, delta, is_text=isinstance(content, str))
    calls = [
        models.ToolCall(
            id=string(entry, "tool_call_id"),
            index=index,
            function=models.FunctionCall(name=string(entry, "name"), arguments=string(entry, "arguments")),
        )
        for index, entry in enumerate(entry for entry in answer.entries if entry["type"] == "function.call")
    ]
    finish = answer.reply.finish or ("tool_calls" if calls else "stop")
    last = models.DeltaMessage(content="", tool_calls=calls or None)
    yield _chunk(answer, completion_id, last, finish=finish)


def chat_error(answer: MadeAnswer, completion_id: str) -> Event:
    """Return the chunk that says that the model failed."""
    return _chunk(answer, completion_id, models.DeltaMessage(content=""), finish="error")


def conversation_error(code: int, message: str) -> Event:
    """Return the event that says that the answer failed."""
    return _named(models.ResponseErrorEvent(code=code, message=message))


def _deltas(answer: MadeAnswer) -> Iterator[str | models.ThinkChunk]:
    reply = answer.reply
    thoughts = split_words(reply.thinking or "")
    for index, thought in enumerate(thoughts):
        signature = f"sig-{reply.thinking}" if index == len(thoughts) - 1 else None
        yield models.ThinkChunk(thinking=[models.TextChunk(text=thought)], signature=signature)
    yield from reply.text_deltas


def _pieces(text: str) -> list[str]:
    return [text[at : at + _ARGUMENT_PIECE] for at in range(0, len(text), _ARGUMENT_PIECE)] or [""]


def _chunk(
    answer: MadeAnswer,
    completion_id: str,
    delta: models.DeltaMessage,
    *,
    finish: str | None = None,
    is_text: bool = False,
) -> Event:
    choice = models.CompletionResponseStreamChoice.model_validate({"index": 0, "delta": delta, "finish_reason": finish})
    sent, made = _tokens(answer)
    usage = models.UsageInfo(prompt_tokens=sent, completion_tokens=made, total_tokens=sent + made)
    chunk = models.CompletionChunk(
        id=completion_id, model=answer.view.model, choices=[choice], usage=usage if finish else None
    )
    return Event(encode(as_json(chunk)), is_text=is_text)


def _named(event: BaseModel, *, is_text: bool = False) -> Event:
    data = as_json(event)
    return Event(encode(data), string(data, "type"), is_text=is_text)


def _tokens(answer: MadeAnswer) -> tuple[int, int]:
    made = count_tokens(answer.reply.thinking or "") + sum(count_tokens(text_of(entry)) for entry in answer.entries)
    return tokens_of(answer.view), made
