"""ADK's events as rows of a session, and rows as its events. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any, ClassVar

from google.adk.events import Event
from google.genai import types

from langswarm_sessions.messages import MessageKind, Part, Role, SessionMessage, ToolCall
from langswarm_sessions_frameworks.formats import Fate, ItemFormat, Understood, converted, messages_of
from langswarm_sessions_frameworks.google_adk.contents import content_parts, parts_of
from langswarm_sessions_frameworks.parts import is_portable, plain_values, type_name

__all__ = ["GOOGLE_ADK", "EventFormat", "rows_of"]

_USER = "user"
_FOREIGN = converted("it means nothing to others; a text says that it was there")
_AS_USER = converted("contents of ADK have no system messages: told as the user's")
_AS_ONE = converted("its arguments are no JSON object: given as one text, by the name of `arguments`")
_NAMES_OF_USAGE = {
    "input_tokens": "prompt_token_count",
    "output_tokens": "candidates_token_count",
    "total_tokens": "total_token_count",
    "cached_tokens": "cached_content_token_count",
    "reasoning_tokens": "thoughts_token_count",
}


class EventFormat(ItemFormat[Event]):
    """Events of ADK: one a row, whole.

    Args:
        agent: The author of answers that come from elsewhere. ADK gives an agent's own answers back to it as they
            are, and tells it of others' in quotes.
    """

    name: ClassVar[str] = "google-adk"

    def __init__(self, agent: str) -> None:
        self.agent = agent

    def dump(self, item: Event) -> Any:
        """Return an event as plain JSON, as ADK's own services write it."""
        return plain_values(item.model_dump(mode="json", exclude_none=True, fallback=type_name))

    def load(self, data: Any) -> Event:
        """Return the event that `dump` wrote.

        Raises:
            ValueError: This version of ADK cannot read it.
        """
        return Event.model_validate(deepcopy(data))  # what is read back must not reach the row

    def understand(self, data: Sequence[Any]) -> Understood:
        """Return what an event says; one that only changes state, or steers, says nothing."""
        event: Mapping[str, Any] = data[0]
        content: Mapping[str, Any] = event.get("content") or {}
        said: list[Mapping[str, Any]] = content.get("parts") or []
        author = event.get("author")
        if any(part.get("function_response") for part in said):
            role = Role.TOOL
        else:
            role = Role.USER if author == _USER else Role.ASSISTANT
        return Understood(
            role=role,
            parts=parts_of(said, event_id=str(event.get("id") or "")),
            metadata={"name": author} if author and author != _USER else {},
            provider_metadata=_provider_metadata(event) if role is Role.ASSISTANT else {},
        )

    def build(self, message: SessionMessage) -> Sequence[Event]:
        """Return a message of another origin as ADK's event; none when nothing of it can be said."""
        if message.kind is MessageKind.INSTRUCTIONS:
            return []
        parts = content_parts(message.parts)
        if not parts:
            return []
        is_users = message.role in (Role.USER, Role.SYSTEM)
        answers = message.role is Role.ASSISTANT
        return [
            Event(
                id=message.message_id,
                invocation_id=message.turn_id or message.message_id,
                author=_USER if is_users else self.agent,
                timestamp=message.timestamp.timestamp(),
                content=types.Content(role="model" if answers else "user", parts=parts),
            )
        ]

    def fate(self, message: SessionMessage, part: Part) -> Fate:
        """Return what becomes of a part of a message that is built."""
        if message.kind is not MessageKind.INSTRUCTIONS:
            if part.type in self.takes and not is_portable(part):
                return _FOREIGN
            if isinstance(part, ToolCall) and part.raw_arguments is not None:
                return _AS_ONE
            if message.role is Role.SYSTEM and part.type == "text":
                return _AS_USER
        return super().fate(message, part)


GOOGLE_ADK = EventFormat("agent")


def rows_of(event: Event) -> tuple[SessionMessage, ...]:
    """Return an event as rows, the first under its id, all at its time: several when it holds several tools' results.

    Raises:
        InvalidInputError: It holds what no database can store.
    """
    rows = messages_of(GOOGLE_ADK, [event], message_id=event.id)
    for row in rows:
        row.timestamp = datetime.fromtimestamp(event.timestamp, UTC)
    return tuple(rows)


def _provider_metadata(event: Mapping[str, Any]) -> dict[str, Any]:
    counts: Mapping[str, Any] = event.get("usage_metadata") or {}
    usage = {ours: int(counts[theirs]) for ours, theirs in _NAMES_OF_USAGE.items() if counts.get(theirs) is not None}
    told = {"model": event.get("model_version"), "finish_reason": event.get("finish_reason"), "usage": usage}
    return {name: value for name, value in told.items() if value}
