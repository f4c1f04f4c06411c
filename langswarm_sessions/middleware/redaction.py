"""Redaction middleware: patterns never reach the transcript, the provider or the reader."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, cast

from langswarm_sessions.errors import ConfigurationError
from langswarm_sessions.interfaces.hooks import SessionMiddleware
from langswarm_sessions.messages import (
    AudioPart,
    Part,
    ReasoningPart,
    RefusalPart,
    SessionMessage,
    TextPart,
    ToolCall,
    ToolResult,
)
from langswarm_sessions.records import SessionContext

__all__ = ["RedactionMiddleware"]

_LOOKBEHIND = 64


class RedactionMiddleware(SessionMiddleware):
    r"""Replaces what matches a pattern, in inputs, answers and streamed text.

    That is text, reasoning, transcripts of sound, and arguments and results of tools; images, files and metadata are
    left as they are. Streams are held back by `max_match` characters, so that a match cut into chunks is still found;
    a match longer than that may be shown in part. Empty matches are no matches.

    Args:
        patterns: Regular expressions (strings or compiled).
        replacement: What stands in for a match.
        max_match: Length of the longest match to expect, in characters, with what it looks ahead at.

    Raises:
        ConfigurationError: A pattern does not compile or matches the empty string, or a setting is of the wrong type.

    Example:
        >>> RedactionMiddleware([r"\d{4}-\d{4}"], replacement="####-####").redact("card 1234-5678")
        'card ####-####'
    """

    def __init__(
        self, patterns: Iterable[str | re.Pattern[str]], *, replacement: str = "[redacted]", max_match: int = 256
    ) -> None:
        given: tuple[object, object, object] = (patterns, replacement, max_match)
        if isinstance(given[0], str | re.Pattern) or not isinstance(given[0], Iterable):
            raise ConfigurationError("RedactionMiddleware: patterns must be a list of regular expressions.")
        if not isinstance(given[1], str):
            raise ConfigurationError("RedactionMiddleware: replacement must be a string.")
        if not isinstance(given[2], int) or isinstance(given[2], bool) or given[2] < 1:
            raise ConfigurationError("RedactionMiddleware: max_match must be a whole number of at least 1.")
        self._patterns = [_compiled(pattern) for pattern in patterns]
        self._replacement = replacement
        self._max_match = max_match

    def redact(self, text: str) -> str:
        """Return `text` with every match replaced."""
        return _apply(text, self._spans(text), start=0, end=len(text), replacement=self._replacement)

    async def process_message(
        self, session_id: str, message: SessionMessage, context: SessionContext
    ) -> SessionMessage | None:
        """Redact the message; the provider's own form of it is dropped when it still says what was taken out."""
        content, parts = self.redact(message.content), [self._redacted(part) for part in message.parts]
        if content != message.content or parts != message.parts:
            message.content, message.parts, message.provider_payload = content, parts, None
            message.tool_calls = [part for part in parts if isinstance(part, ToolCall)]
        return message

    async def process_chunk(self, session_id: str, chunk: str, context: SessionContext) -> str:
        """Return what can no longer become part of a match."""
        held = self._held(context)
        held.text += chunk
        return self._release(held, len(held.text) - self._max_match)

    async def finish_chunks(self, session_id: str, context: SessionContext) -> str:
        """Return the rest."""
        held = self._held(context)
        del context.turn_state[id(self)]
        return self._release(held, len(held.text))

    def _held(self, context: SessionContext) -> _Held:
        held: _Held = context.turn_state.setdefault(id(self), _Held())
        return held

    def _release(self, held: _Held, end: int) -> str:
        if end <= held.shown:
            return ""
        spans = self._spans(held.text, start=held.shown)
        end = min([start for start, stop in spans if start < end < stop], default=end)
        if end <= held.shown:
            return ""
        shown = _apply(held.text, spans, start=held.shown, end=end, replacement=self._replacement)
        cut = max(0, end - _LOOKBEHIND)
        # Text that was shown stays in view of look-behinds and word boundaries.
        held.text, held.shown = held.text[cut:], end - cut
        return shown

    def _redacted(self, part: Part) -> Part:
        match part:
            case TextPart() | RefusalPart() | ReasoningPart():
                return replace(part, text=self.redact(part.text))
            case ToolResult():
                return replace(part, content=self.redact(part.content))
            case ToolCall():
                arguments: dict[str, Any] = self._redacted_json(part.arguments)
                raw = part.raw_arguments
                return replace(part, arguments=arguments, raw_arguments=raw and self.redact(raw))
            case AudioPart():
                return replace(part, transcript=part.transcript and self.redact(part.transcript))
            case _:
                return part

    def _redacted_json(self, value: object) -> Any:
        if isinstance(value, str):
            return self.redact(value)
        if isinstance(value, list):
            return [self._redacted_json(item) for item in cast("list[object]", value)]
        if isinstance(value, dict):
            return {key: self._redacted_json(item) for key, item in cast("dict[str, object]", value).items()}
        return value

    def _spans(self, text: str, *, start: int = 0) -> list[tuple[int, int]]:
        """Return the matches of all patterns from `start` on, overlapping ones joined."""
        matches = (match.span() for pattern in self._patterns for match in pattern.finditer(text, start))
        found = sorted(span for span in matches if span[0] < span[1])
        joined: list[tuple[int, int]] = []
        for start, stop in found:
            if joined and start < joined[-1][1]:
                joined[-1] = (joined[-1][0], max(stop, joined[-1][1]))
            else:
                joined.append((start, stop))
        return joined


@dataclass(slots=True)
class _Held:
    """Streamed text still in view: the first `shown` characters were released."""

    text: str = field(default="", repr=False)
    shown: int = 0


def _compiled(pattern: str | re.Pattern[str]) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern)
    except (re.error, TypeError):
        raise ConfigurationError("RedactionMiddleware: a pattern is not a valid regular expression.") from None
    written: object = compiled.pattern
    if not isinstance(written, str):
        raise ConfigurationError("RedactionMiddleware: a pattern is of bytes; make it one of text.")
    if compiled.match("") is not None:
        raise ConfigurationError("RedactionMiddleware: a pattern matches the empty string; make it match something.")
    return compiled


def _apply(text: str, spans: list[tuple[int, int]], *, start: int, end: int, replacement: str) -> str:
    pieces: list[str] = []
    at = start
    for first, stop in spans:
        if stop <= start or first >= end:
            continue
        pieces += [text[at:first], replacement]
        at = stop
    return "".join([*pieces, text[at:end]])
