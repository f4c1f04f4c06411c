"""The answer to one ``POST /v1/chat/completions``."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.provider_server.exchange import Answer
from tests.support.provider_server.faults import ErrorEventFault
from tests.support.provider_server.json_types import encode
from tests.support.provider_server.wire import Event

from .answers import as_json
from .api_errors import error_body
from .chat_api import ChatApi, MadeCompletion
from .chat_events import chat_chunks


class ChatAnswer(Answer):
    """A completion that is about to be streamed; nothing of it is kept.

    Args:
        api: What answers.
        made: What it says.
    """

    half_event = Event(b'{"choices":[{"delta":{"content":"half a wo')

    def __init__(self, api: ChatApi, made: MadeCompletion) -> None:
        self.answer_id = made.view.response_id
        self.gate = made.reply.gate
        self._api = api
        self._made = made

    def events(self) -> Iterator[Event]:
        """Yield the chunks."""
        for chunk in chat_chunks(self._made, manners=self._api.manners, ids=self._api.ids):
            is_text = bool(chunk.choices and chunk.choices[0].delta.content)
            yield Event(encode(as_json(chunk)), is_text=is_text)

    def closing(self) -> Iterator[Event]:
        """Yield the mark that they are all."""
        yield Event(b"[DONE]")

    def error_event(self, fault: ErrorEventFault) -> Event:
        """Return the chunk that says that the model failed."""
        return Event(encode(error_body(fault.message, error_type="server_error", code=fault.code)))
