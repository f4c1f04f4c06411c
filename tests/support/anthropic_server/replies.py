"""What the model is to say: scripted replies and how they are cut."""

from __future__ import annotations

from dataclasses import dataclass

from anthropic.types import StopReason

from tests.support.provider_server.json_types import JsonObject
from tests.support.provider_server.replies import SpokenReply, ToolCall

__all__ = ["Reply", "ToolCall"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply(SpokenReply):
    """One scripted answer. Blocks come in the order thinking, redacted thinking, ready-made blocks, text, tool calls.

    Args:
        tool_calls: Tool calls made in parallel; arguments given as text may be no JSON.
        thinking: A thinking block's text; it is signed.
        redacted: Whether a redacted thinking block follows.
        blocks: Ready-made content blocks, such as those of tools that run at the provider.
        refusal: The model breaks off to decline, with this explanation.
        stop_reason: Why it stops; None means what the rest implies.
    """

    tool_calls: tuple[ToolCall, ...] = ()
    thinking: str | None = None
    redacted: bool = False
    blocks: tuple[JsonObject, ...] = ()
    refusal: str | None = None
    stop_reason: StopReason | None = None

    @property
    def why(self) -> StopReason:
        """The stop reason that is sent."""
        if self.refusal is not None:
            return "refusal"
        return self.stop_reason or ("tool_use" if self.tool_calls else "end_turn")
