"""What the model is to say."""

from __future__ import annotations

from dataclasses import dataclass

from tests.support.openai_server.gates import Gate
from tests.support.openai_server.json_types import JsonObject
from tests.support.openai_server.replies import ToolCall, split_words


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One scripted answer. Its pieces come in the order thinking, text, plan, tool calls, citations.

    Args:
        text: The text; streamed word by word.
        chunks: The same, cut into exactly these deltas (wins over ``text``).
        thinking: A thinking block that precedes the text.
        plan: What the model says to itself before it calls tools.
        tool_calls: Function calls made in parallel.
        citations: Citations, as the API writes them.
        finish_reason: Why the answer ends; None: COMPLETE, or TOOL_CALL with tool calls.
        error: The text of an answer that ends in ERROR.
        cached_tokens: How many tokens of the input came from the prompt cache.
        gate: Asked for a permit before each piece of text.
    """

    text: str | None = None
    chunks: tuple[str, ...] = ()
    thinking: str | None = None
    plan: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    citations: tuple[JsonObject, ...] = ()
    finish_reason: str | None = None
    error: str | None = None
    cached_tokens: float | None = None
    gate: Gate | None = None

    @property
    def text_deltas(self) -> tuple[str, ...]:
        """The pieces in which the text is streamed."""
        return self.chunks or split_words(self.text or "")

    @property
    def reason(self) -> str:
        """Why the answer ends."""
        return self.finish_reason or ("TOOL_CALL" if self.tool_calls else "COMPLETE")
