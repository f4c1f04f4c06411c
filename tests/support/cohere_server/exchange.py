"""The answer to one ``POST /v2/chat``."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.provider_server.exchange import Answer
from tests.support.provider_server.faults import ErrorEventFault
from tests.support.provider_server.ids import IdSource
from tests.support.provider_server.json_types import JsonObject, encode, string
from tests.support.provider_server.wire import Event

from .events import event_json, events_of, is_text, terminal
from .replies import Reply
from .views import ModelView


class ChatAnswer(Answer):
    """A message that is about to be streamed; nothing of it is kept.

    Args:
        view: What the model saw.
        reply: What it says.
        ids: Where ids come from.
    """

    answer_id = None
    half_event = Event(b'{"type":"content-delta","delta":{"mess', "content-delta")

    def __init__(self, view: ModelView, reply: Reply, *, ids: IdSource) -> None:
        self.gate = reply.gate
        self._view = view
        self._reply = reply
        self._message_id = ids.issue("message")
        self._call_ids = [call.call_id or ids.issue(call.name) for call in reply.tool_calls]

    def events(self) -> Iterator[Event]:
        """Yield the events of the stream but the terminal one."""
        for event in events_of(self._reply, message_id=self._message_id, call_ids=self._call_ids):
            data = event_json(event)
            yield Event(encode(data), string(data, "type"), is_text=is_text(event))

    def closing(self) -> Iterator[Event]:
        """Yield the terminal event."""
        last = terminal(self._reply, self._view, message_id=self._message_id)
        yield Event(encode(event_json(last)), "message-end")

    def error_event(self, fault: ErrorEventFault) -> Event:
        """Return a terminal event that says that the answer failed."""
        delta: JsonObject = {"finish_reason": fault.code, **({"error": fault.message} if fault.message else {})}
        return Event(encode({"type": "message-end", "delta": delta}), "message-end")
