"""Checks of arguments at the public door: a wrong one is an InvalidInputError that names it."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeVar, cast

from langswarm_sessions.config import (
    LARGEST_COUNT,
    LONGEST_DAYS,
    RetryPolicy,
    Strategy,
    finite_number,
    is_count,
    non_empty_strings,
)
from langswarm_sessions.errors import ConfigurationError, InvalidInputError
from langswarm_sessions.ids import as_utc
from langswarm_sessions.interfaces.summarizer import Summarizer
from langswarm_sessions.messages import SessionMessage
from langswarm_sessions.messages.content import check_message
from langswarm_sessions.records import SessionStatus
from langswarm_sessions_otel import Telemetry

__all__ = [
    "SHORTEST_LEASE_SECONDS",
    "check_count",
    "check_days",
    "check_dict",
    "check_level",
    "check_mapping",
    "check_members",
    "check_messages",
    "check_moment",
    "check_name",
    "check_providers",
    "check_retry",
    "check_seconds",
    "check_status",
    "check_strategy",
    "check_summarizer",
    "check_tags",
    "check_telemetry",
    "check_text",
    "check_wait",
    "naming",
]

T = TypeVar("T")

SHORTEST_LEASE_SECONDS = 0.1
"""Shortest lease taken: it is beaten three times as often, and a beat writes."""

_LONGEST_NAME = 255


@contextmanager
def naming(field: str) -> Generator[None]:
    """Let what is raised of a setting within begin with the name of the argument it came by."""
    try:
        yield
    except ConfigurationError as error:
        error.args = (f"{field}: {error}",)
        raise


def check_name(value: object, *, field: str) -> str:
    """Return a non-empty string of at most 255 characters."""
    if not isinstance(value, str) or not value.strip():
        raise InvalidInputError(f"{field} must be a non-empty string.")
    if len(value) > _LONGEST_NAME:
        raise InvalidInputError(f"{field} must have at most {_LONGEST_NAME} characters.")
    if "\x00" in value or not value.isprintable():
        raise InvalidInputError(f"{field} must hold printable characters only.")
    return value


def check_text(value: object, *, field: str) -> str | None:
    """Return a string, or None."""
    if not isinstance(value, str | None):
        raise InvalidInputError(f"{field} must be a string (or None).")
    return value


def check_mapping(value: Mapping[str, Any], *, field: str) -> Mapping[str, Any]:
    """Return a mapping."""
    given: object = value
    if not isinstance(given, Mapping):
        raise InvalidInputError(f"{field} must be a dict.")
    return value


def check_seconds(value: object, *, field: str) -> float | None:
    """Return a positive number of seconds, or None."""
    if value is None:
        return None
    seconds = finite_number(value)
    if not seconds:
        raise InvalidInputError(f"{field} must be a positive number of seconds (or None).")
    return seconds


def check_days(value: object, *, field: str) -> float:
    """Return a number of days, 0 or more."""
    days = finite_number(value, at_most=LONGEST_DAYS)
    if days is None:
        raise InvalidInputError(f"{field} must be a number of days, 0 to {LONGEST_DAYS:g}.")
    return days


def check_count(value: object, *, field: str) -> int | None:
    """Return a whole number of at least 1, or None."""
    if value is None:
        return None
    if not is_count(value):
        raise InvalidInputError(f"{field} must be a whole number of 1 to {LARGEST_COUNT} (or None).")
    return value


def check_messages(value: object, *, field: str) -> list[SessionMessage]:
    """Return messages whose parts and metadata can be stored."""
    if not isinstance(value, list | tuple):
        raise InvalidInputError(f"{field} must be a list of SessionMessage.")
    return [check_message(item, field=f"{field}[{at}]") for at, item in enumerate(cast("Sequence[object]", value))]


def check_tags(value: object, *, field: str) -> tuple[str, ...]:
    """Return tags to search by; None is no tags."""
    tags = () if value is None else non_empty_strings(value)
    if tags is None:
        raise InvalidInputError(f"{field} must be a list of non-empty strings (or None).")
    return tags


def check_moment(value: object, *, field: str) -> datetime | None:
    """Return a datetime in UTC (naive means local time), or None."""
    if value is None:
        return None
    if not isinstance(value, datetime):
        raise InvalidInputError(f"{field} must be a datetime (or None).")
    try:
        return as_utc(value)
    except (OverflowError, ValueError):
        raise InvalidInputError(f"{field} is too near the end of time to be a moment in UTC.") from None


def check_status(value: SessionStatus | str | None, *, field: str) -> SessionStatus | None:
    """Return a session status, or None."""
    if value is None:
        return None
    try:
        return SessionStatus(value)
    except ValueError:
        raise InvalidInputError(f"{field} must be one of {', '.join(SessionStatus)} (or None).") from None


def check_strategy(value: Strategy | str) -> Strategy:
    """Return a strategy.

    Raises:
        ConfigurationError: There is no such strategy.
    """
    try:
        return Strategy(value)
    except ValueError:
        raise ConfigurationError(f"strategy must be one of {', '.join(Strategy)}.") from None


def check_summarizer(value: object) -> Summarizer | str | None:
    """Return a function that summarises, or the "provider/model" that does; None stays None."""
    if value is None or callable(value):
        return cast("Summarizer | None", value)
    if not isinstance(value, str) or not value.strip():
        raise ConfigurationError('summarizer must be a function of messages, "provider/model", or None.')
    return value


def check_wait(value: object, *, field: str, at_least: float = 0.0) -> float:
    """Return a setting in seconds, `at_least` or more.

    Raises:
        ConfigurationError: It is none.
    """
    seconds = finite_number(value)
    if seconds is None or seconds < at_least:
        raise ConfigurationError(f"{field} must be a finite number of seconds, {at_least:g} or more.")
    return seconds


def check_dict(value: object, *, field: str) -> Mapping[str, Any]:
    """Return settings by name; None is no settings.

    Raises:
        ConfigurationError: It is no mapping.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{field} must be a dict of settings by name (or None).")
    return cast("Mapping[str, Any]", value)


