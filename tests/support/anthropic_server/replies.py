"""What the model is to say: scripted replies and how they are cut."""

from __future__ import annotations

from dataclasses import dataclass

from anthropic.types import StopReason

from tests.support.openai_server.gates import Gate
from tests.support.openai_server.json_types import JsonObject
from tests.support.openai_server.replies import ToolCall, split_words

__all__ = ["Reply", "ToolCall", "split_words"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One scripted answer. Blocks come in the order thinking, redacted thinking, ready-made blocks, text, tool calls.

    Args:
        text: The text; streamed word by word.
        chunks: The same, cut into exactly these deltas (wins over ``text``).
        tool_calls: Tool calls made in parallel; arguments given as text may be no JSON.
        thinking: A thinking block's text; it is signed.
        redacted: Whether a redacted thinking block follows.
        blocks: Ready-made content blocks, such as those of tools that run at the provider.
        refusal: The model breaks off to decline, with this explanation.
        stop_reason: Why it stops; None means what the rest implies.
        gate: Asked for a permit before each delta.
    """

    text: str | None = None
    chunks: tuple[str, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    thinking: str | None = None
    redacted: bool = False
    blocks: tuple[JsonObject, ...] = ()
    refusal: str | None = None
    stop_reason: StopReason | None = None
    gate: Gate | None = None

    @property
    def whole_text(self) -> str:
        """The whole text, empty when the reply has none."""
        return "".join(self.chunks) if self.chunks else self.text or ""

    @property
    def text_deltas(self) -> tuple[str, ...]:
        """The pieces in which the text is streamed."""
        return self.chunks or split_words(self.text or "")

    @property
    def why(self) -> StopReason:
        """The stop reason that is sent."""
        if self.refusal is not None:
            return "refusal"
        return self.stop_reason or ("tool_use" if self.tool_calls else "end_turn")
