"""The event sequence of a streamed response, as the API sends it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from openai.types.responses import (
    Response,
    ResponseCompletedEvent,
    ResponseContentPartAddedEvent,
    ResponseContentPartDoneEvent,
    ResponseCreatedEvent,
    ResponseErrorEvent,
    ResponseFailedEvent,
    ResponseFunctionCallArgumentsDeltaEvent,
    ResponseFunctionCallArgumentsDoneEvent,
    ResponseFunctionToolCall,
    ResponseIncompleteEvent,
    ResponseInProgressEvent,
    ResponseOutputItem,
    ResponseOutputItemAddedEvent,
    ResponseOutputItemDoneEvent,
    ResponseOutputMessage,
    ResponseOutputRefusal,
    ResponseOutputText,
    ResponseReasoningItem,
    ResponseReasoningSummaryPartAddedEvent,
    ResponseReasoningSummaryPartDoneEvent,
    ResponseReasoningSummaryTextDeltaEvent,
    ResponseReasoningSummaryTextDoneEvent,
    ResponseRefusalDeltaEvent,
    ResponseRefusalDoneEvent,
    ResponseStreamEvent,
    ResponseTextDeltaEvent,
    ResponseTextDoneEvent,
)
from openai.types.responses.response_reasoning_summary_part_added_event import Part as AddedPart
from openai.types.responses.response_reasoning_summary_part_done_event import Part as DonePart

from tests.support.provider_server.replies import split_words

from .answers import in_progress
from .replies import Reply

_Events = Iterator[ResponseStreamEvent]
_ARGUMENT_PIECE = 12


class EventSequence:
    """Makes the events of one stream, numbered from 0.

    Args:
        response: The finished response to tell of.
        reply: The reply it was made from, which says how its text is cut.
    """

    def __init__(self, response: Response, reply: Reply) -> None:
        self._response = response
        self._reply = reply
        self._numbers = itertools.count()

    def events(self) -> _Events:
        """Yield every event but the terminal one."""
        started = in_progress(self._response)
        yield ResponseCreatedEvent(type="response.created", response=started, sequence_number=next(self._numbers))
        yield ResponseInProgressEvent(
            type="response.in_progress", response=started, sequence_number=next(self._numbers)
        )
        for index, item in enumerate(self._response.output):
            yield from self._item(item, index)

    def terminal(self) -> ResponseStreamEvent:
        """Return the event that ends a stream well."""
        if self._response.status == "incomplete":
            return ResponseIncompleteEvent(
                type="response.incomplete", response=self._response, sequence_number=next(self._numbers)
            )
        return ResponseCompletedEvent(
            type="response.completed", response=self._response, sequence_number=next(self._numbers)
        )

    def failed(self, response: Response) -> ResponseFailedEvent:
        """Return the terminal event of a response that failed."""
        return ResponseFailedEvent(type="response.failed", response=response, sequence_number=next(self._numbers))

    def error(self, *, code: str, message: str) -> ResponseErrorEvent:
        """Return an ``error`` event."""
        return ResponseErrorEvent(
            type="error", code=code, message=message, param=None, sequence_number=next(self._numbers)
        )

    def _item(self, item: ResponseOutputItem, index: int) -> _Events:
        yield ResponseOutputItemAddedEvent(
            type="response.output_item.added",
            item=_unfilled(item),
            output_index=index,
            sequence_number=next(self._numbers),
        )
        if isinstance(item, ResponseReasoningItem):
            yield from self._summary(item, index)
        elif isinstance(item, ResponseOutputMessage):
            yield from self._message(item, index)
        elif isinstance(item, ResponseFunctionToolCall):
            yield from self._arguments(item, index)
        yield ResponseOutputItemDoneEvent(
            type="response.output_item.done", item=item, output_index=index, sequence_number=next(self._numbers)
        )

    def _summary(self, item: ResponseReasoningItem, index: int) -> _Events:
        for position, part in enumerate(item.summary):
            yield ResponseReasoningSummaryPartAddedEvent(
                type="response.reasoning_summary_part.added",
                item_id=item.id,
                output_index=index,
                summary_index=position,
                part=AddedPart(type="summary_text", text=""),
                sequence_number=next(self._numbers),
            )
            for delta in split_words(part.text):
                yield ResponseReasoningSummaryTextDeltaEvent(
                    type="response.reasoning_summary_text.delta",
                    item_id=item.id,
                    output_index=index,
                    summary_index=position,
                    delta=delta,
                    sequence_number=next(self._numbers),
                )
            yield ResponseReasoningSummaryTextDoneEvent(
                type="response.reasoning_summary_text.done",
                item_id=item.id,
                output_index=index,
                summary_index=position,
                text=part.text,
                sequence_number=next(self._numbers),
            )
            yield ResponseReasoningSummaryPartDoneEvent(
                type="response.reasoning_summary_part.done",
                item_id=item.id,
                output_index=index,
                summary_index=position,
                part=DonePart(type="summary_text", text=part.text),
                sequence_number=next(self._numbers),
            )

    def _message(self, item: ResponseOutputMessage, index: int) -> _Events:
        for position, part in enumerate(item.content):
            is_text = isinstance(part, ResponseOutputText)
            blank = part.model_copy(update={"text": ""} if is_text else {"refusal": ""})
            yield ResponseContentPartAddedEvent(
                type="response.content_part.added",
                item_id=item.id,
                output_index=index,
                content_index=position,
                part=blank,
                sequence_number=next(self._numbers),
            )
            if isinstance(part, ResponseOutputText):
                yield from self._text(part, item.id, index=index, position=position)
            else:
                yield from self._refusal(part, item.id, index=index, position=position)
            yield ResponseContentPartDoneEvent(
                type="response.content_part.done",
                item_id=item.id,
                output_index=index,
                content_index=position,
                part=part,
                sequence_number=next(self._numbers),
            )

    def _text(self, part: ResponseOutputText, item_id: str, *, index: int, position: int) -> _Events:
        for delta in self._reply.text_deltas:
            yield ResponseTextDeltaEvent(
                type="response.output_text.delta",
                item_id=item_id,
                output_index=index,
                content_index=position,
                delta=delta,
                logprobs=[],
                sequence_number=next(self._numbers),
            )
        yield ResponseTextDoneEvent(
            type="response.output_text.done",
            item_id=item_id,
            output_index=index,
            content_index=position,
            text=part.text,
            logprobs=[],
            sequence_number=next(self._numbers),
        )

    def _refusal(self, part: ResponseOutputRefusal, item_id: str, *, index: int, position: int) -> _Events:
        for delta in split_words(part.refusal):
            yield ResponseRefusalDeltaEvent(
                type="response.refusal.delta",
                item_id=item_id,
                output_index=index,
                content_index=position,
                delta=delta,
                sequence_number=next(self._numbers),
            )
        yield ResponseRefusalDoneEvent(
            type="response.refusal.done",
            item_id=item_id,
            output_index=index,
            content_index=position,
            refusal=part.refusal,
            sequence_number=next(self._numbers),
        )

    def _arguments(self, call: ResponseFunctionToolCall, index: int) -> _Events:
        item_id = call.id or ""
        for start in range(0, len(call.arguments), _ARGUMENT_PIECE):
            yield ResponseFunctionCallArgumentsDeltaEvent(
                type="response.function_call_arguments.delta",
                item_id=item_id,
                output_index=index,
                delta=call.arguments[start : start + _ARGUMENT_PIECE],
                sequence_number=next(self._numbers),
            )
        yield ResponseFunctionCallArgumentsDoneEvent(
            type="response.function_call_arguments.done",
            item_id=item_id,
            output_index=index,
            arguments=call.arguments,
            sequence_number=next(self._numbers),
        )


def _unfilled(item: ResponseOutputItem) -> ResponseOutputItem:
    """Return an item as it is announced: with its ids, without its content."""
    if isinstance(item, ResponseOutputMessage):
        return item.model_copy(update={"status": "in_progress", "content": []})
    if isinstance(item, ResponseFunctionToolCall):
        return item.model_copy(update={"status": "in_progress", "arguments": ""})
    if isinstance(item, ResponseReasoningItem):
        return item.model_copy(update={"summary": []})
    return item
