"""Redaction middleware: patterns never reach the transcript, the provider or the reader."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from langswarm_sessions.errors import ConfigurationError
from langswarm_sessions.interfaces.hooks import SessionMiddleware
from langswarm_sessions.messages import SessionMessage
from langswarm_sessions.records import SessionContext

__all__ = ["RedactionMiddleware"]

_LOOKBEHIND = 64


class RedactionMiddleware(SessionMiddleware):
    """Replaces what matches a pattern, in inputs, answers and streamed text.

    Streams are held back by `max_match` characters, so that a match cut into chunks is still found; a match longer
    than that may be shown in part.

    Args:
        patterns: Regular expressions (strings or compiled).
        replacement: What stands in for a match.
        max_match: Length of the longest match to expect, in characters.

    Raises:
        ConfigurationError: A pattern does not compile or matches the empty string.

    Example:
        >>> RedactionMiddleware([r"\\d{4}-\\d{4}"], replacement="####-####").redact("card 1234-5678")
        'card ####-####'
    """

    def __init__(
        self, patterns: Iterable[str | re.Pattern[str]], *, replacement: str = "[redacted]", max_match: int = 256
    ) -> None:
        self._patterns = [_compiled(pattern) for pattern in patterns]
        self._replacement = replacement
        self._max_match = max_match

    def redact(self, text: str) -> str:
        """Return `text` with every match replaced."""
        return _apply(text, self._spans(text), start=0, end=len(text), replacement=self._replacement)

    async def process_message(
        self, session_id: str, message: SessionMessage, context: SessionContext
    ) -> SessionMessage | None:
        """Redact the message's text."""
        message.content = self.redact(message.content)
        return message

    async def process_chunk(self, session_id: str, chunk: str, context: SessionContext) -> str:
        """Return what can no longer become part of a match."""
        held = self._held(context)
        held.text += chunk
        return self._release(held, len(held.text) - self._max_match)

    async def finish_chunks(self, session_id: str, context: SessionContext) -> str:
        """Return the rest."""
        held = self._held(context)
        return self._release(held, len(held.text))

    def _held(self, context: SessionContext) -> _Held:
        held: _Held = context.turn_state.setdefault(id(self), _Held())
        return held

    def _release(self, held: _Held, end: int) -> str:
        if end <= held.shown:
            return ""
        spans = self._spans(held.text)
        end = min([start for start, stop in spans if start < end < stop], default=end)
        if end <= held.shown:
            return ""
        shown = _apply(held.text, spans, start=held.shown, end=end, replacement=self._replacement)
        cut = max(0, end - _LOOKBEHIND)
        # Text that was shown stays in view of look-behinds and word boundaries, but must not be cut inside a match.
        cut = min([start for start, stop in spans if start < cut < stop], default=cut)
        held.text, held.shown = held.text[cut:], end - cut
        return shown

    def _spans(self, text: str) -> list[tuple[int, int]]:
        """Return the matches of all patterns, overlapping ones joined."""
        found = sorted(match.span() for pattern in self._patterns for match in pattern.finditer(text))
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

    text: str = ""
    shown: int = 0


def _compiled(pattern: str | re.Pattern[str]) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern)
    except re.error:
        raise ConfigurationError("RedactionMiddleware: a pattern is not a valid regular expression.") from None
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
