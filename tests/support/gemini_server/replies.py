"""What the model is to say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from tests.support.provider_server.replies import SpokenReply


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One function call of a scripted reply; `text` is sent in place of the arguments' JSON (interactions only)."""

    name: str
    arguments: Mapping[str, JsonValue] | None = None
    text: str | None = None

    @property
    def arguments_text(self) -> str:
        """The arguments as they are streamed."""
        return self.text if self.text is not None else json.dumps(dict(self.arguments or {}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply(SpokenReply):
    """One scripted answer, in the order thought, text, tool calls.

    Args:
        tool_calls: Function calls made in parallel.
        thought: Summary of a thought that precedes the rest.
        image: Base64 of an image the model draws.
        finish: `finishReason` of generate_content.
        status: Status of the interaction; None says what fits.
        block: `blockReason` of the prompt: nothing else is sent (generate_content).
    """

    tool_calls: tuple[ToolCall, ...] = ()
    thought: str | None = None
    image: str | None = None
    finish: str = "STOP"
    status: str | None = None
    block: str | None = None
