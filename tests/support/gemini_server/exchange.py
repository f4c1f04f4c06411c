"""The answers of both APIs."""

from __future__ import annotations

from collections.abc import Iterable

from tests.support.provider_server.exchange import Answer
from tests.support.provider_server.faults import ErrorEventFault, Kept
from tests.support.provider_server.json_types import JsonObject, encode
from tests.support.provider_server.wire import Event

from .events import GatedEvent, answer_steps, content_chunks, interaction_events
from .state import GeminiState, Turn

_NEVER_KEPT = frozenset({"failed", "cancelled"})


class InteractionAnswer(Answer):
    """An interaction that is about to be streamed.

    Args:
        state: What is kept.
        turn: The request and what the model says to it.
    """

    half_event = Event(b'{"half')

    def __init__(self, state: GeminiState, turn: Turn) -> None:
        self.answer_id = turn.view.answer_id
        self.gate = turn.reply.gate
        self._state = state
        self._turn = turn
        self._steps = answer_steps(turn, state)
        *self._events, self._last = _sent(interaction_events(turn, self._steps))

    def events(self) -> list[Event]:
        """Return the events of the stream but the terminal one."""
        return self._events

    def closing(self) -> list[Event]:
        """Return the terminal event, and the mark that they are all."""
        return [self._last, Event(b"[DONE]")]

    def keep(self, kept: Kept) -> None:
        """Let the interaction be continued from now on."""
        if kept != "nothing" and self._turn.reply.status not in _NEVER_KEPT:
            self._state.keep(self._turn, self._steps)

    def error_event(self, fault: ErrorEventFault) -> Event:
        """Return the event that says that the answer failed."""
        self.keep(fault.keeps)
        return Event(encode({"event_type": "error", "error": {"code": fault.code, "message": fault.message}}))


class ContentAnswer(Answer):
    """An answer of `:streamGenerateContent`; nothing of it is kept.

    Args:
        state: Where ids and signatures come from.
        turn: The request and what the model says to it.
    """

    half_event = Event(b'{"half')

    def __init__(self, state: GeminiState, turn: Turn) -> None:
        self.answer_id = turn.view.answer_id
        self.gate = turn.reply.gate
        *self._chunks, self._last = _sent(content_chunks(turn, state))

    def events(self) -> list[Event]:
        """Return the chunks of the stream but the last one."""
        return self._chunks

    def closing(self) -> list[Event]:
        """Return the chunk that says why the answer ended."""
        return [self._last]

    def error_event(self, fault: ErrorEventFault) -> Event:
        """Return the chunk that says that the answer failed."""
        error: JsonObject = {"code": fault.status, "message": fault.message, "status": fault.code.upper()}
        return Event(encode({"error": error}))


def _sent(events: Iterable[GatedEvent]) -> list[Event]:
    return [Event(encode(data), is_text=is_text) for data, is_text in events]
