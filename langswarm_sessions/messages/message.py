"""The message: one entry of a transcript."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar, cast, get_args

from langswarm_sessions.errors import InvalidInputError
from langswarm_sessions.ids import as_utc, now
from langswarm_sessions.messages.parts import Part, RefusalPart, TextPart, ToolCall, ToolResult, text_of

__all__ = ["SCHEMA_VERSION", "MessageKind", "Role", "SessionMessage", "TurnState"]

SCHEMA_VERSION = 1

_PART_CLASSES = get_args(Part)

E = TypeVar("E", bound=StrEnum)


class Role(StrEnum):
    """Who speaks."""

    USER = "user"
    ASSISTANT = "assistant"
    SYSTEM = "system"
    TOOL = "tool"


class TurnState(StrEnum):
    """How far a turn, and so its messages, got."""

    PENDING = "pending"
    COMPLETED = "completed"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class MessageKind(StrEnum):
    """What a message is: something said, the instructions in force from there on, or something taken back."""

    SAID = "said"
    INSTRUCTIONS = "instructions"
    RETRACTED = "retracted"


@dataclass(kw_only=True)
class SessionMessage:
    """One entry of a transcript. Plain, mutable, built by keyword.

    `content` is the text; `parts` holds the same text beside whatever is not text. Give either: the other follows.
    Times are aware UTC (a naive one means local time). The text never shows in the repr.

    Raises:
        InvalidInputError: A field is of the wrong type.

    Example:
        >>> SessionMessage(role="user", content="hi").parts
        [TextPart()]
    """

    role: Role
    content: str = field(default="", repr=False)
    session_id: str = ""
    message_id: str = ""
    timestamp: datetime = field(default_factory=now)
    metadata: dict[str, Any] = field(default_factory=dict[str, Any], repr=False)
    status: TurnState = TurnState.COMPLETED
    provider_message_id: str | None = None
    provider_metadata: dict[str, Any] = field(default_factory=dict[str, Any], repr=False)
    parts: list[Part] = field(default_factory=list[Part], repr=False)
    tool_calls: list[ToolCall] = field(default_factory=list[ToolCall])
    kind: MessageKind = MessageKind.SAID
    turn_id: str | None = None
    parent_id: str | None = None
    group_id: str | None = None
    seq: int | None = None
    tokens: int | None = None
    provider_payload: dict[str, Any] | None = field(default=None, repr=False)
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        """Bring enums, times, text, parts and tool calls into agreement."""
        self.role = _member(Role, self.role, field="role")
        self.status = _member(TurnState, self.status, field="status")
        self.kind = _member(MessageKind, self.kind, field="kind")
        self.timestamp = _moment(self.timestamp)
        self.check()
        if self.parts and not self.content:
            self.content = text_of(self.parts)
        if self.parts and not self.tool_calls:
            self.tool_calls = [part for part in self.parts if isinstance(part, ToolCall)]
        self.align()

    def check(self) -> None:
        """Refuse text, ids, parts and tool calls of wrong types, which editing may have put there.

        Raises:
            InvalidInputError: A field is of the wrong type; the message names it.
        """
        _check_string(self.content)
        if not isinstance(cast("object", self.message_id), str):
            raise InvalidInputError("message_id must be a string; leave it empty to be given one.")
        if not isinstance(cast("object", self.provider_message_id), str | None):
            raise InvalidInputError("provider_message_id must be a string (or None).")
        _check_entries(self.parts, _PART_CLASSES, field="parts", wanted="content parts such as TextPart(...)")
        _check_entries(self.tool_calls, ToolCall, field="tool_calls", wanted="ToolCall(...) objects")

    def align(self) -> None:
        """Make `parts` say what `content` and `tool_calls` say, after one of them was edited."""
        if text_of(self.parts) != self.content:
            self.parts = _with_text(self.parts, self.content)
        if [part for part in self.parts if isinstance(part, ToolCall)] != self.tool_calls:
            self.parts = [part for part in self.parts if not isinstance(part, ToolCall)] + self.tool_calls

    @property
    def tool_results(self) -> list[ToolResult]:
        """The tool results this message carries (role `tool`)."""
        return [part for part in self.parts if isinstance(part, ToolResult)]


def _member(kind: type[E], value: object, *, field: str) -> E:
    try:
        return kind(cast("str", value))
    except ValueError:
        raise InvalidInputError(f"{field} must be one of {', '.join(kind)}.") from None


def _moment(value: object) -> datetime:
    try:
        if isinstance(value, datetime):
            return as_utc(value)
    except (OverflowError, ValueError):
        pass
    raise InvalidInputError("timestamp must be a datetime that has a time in UTC.")


def _check_string(content: object) -> None:
    if not isinstance(content, str):
        raise InvalidInputError(f"content must be a string, not {type(content).__name__}; pass other content as parts.")


def _check_entries(value: object, kinds: Any, *, field: str, wanted: str) -> None:
    entries = cast("list[object]", value) if isinstance(value, list) else [None]
    if not all(isinstance(entry, kinds) for entry in entries):
        raise InvalidInputError(f"{field} must be a list of {wanted}.")


def _with_text(parts: list[Part], text: str) -> list[Part]:
    """Put `text` where the first text stood (or first), and drop the other texts."""
    spots = [index for index, part in enumerate(parts) if isinstance(part, TextPart | RefusalPart)]
    at = spots[0] if spots else 0
    before = [part for part in parts[:at] if not isinstance(part, TextPart | RefusalPart)]
    after = [part for part in parts[at:] if not isinstance(part, TextPart | RefusalPart)]
    return [*before, TextPart(text), *after] if text else [*before, *after]
