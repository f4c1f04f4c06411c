"""What the model is to say."""

from __future__ import annotations

from dataclasses import dataclass

from tests.support.provider_server.json_types import JsonObject
from tests.support.provider_server.replies import SpokenReply, ToolCall

__all__ = ["Reply", "ToolCall"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply(SpokenReply):
    """One scripted answer. Its pieces come in the order thinking, text, plan, tool calls, citations.

    Args:
        thinking: A thinking block that precedes the text.
        plan: What the model says to itself before it calls tools.
        tool_calls: Function calls made in parallel.
        citations: Citations, as the API writes them.
        finish_reason: Why the answer ends; None: COMPLETE, or TOOL_CALL with tool calls.
        error: The text of an answer that ends in ERROR.
        cached_tokens: How many tokens of the input came from the prompt cache.
    """

    thinking: str | None = None
    plan: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    citations: tuple[JsonObject, ...] = ()
    finish_reason: str | None = None
    error: str | None = None
    cached_tokens: float | None = None

    @property
    def reason(self) -> str:
        """Why the answer ends."""
        return self.finish_reason or ("TOOL_CALL" if self.tool_calls else "COMPLETE")
