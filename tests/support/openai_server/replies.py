"""What the model is to say: scripted replies and the default that proves the history it saw."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import JsonValue

from .gates import Gate


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One function call of a scripted reply.

    Args:
        name: The tool's name; the request must offer it.
        arguments: The arguments, as an object or as the exact text to send.
        call_id: The call's id; None lets the server issue one.
    """

    name: str
    arguments: Mapping[str, JsonValue] | str = "{}"
    call_id: str | None = None

    @property
    def arguments_text(self) -> str:
        """The arguments as the JSON text that goes over the wire."""
        return self.arguments if isinstance(self.arguments, str) else json.dumps(dict(self.arguments))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One scripted answer. Items come in the order compaction, reasoning, message, tool calls.

    Args:
        text: The message's text; streamed word by word.
        chunks: The same, cut into exactly these deltas (wins over ``text``).
        tool_calls: Function calls made in parallel.
        reasoning: Summary of a reasoning item that precedes the rest.
        refusal: A refusal in place of the text.
        incomplete: Why the answer stops early; None means it is complete.
        is_compacted: Whether a compaction item stands in front of the rest.
        gate: Asked for a permit before each delta of a stream, and once before the headers of a plain answer.
    """

    text: str | None = None
    chunks: tuple[str, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    reasoning: str | None = None
    refusal: str | None = None
    incomplete: Literal["max_output_tokens", "content_filter"] | None = None
    is_compacted: bool = False
    gate: Gate | None = None

    @property
    def message_text(self) -> str | None:
        """The whole text of the message, None when the reply has none."""
        return "".join(self.chunks) if self.chunks else self.text

    @property
    def text_deltas(self) -> tuple[str, ...]:
        """The pieces in which the message's text is streamed."""
        return self.chunks or split_words(self.text or "")


def split_words(text: str) -> tuple[str, ...]:
    """Cut ``text`` into words with the blanks that follow them; joined they are ``text`` again."""
    return tuple(re.findall(r"\s*\S+\s*|\s+", text)) if text else ()
