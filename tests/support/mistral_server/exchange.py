"""The answers of conversations and chat completions."""

from __future__ import annotations

from tests.support.provider_server.exchange import Answer
from tests.support.provider_server.faults import ErrorEventFault, Kept
from tests.support.provider_server.wire import Event

from .api import MadeAnswer, MistralApi
from .events import chat_error, chat_events, conversation_error, conversation_events


class ConversationAnswer(Answer):
    """An answer within a conversation that is about to be streamed.

    Args:
        api: The state.
        made: What the model says, and to what.
        conversation_id: The conversation.
    """

    half_event = Event(b'{"type":"message.output.delta","content":"half a wo', "message.output.delta")

    def __init__(self, api: MistralApi, made: MadeAnswer, conversation_id: str) -> None:
        self.answer_id = conversation_id
        self.gate = made.reply.gate
        self._api = api
        self._made = made
        *self._events, self._last = conversation_events(made)

    def events(self) -> list[Event]:
        """Return the events of the stream but the terminal one."""
        return self._events

    def closing(self) -> list[Event]:
        """Return the terminal event."""
        return [self._last]

    def keep(self, kept: Kept) -> None:
        """Enter into the conversation what is kept of the turn."""
        self._api.keep(self._made, kept)

    def error_event(self, fault: ErrorEventFault) -> Event:
        """Return the event that says that the answer failed."""
        self.keep(fault.keeps)
        return conversation_error(int(fault.code), fault.message)


class ChatAnswer(Answer):
    """A completion that is about to be streamed; nothing of it is kept.

    Args:
        made: What the model says.
        completion_id: The completion's id.
    """

    answer_id = None
    half_event = Event(b'{"type":"message.output.delta","content":"half a wo')

    def __init__(self, made: MadeAnswer, completion_id: str) -> None:
        self.gate = made.reply.gate
        self._made = made
        self._completion_id = completion_id
        *self._chunks, self._last = chat_events(made, completion_id)

    def events(self) -> list[Event]:
        """Return the chunks of the stream but the last one."""
        return self._chunks

    def closing(self) -> list[Event]:
        """Return the chunk that says why the answer ended, and the mark that they are all."""
        return [self._last, Event(b"[DONE]")]

    def error_event(self, fault: ErrorEventFault) -> Event:
        """Return the chunk that says that the model failed."""
        return chat_error(self._made, self._completion_id)


def answer_of(api: MistralApi, made: MadeAnswer) -> Answer:
    """Return an answer as it is sent."""
    if made.conversation is None:
        return ChatAnswer(made, api.ids.issue("cmpl"))
    return ConversationAnswer(api, made, made.conversation.id)
