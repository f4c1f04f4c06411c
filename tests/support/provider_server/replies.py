"""What the model is to say: what scripted replies of every provider have, and the queue they wait in."""

from __future__ import annotations

import json
import re
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import JsonValue

from .gates import Gate

ViewT = TypeVar("ViewT")
ReplyT = TypeVar("ReplyT")


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
class SpokenReply:
    """What a scripted answer of any provider has.

    Args:
        text: The message's text; streamed word by word.
        chunks: The same, cut into exactly these deltas (wins over ``text``).
        gate: Asked for a permit before each delta of text.
    """

    text: str | None = None
    chunks: tuple[str, ...] = ()
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


class Script(Generic[ViewT, ReplyT]):
    """The replies to come, and the rule that answers once they are used up. Thread-safe.

    Args:
        rule: Says what the model answers to a context when nothing is scripted.
    """

    def __init__(self, rule: Callable[[ViewT], ReplyT]) -> None:
        self.rule = rule
        self._lock = threading.Lock()
        self._waiting: deque[ReplyT] = deque()

    def add(self, *replies: ReplyT) -> None:
        """Queue replies, one for each of the next answered requests."""
        with self._lock:
            self._waiting.extend(replies)

    def next(self, view: ViewT) -> ReplyT:
        """Return what the model says to a context."""
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
        return self.rule(view)
