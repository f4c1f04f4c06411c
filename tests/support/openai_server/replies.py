"""What the model is to say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tests.support.provider_server.replies import SpokenReply, ToolCall

__all__ = ["Reply", "ToolCall"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply(SpokenReply):
    """One scripted answer. Items come in the order compaction, reasoning, message, tool calls.

    The gate is asked for a permit before each delta of a stream, and once before the headers of a plain answer.

    Args:
        tool_calls: Function calls made in parallel.
        reasoning: Summary of a reasoning item that precedes the rest.
        refusal: A refusal in place of the text.
        incomplete: Why the answer stops early; None means it is complete.
        is_compacted: Whether a compaction item stands in front of the rest.
    """

    tool_calls: tuple[ToolCall, ...] = ()
    reasoning: str | None = None
    refusal: str | None = None
    incomplete: Literal["max_output_tokens", "content_filter"] | None = None
    is_compacted: bool = False
