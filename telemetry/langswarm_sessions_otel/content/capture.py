"""What was said, as far as somebody wants it recorded: where, redacted by whom, and how much of it."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, TypeAlias, cast

from langswarm_sessions_otel import semconv
from langswarm_sessions_otel.content.fitting import (
    JsonObject,
    JsonValue,
    Said,
    clipped,
    encodable,
    fitted,
    json_text,
    plain,
)
from langswarm_sessions_otel.degradation import Degradation
from langswarm_sessions_otel.errors import TelemetryConfigurationError

CaptureName: TypeAlias = Literal["NO_CONTENT", "SPAN_ONLY", "EVENT_ONLY", "SPAN_AND_EVENT"]
ContentKind: TypeAlias = Literal[
    "instructions", "input", "output", "tool_definitions", "tool_arguments", "tool_result", "error"
]
Redact: TypeAlias = Callable[[ContentKind, str], str | None]
Message: TypeAlias = Mapping[str, object]

LEFT_OUT: Final = "[left out]"
DEFAULT_LIMIT: Final = 32_768
SMALLEST_LIMIT: Final = 256
_MEDIA: Final = frozenset({"blob", "file", "uri"})
_STAGE: Final = "redact"
_STAGE_TEXT: Final = "content"


class ContentCapture(StrEnum):
    """Where content is recorded, in the words of ``OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT``."""

    NO_CONTENT = "NO_CONTENT"
    SPAN_ONLY = "SPAN_ONLY"
    EVENT_ONLY = "EVENT_ONLY"
    SPAN_AND_EVENT = "SPAN_AND_EVENT"

    @property
    def on_spans(self) -> bool:
        """Whether spans hold content."""
        return self in (ContentCapture.SPAN_ONLY, ContentCapture.SPAN_AND_EVENT)

    @property
    def on_events(self) -> bool:
        """Whether events hold content."""
        return self in (ContentCapture.EVENT_ONLY, ContentCapture.SPAN_AND_EVENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentSettings:
    """How content is recorded.

    Attributes:
        capture: Where.
        span_limit: Characters that one attribute of a span may have.
        event_limit: Characters that one attribute of an event may have.
        redact: What every text goes through first.
    """

    capture: ContentCapture = ContentCapture.NO_CONTENT
    span_limit: int = DEFAULT_LIMIT
    event_limit: int = DEFAULT_LIMIT
    redact: Redact | None = None


class ContentRecorder:
    """Brings content into the form that it is recorded in; there is none where no content is captured.

    Args:
        settings: How content is recorded.
        degradation: Where a failing redaction is noted.
    """

    __slots__ = ("_degradation", "_event_limit", "_redact", "_span_limit", "on_events", "on_spans")

    def __init__(self, settings: ContentSettings, degradation: Degradation) -> None:
        self.on_spans = settings.capture.on_spans
        self.on_events = settings.capture.on_events
        self._span_limit = settings.span_limit
        self._event_limit = settings.event_limit
        self._redact = settings.redact
        self._degradation = degradation

    # ------------------------------------------------------------------ redacted

    def redacted(self, kind: ContentKind, text: str) -> str:
        """Return a text as the user's redaction lets it be seen; that it failed is noted, and nothing is seen then."""
        if self._redact is None or not text:
            return text
        try:
            changed = cast("object", self._redact(kind, text))
            if changed is None:
                return LEFT_OUT
            if not isinstance(changed, str):
                raise TypeError("redact must return a string or None")
        except Exception as error:  # noqa: BLE001 - the user's code: its failure must neither leak nor raise
            self._degradation.note(_STAGE, error)
            return LEFT_OUT
        return changed

    def objects(self, kind: ContentKind, items: Sequence[Message]) -> Sequence[JsonObject]:
        """Return messages, parts or definitions of tools as JSON; what nobody looks at is not even redacted.

        Args:
            kind: What they are.
            items: As the conventions describe them.
        """
        return Said(items, lambda text: self.redacted(kind, text))

    def value(self, kind: ContentKind, value: object) -> str:
        """Return a single value, such as the arguments of a tool, redacted, as text that fits on a span.

        Args:
            kind: What it is.
            value: A text, or anything that is JSON.
        """
        if isinstance(value, str):
            return self.text(kind, value)
        made: JsonValue = plain(value, lambda text: self.redacted(kind, text))
        text = json_text(made)
        if len(text) <= self._span_limit:
            return text
        few = fitted([{"type": kind, "value": made}], self._span_limit)
        return json_text(few[0].get("value", LEFT_OUT) if few else LEFT_OUT)

    def text(self, kind: ContentKind, text: str, *, on_event: bool = False) -> str:
        """Return a text, redacted, as far as it fits on a span, or on an event."""
        limit = self._event_limit if on_event else self._span_limit
        return clipped(encodable(self.redacted(kind, encodable(text))), limit)

    # ------------------------------------------------------------------ as attributes

    def for_span(self, objects: Sequence[JsonObject], *, newest: bool = True) -> str | None:
        """Return redacted objects as the JSON text that a span holds; None if nothing of them fits."""
        few = fitted(objects, self._span_limit, newest=newest)
        return None if few is None else json_text(few)

    def for_event(self, objects: Sequence[JsonObject], *, newest: bool = True) -> list[JsonObject] | None:
        """Return redacted objects as the structure that an event holds; None if nothing of them fits."""
        return fitted(objects, self._event_limit, newest=newest)

    def shown(self, kind: ContentKind, messages: str | Sequence[Message]) -> tuple[str, str]:
        """Return what a person reads of a turn's input or output, and its media type.

        Args:
            kind: Whether it is input or output.
            messages: A text, or messages. Where tools are called or answered and nothing is said, it is their JSON.
        """
        if isinstance(messages, str):
            return self.text(kind, messages), semconv.PLAIN_TEXT
        objects = self.objects(kind, messages)
        lines = [line for item in objects for line in _lines(item)]
        if lines:
            return clipped("\n".join(lines), self._span_limit), semconv.PLAIN_TEXT
        if not any(item.get("parts") for item in objects):
            return "", semconv.PLAIN_TEXT
        return self.for_span(objects) or json_text(LEFT_OUT), semconv.JSON

    # ------------------------------------------------------------------ errors

    def error_text(self, error: BaseException, *, on_event: bool = False) -> str:
        """Return the text of an error, redacted."""
        try:
            text = str(error)
        except Exception as failure:  # noqa: BLE001 - the error's own code
            self._degradation.note(_STAGE_TEXT, failure)
            return LEFT_OUT
        return self.text("error", text, on_event=on_event)

    def exception(self, error: BaseException, *, on_event: bool = False) -> dict[str, str]:
        """Return the attributes of an error that hold content: its text, and its place in the code."""
        trace = "".join(traceback.format_exception(error))
        return {
            semconv.EXCEPTION_MESSAGE: self.error_text(error, on_event=on_event),
            semconv.EXCEPTION_STACKTRACE: self.text("error", trace, on_event=on_event),
        }


