"""A turn as it is stored, and what providers report of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any

from langswarm_sessions.messages import TurnState

__all__ = ["UNTOLD", "ModelCall", "ToolChoice", "TurnOptions", "TurnRecord", "Usage"]

ToolChoice = str | Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one answer, as the provider counted them.

    `input_tokens` are all that were sent, `output_tokens` all that were made. The others are parts of these that a
    provider bills at another price. `total_tokens` is counted like the others, not summed up: give it, or it is 0.

    Args:
        input_tokens: All tokens of the request.
        output_tokens: All tokens of the answer.
        total_tokens: Both.
        cached_tokens: Of the request, read from a cache.
        reasoning_tokens: Of the answer, not shown.
        cache_write_tokens: Of the request, written to a cache.
        cache_write_1h_tokens: Of those written to a cache, kept there for an hour.
        input_audio_tokens: Of the request, sound.
        cached_audio_tokens: Of the request, sound read from a cache.
        output_audio_tokens: Of the answer, sound.
        output_image_tokens: Of the answer, pictures.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    input_audio_tokens: int = 0
    cached_audio_tokens: int = 0
    output_audio_tokens: int = 0
    output_image_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        """Return the tokens of both."""
        return Usage(**{name: getattr(self, name) + getattr(other, name) for name in _COUNTS})

    def to_json(self) -> dict[str, int]:
        """Return the counts as a plain dict; of those that not every provider tells, the ones that were told."""
        counts = {name: getattr(self, name) for name in _COUNTS}
        return {name: count for name, count in counts.items() if count or name in _ALWAYS}


_COUNTS = tuple(known.name for known in fields(Usage))
_ALWAYS = frozenset({"input_tokens", "output_tokens", "total_tokens", "cached_tokens", "reasoning_tokens"})


UNTOLD = "untold_tokens"
"""The term that names what was not told and may change the price: kinds of tokens ("audio", "cached", "hour", "image",
"all"), or "terms": whether there are other ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCall:
    """One request to a model, as it is billed.

    Args:
        model: The model that answered, as its provider names it.
        usage: The tokens that are billed.
        provider: Who runs the model, as the code that called it names it (None: the provider of the turn).
        terms: What sets it apart from a standard request, such as `{"service_tier": "flex"}`.
        host: Where it was sent, if `provider` names somebody else than the turn's (None: that is not known).
        is_free: Whether it costs the turn nothing: it was answered out of a cache, or by a session that counts it.
    """

    model: str
    usage: Usage
    provider: str | None = None
    terms: Mapping[str, str] = field(default_factory=dict[str, str])
    host: str | None = None
    is_free: bool = False


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
        choice: ToolChoice | None = "auto" if self.tools and was_chosen else None
        return self if choice == self.tool_choice else replace(self, tool_choice=choice)

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
    """One row of the turns table.

    `is_unpriced`: an attempt at it was, or may have been, billed for something whose price nobody knows.
    """

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
    traceparent: str | None = None
    is_unpriced: bool = False