def check_level(value: object, *, field: str) -> int:
    """Return a logging level as its number.

    Raises:
        ConfigurationError: It is neither a level's number nor its name.
    """
    level = logging.getLevelNamesMapping().get(value.upper()) if isinstance(value, str) else value
    if not isinstance(level, int) or isinstance(level, bool) or level < 0:
        raise ConfigurationError(f"{field} must be a logging level, such as 'INFO' or logging.INFO.")
    return level


def check_providers(value: object) -> Mapping[str, Any]:
    """Return the providers of a manager.

    Raises:
        ConfigurationError: It is no mapping from names.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in cast("Mapping[object, Any]", value)):
        raise ConfigurationError("providers must be a dict from names to keys, such as {'openai': 'sk-...'}.")
    return cast("Mapping[str, Any]", value)


def check_retry(value: object) -> RetryPolicy:
    """Return a retry policy; None is the default one.

    Raises:
        ConfigurationError: It is something else.
    """
    if value is None:
        return RetryPolicy()
    if not isinstance(value, RetryPolicy):
        raise ConfigurationError("retry must be a RetryPolicy (or None).")
    return value


def check_telemetry(value: object) -> Telemetry:
    """Return the telemetry of a manager; a bool switches that of the global OpenTelemetry providers.

    Raises:
        ConfigurationError: It is something else.
    """
    if isinstance(value, Telemetry):
        return value
    if not isinstance(value, bool):
        raise ConfigurationError("telemetry must be True, False or a Telemetry of your own.")
    return Telemetry(enabled=value)


def check_members(members: Iterable[T], *, field: str, methods: Iterable[str]) -> list[T]:
    """Return middleware or hooks as a list.

    Raises:
        ConfigurationError: It is no list, or one of them is a class or has none of the methods.
    """
    if not isinstance(cast("object", members), Iterable):
        raise ConfigurationError(f"{field} must be a list.")
    given, wanted = list(members), tuple(methods)
    for member in given:
        if inspect.isclass(member):
            raise ConfigurationError(f"{field}: pass an instance, {member.__name__}(...), not the class.")
        if not any(callable(getattr(member, name, None)) for name in wanted):
            raise ConfigurationError(f"{field}: {type(member).__name__} has no method {wanted[0]}; see interfaces.")
    return given
