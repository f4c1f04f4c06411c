"""The chunks of a streamed chat completion, as the API sends them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Literal

from openai.types.chat import ChatCompletionChunk
from openai.types.chat.chat_completion_chunk import (
    Choice,
    ChoiceDelta,
    ChoiceDeltaToolCall,
    ChoiceDeltaToolCallFunction,
)

from tests.support.provider_server.ids import IdSource
from tests.support.provider_server.replies import split_words

from .chat_api import ChatManners, MadeCompletion
from .replies import Reply

_ARGUMENT_PIECE = 12
_Finish = Literal["stop", "length", "tool_calls", "content_filter"]


def chat_chunks(answer: MadeCompletion, *, manners: ChatManners, ids: IdSource) -> Iterator[ChatCompletionChunk]:
    """Yield every chunk of an answer; the one with the finish reason, and the usage after it, come last.

    Args:
        answer: What to stream.
        manners: How the server speaks.
        ids: Where ids of tool calls come from.
    """
    for delta in _deltas(answer.reply, manners=manners, ids=ids):
        yield _chunk(answer, delta)
    yield _chunk(answer, ChoiceDelta(), finish=_finish_reason(answer.reply))
    if answer.usage is not None:
        yield _chunk(answer, None)


def _chunk(answer: MadeCompletion, delta: ChoiceDelta | None, finish: _Finish | None = None) -> ChatCompletionChunk:
    return ChatCompletionChunk(
        id=answer.view.response_id,
        choices=[] if delta is None else [Choice(index=0, delta=delta, finish_reason=finish)],
        created=int(time.time()),
        model=answer.view.model,
        object="chat.completion.chunk",
        usage=answer.usage if delta is None else None,
    )


def _deltas(reply: Reply, *, manners: ChatManners, ids: IdSource) -> Iterator[ChoiceDelta]:
    yield ChoiceDelta(role="assistant", content="")
    if manners.reasoning_field is not None:
        for piece in split_words(reply.reasoning or ""):
            yield ChoiceDelta.model_validate({manners.reasoning_field: piece})
    for piece in split_words(reply.refusal or ""):
        yield ChoiceDelta(refusal=piece)
    if reply.refusal is None:
        for piece in reply.text_deltas:
            yield ChoiceDelta(content=piece)
    for number, call in enumerate(reply.tool_calls):
        index = number if manners.numbers_calls else 0
        call_id = (call.call_id or ids.issue("call")) if manners.names_call_ids else None
        named = ChoiceDeltaToolCallFunction(name=call.name, arguments="")
        yield ChoiceDelta(
            tool_calls=[ChoiceDeltaToolCall(index=index, id=call_id, type="function", function=named)],
        )
        text = call.arguments_text
        for start in range(0, len(text), _ARGUMENT_PIECE):
            more = ChoiceDeltaToolCallFunction(arguments=text[start : start + _ARGUMENT_PIECE])
            yield ChoiceDelta(tool_calls=[ChoiceDeltaToolCall(index=index, function=more)])


def _finish_reason(reply: Reply) -> _Finish:
    if reply.incomplete is not None:
        return "length" if reply.incomplete == "max_output_tokens" else "content_filter"
    return "tool_calls" if reply.tool_calls else "stop"
