"""A turn as it is stored, and what providers report of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from langswarm_sessions.messages import TurnState

__all__ = ["ToolChoice", "TurnOptions", "TurnRecord", "Usage"]

ToolChoice = str | Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one answer, as the provider counted them; `input_tokens` includes the cached ones.

    `total_tokens` is counted like the others, not summed up: give it, or it is 0.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0

    def to_json(self) -> dict[str, int]:
        """Return the counts as a plain dict."""
        return {
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "total_tokens": self.total_tokens,
            "cached_tokens": self.cached_tokens,
            "reasoning_tokens": self.reasoning_tokens,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnOptions:
    """What a turn asks of the provider beside the conversation.

    Args:
        tools: JSON function definitions.
        tool_choice: Which of them to call.
        response_format: The form of the answer, as `response_format_of` returns it; it beats the session's setting.
    """

    tools: tuple[Mapping[str, Any], ...] = ()
    tool_choice: ToolChoice | None = None
    response_format: Mapping[str, Any] | None = field(default=None, repr=False)

    def after_results(self, settings: Mapping[str, Any]) -> TurnOptions:
        """Return these options with the choice of tools left to the model: one that must call could never stop.

        Args:
            settings: The session's provider_config, whose choice would hold otherwise.
        """
        was_chosen = self.tool_choice is not None or settings.get("tool_choice") is not None
        return replace(self, tool_choice="auto" if self.tools and was_chosen else None)

    def to_json(self) -> dict[str, Any]:
        """Return the options that are set, as plain JSON."""
        data: dict[str, Any] = {}
        if self.tools:
            data["tools"] = [dict(tool) for tool in self.tools]
        if self.tool_choice is not None:
            data["tool_choice"] = self.tool_choice
        if self.response_format is not None:
            data["response_format"] = dict(self.response_format)
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any] | None) -> TurnOptions:
        """Build options from their JSON form."""
        given = data or {}
        return cls(
            tools=tuple(given.get("tools", ())),
            tool_choice=given.get("tool_choice"),
            response_format=given.get("response_format"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRecord:
    """One row of the turns table."""

    turn_id: str
    session_id: str
    index: int
    state: TurnState
    started_at: datetime
    idempotency_key: str | None = None
    input_digest: str = ""
    options: TurnOptions = field(default_factory=TurnOptions)
    finished_at: datetime | None = None
    error_type: str | None = None
