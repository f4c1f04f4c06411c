"""What the environment asks of telemetry: what is recorded."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from langswarm_sessions_otel import semconv
from langswarm_sessions_otel.content.capture import (
    DEFAULT_LIMIT,
    SMALLEST_LIMIT,
    CaptureName,
    ContentCapture,
    ContentSettings,
    Redact,
    check_limit,
    check_redact,
)
from langswarm_sessions_otel.errors import TelemetryConfigurationError

_logger = logging.getLogger("langswarm_sessions.telemetry")
_OFF = frozenset({"off", "false", "0", "no"})
_ON = frozenset({"on", "true", "1", "yes"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetrySettings:
    """Switches of telemetry.

    Attributes:
        enabled: Whether anything is recorded at all.
        content: Where messages and error texts go, and how.
        inference_events: Whether each call of the model is told of as an event, with content or without.
        session_events: Whether each transition of a session is told of as an event.
        baggage: Whether the conversation id travels as baggage, also to third parties.
        group_lifecycle: Whether lifecycle spans outside a turn carry the conversation id.
        client_metrics: The generation of the ``gen_ai.client.*`` metrics.
    """

    enabled: bool = True
    content: ContentSettings = field(default_factory=ContentSettings)
    inference_events: bool = False
    session_events: bool = False
    baggage: bool = False
    group_lifecycle: bool = False
    client_metrics: semconv.ClientMetrics = semconv.RELEASED

    @property
    def capture_content(self) -> bool:
        """Whether content goes anywhere at all."""
        return self.content.capture is not ContentCapture.NO_CONTENT


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentArguments:
    """What the arguments of `Telemetry` say of content and events; None leaves it to the environment.

    Attributes:
        capture: Where content goes.
        redact: What every text goes through first.
        limit: Characters that one attribute may have.
        session_events: Whether each transition of a session is told of as an event.
    """

    capture: CaptureName | None = None
    redact: Redact | None = None
    limit: int | None = None
    session_events: bool | None = None


def read_settings(
    *, enabled: bool = True, content: ContentArguments | None = None, environ: Mapping[str, str] | None = None
) -> TelemetrySettings:
    """Read the switches from environment variables.

    Args:
        enabled: False switches everything off, whatever the environment says.
        content: What was said of content and events; it beats the environment.
        environ: Variables to read; those of the process when None.

    Returns:
        The switches.

    Raises:
        TelemetryConfigurationError: An argument is wrong. A wrong variable is warned of once, and means its default.
    """
    variables = os.environ if environ is None else environ
    given = content or ContentArguments()
    _check_flag("enabled", enabled)
    _check_flag("session_events", given.session_events, optional=True)

    def value(name: str) -> str:
        return variables.get(name, "").strip()

    settings = _content_settings(given, value)
    is_asked = given.session_events
    return TelemetrySettings(
        enabled=_switch(value, _TELEMETRY) and enabled,
        content=settings,
        inference_events=_inference_events(value(semconv.ENV_EMIT_EVENT), settings.capture),
        session_events=_switch(value, _SESSION_EVENTS) if is_asked is None else is_asked,
        baggage=_switch(value, _BAGGAGE),
        group_lifecycle=_switch(value, _GROUPING),
        client_metrics=_client_metrics(value(semconv.ENV_STABILITY_OPT_IN)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Switch:
    """A variable that is one thing or the other."""

    name: str
    default: bool
    wanted: str
    consequence: str
    on: frozenset[str] = _ON


_TELEMETRY = _Switch(name=semconv.ENV_TELEMETRY, default=True, wanted="on or off", consequence="telemetry is on")
_BAGGAGE = _Switch(name=semconv.ENV_BAGGAGE, default=False, wanted="on or off", consequence="no baggage is set")
_SESSION_EVENTS = _Switch(
    name=semconv.ENV_SESSION_EVENTS, default=False, wanted="on or off", consequence="transitions are no events"
)
_GROUPING = _Switch(
    name=semconv.ENV_LIFECYCLE_GROUPING,
    default=False,
    wanted="always, or off",
    consequence="conversation ids are on the spans of turns alone",
    on=frozenset({"always"}),
)


def _switch(value: Callable[[str], str], switch: _Switch) -> bool:
    text = value(switch.name).lower()
    if text in switch.on or text in _OFF:
        return text in switch.on
    if text:
        warn_once(switch.name, switch.wanted, switch.consequence)
    return switch.default


def _client_metrics(text: str) -> semconv.ClientMetrics:
    """Read the list that says, for each area of the conventions, whether the newest names are wanted."""
    opt_ins = {opt_in.strip() for opt_in in text.lower().split(",")}
    if semconv.OPT_IN_NEWEST_GENAI in opt_ins:
        return semconv.NEWEST
    if any(opt_in.startswith("gen_ai") for opt_in in opt_ins):  # the rest is for other areas
        warn_once(
            semconv.ENV_STABILITY_OPT_IN,
            f"{semconv.OPT_IN_NEWEST_GENAI} where it is about gen_ai",
            "metrics have the released names",
        )
    return semconv.RELEASED


def _check_flag(field_name: str, flag: object, *, optional: bool = False) -> None:
    if isinstance(flag, bool) or (optional and flag is None):
        return
    raise TelemetryConfigurationError(f"{field_name} must be True{', False or None' if optional else ' or False'}.")


def _content_settings(given: ContentArguments, value: Callable[[str], str]) -> ContentSettings:
    check_redact(given.redact)
    check_limit(given.limit)
    whole = _number(value(semconv.OTEL_VALUE_LENGTH))  # of wrong limits of its own the SDK tells itself
    own = given.limit or _own_limit(value(semconv.ENV_CONTENT_LIMIT))

    def least(name: str) -> int:
        """The SDK would cut what is longer in the middle of its JSON."""
        limit = _number(value(name))
        limit = whole if limit is None else limit
        return own if limit is None else min(own, limit)

    return ContentSettings(
        capture=_asked_capture(given.capture) or _capture(value(semconv.ENV_CAPTURE_CONTENT)),
        span_limit=least(semconv.OTEL_SPAN_VALUE_LENGTH),
        event_limit=least(semconv.OTEL_EVENT_VALUE_LENGTH),
        redact=given.redact,
    )


def _asked_capture(name: object) -> ContentCapture | None:
    if name is None:
        return None
    if isinstance(name, str) and name.upper() in ContentCapture.__members__:
        return ContentCapture[name.upper()]
    raise TelemetryConfigurationError(f"capture_content must be one of {', '.join(ContentCapture)}, or None.")


def _capture(text: str) -> ContentCapture:
    """Read the variable as other instrumentations do."""
    name = text.upper() or ContentCapture.NO_CONTENT
    if name not in ContentCapture.__members__:
        warn_once(semconv.ENV_CAPTURE_CONTENT, f"one of {', '.join(ContentCapture)}", "no content is recorded")
        return ContentCapture.NO_CONTENT
    return ContentCapture[name]


def _inference_events(text: str, capture: ContentCapture) -> bool:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if text:
        warn_once(semconv.ENV_EMIT_EVENT, "true or false", "the events follow what is captured")
    return capture.on_events


def _own_limit(text: str) -> int:
    if not text:
        return DEFAULT_LIMIT
    number = _number(text)
    if number is None or number < SMALLEST_LIMIT:
        wanted = f"a number of characters, at least {SMALLEST_LIMIT}"
        warn_once(semconv.ENV_CONTENT_LIMIT, wanted, f"it is {DEFAULT_LIMIT}")
        return DEFAULT_LIMIT
    return number


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None


@functools.cache
def warn_once(name: str, wanted: str, consequence: str) -> None:
    """Warn of a variable that is wrong; its value, which may be anything, is not told.

    Args:
        name: The variable.
        wanted: What it has to be.
        consequence: What holds for now.
    """
    _logger.warning("%s must be %s: %s.", name, wanted, consequence)
