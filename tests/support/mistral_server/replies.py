"""What the model is to say."""

from __future__ import annotations

from dataclasses import dataclass

from tests.support.openai_server.gates import Gate
from tests.support.openai_server.replies import ToolCall, split_words

__all__ = ["Reply", "ToolCall"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One scripted answer, in the order thinking, text, tool calls.

    Args:
        text: The message's text; streamed word by word.
        chunks: The same, cut into exactly these deltas (wins over ``text``).
        thinking: What the model thinks before it speaks; streamed word by word, signed at its end.
        tool_calls: Function calls made in parallel.
        step: Name of a built-in tool that runs first (conversations only).
        finish: What a chat completion says why it ended, instead of the usual.
        gate: Asked for a permit before each delta of text.
    """

    text: str | None = None
    chunks: tuple[str, ...] = ()
    thinking: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    step: str | None = None
    finish: str | None = None
    gate: Gate | None = None

    @property
    def message_text(self) -> str | None:
        """The whole text of the message, None when the reply has none."""
        return "".join(self.chunks) if self.chunks else self.text

    @property
    def text_deltas(self) -> tuple[str, ...]:
        """The pieces in which the message's text is streamed."""
        return self.chunks or split_words(self.text or "")
