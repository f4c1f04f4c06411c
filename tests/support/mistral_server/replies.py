"""What the model is to say."""

from __future__ import annotations

from dataclasses import dataclass

from tests.support.provider_server.replies import SpokenReply, ToolCall

__all__ = ["Reply", "ToolCall"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply(SpokenReply):
    """One scripted answer, in the order thinking, text, tool calls.

    Args:
        thinking: What the model thinks before it speaks; streamed word by word, signed at its end.
        tool_calls: Function calls made in parallel.
        step: Name of a built-in tool that runs first (conversations only).
        finish: What a chat completion says why it ended, instead of the usual.
    """

    thinking: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    step: str | None = None
    finish: str | None = None
