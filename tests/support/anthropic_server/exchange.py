"""The answer to one ``POST /v1/messages``."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel

from tests.support.provider_server.exchange import Answer
from tests.support.provider_server.faults import ErrorEventFault, Kept
from tests.support.provider_server.json_types import encode, string
from tests.support.provider_server.wire import Event

from .answers import as_json, events, terminal
from .api_errors import error_body
from .messages_api import MadeMessage, MessagesApi


class MessageAnswer(Answer):
    """A message that is about to be streamed.

    Args:
        api: The state.
        made: The message as it ends.
    """

    half_event = Event(b'{"type":"content_block_delta","delta":{"type":"text_de', "content_block_delta")

    def __init__(self, api: MessagesApi, made: MadeMessage) -> None:
        self.answer_id = made.message.id
        self.gate = made.reply.gate
        self._api = api
        self._made = made

    def events(self) -> Iterator[Event]:
        """Yield the events of the stream but the terminal one."""
        for sent, event in enumerate(events(self._made.message, self._made.reply)):
            yield _event(event)
            if sent == 0:
                yield Event(b'{"type": "ping"}', "ping", is_ping=True)

    def closing(self) -> Iterator[Event]:
        """Yield the terminal event."""
        yield _event(terminal())

    def keep(self, kept: Kept) -> None:
        """Let the message end."""
        self._api.finish(self._made, kept)

    def error_event(self, fault: ErrorEventFault) -> Event:
        """Lose the message, and return the event that says so."""
        self.keep("nothing")
        return Event(encode(error_body(fault.message, kind=fault.code)), "error")


def _event(event: BaseModel) -> Event:
    data = as_json(event)
    name = string(data, "type")
    return Event(encode(data), name, is_text=name == "content_block_delta")