def exception_type_of(error: BaseException) -> str:
    """Return the full name of an error's class, as ``exception.type`` holds it."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def check_redact(redact: object) -> None:
    """Refuse a redaction that cannot work.

    Raises:
        TelemetryConfigurationError: It cannot be called, or is asynchronous.
    """
    call = getattr(redact, "__call__", None)  # noqa: B004 - an object's own method may be asynchronous
    if redact is None or (
        callable(redact) and not (inspect.iscoroutinefunction(redact) or inspect.iscoroutinefunction(call))
    ):
        return
    raise TelemetryConfigurationError("redact must be a plain function of the kind of content and its text, or None.")


def check_limit(limit: int | None) -> None:
    """Refuse a limit that is none.

    Raises:
        TelemetryConfigurationError: It is no whole number, or so small that nothing would fit.
    """
    value = cast("object", limit)
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= SMALLEST_LIMIT):
        return
    raise TelemetryConfigurationError(f"content_limit must be a number of characters, at least {SMALLEST_LIMIT}.")


def _lines(message: JsonObject) -> list[str]:
    """Return what is said in a message: its texts, and of media what they are. Empty if nothing is said."""
    parts = cast("list[JsonObject]", message.get("parts") or [])
    texts = [str(part["content"]) for part in parts if part.get("type") == "text" and part.get("content")]
    media = [f"[{part.get('mime_type') or part.get('modality')}]" for part in parts if part.get("type") in _MEDIA]
    return ["".join(texts), *media] if texts else media
