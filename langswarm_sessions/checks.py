"""Checks of arguments at the public door: a wrong one is an InvalidInputError that names it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from langswarm_sessions.config import LARGEST_COUNT, LONGEST_DAYS, Strategy, finite_number
from langswarm_sessions.errors import ConfigurationError, InvalidInputError
from langswarm_sessions.ids import as_utc
from langswarm_sessions.messages import plain_mapping
from langswarm_sessions.records import SessionStatus, TurnOptions

__all__ = [
    "check_count",
    "check_days",
    "check_mapping",
    "check_moment",
    "check_name",
    "check_seconds",
    "check_status",
    "check_strategy",
    "check_text",
    "check_wait",
    "turn_options",
]

_LONGEST_NAME = 255


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
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= LARGEST_COUNT:
        raise InvalidInputError(f"{field} must be a whole number of 1 to {LARGEST_COUNT} (or None).")
    return value


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


def check_wait(value: object, *, field: str) -> float:
    """Return a setting in seconds, 0 or more.

    Raises:
        ConfigurationError: It is none.
    """
    seconds = finite_number(value)
    if seconds is None:
        raise ConfigurationError(f"{field} must be a finite number of seconds, 0 or more.")
    return seconds


def turn_options(tools: Sequence[Mapping[str, Any]] | None, tool_choice: str | Mapping[str, Any] | None) -> TurnOptions:
    """Return a turn's options from JSON function definitions.

    Raises:
        InvalidInputError: A tool is no dict or has no name.
    """
    given: object = tools
    if given is not None and not isinstance(given, list | tuple):
        raise InvalidInputError("tools must be a list of JSON function definitions.")
    return TurnOptions(
        tools=tuple(_tool(tool, position) for position, tool in enumerate(tools or ())),
        tool_choice=_tool_choice(tool_choice),
    )


def _tool_choice(choice: object) -> str | dict[str, Any] | None:
    if isinstance(choice, Mapping):
        return plain_mapping(cast("object", choice), field="tool_choice")
    if choice is not None and (not isinstance(choice, str) or not choice):
        raise InvalidInputError("tool_choice must be 'auto', 'none', 'required', a tool's name or a dict.")
    return choice


def _tool(tool: object, position: int) -> dict[str, Any]:
    plain = plain_mapping(tool, field=f"tools[{position}]")
    function: object = plain.get("function", plain)
    name: object = cast("dict[str, Any]", function).get("name") if isinstance(function, dict) else None
    named = isinstance(name, str) and bool(name)
    if not named and plain.get("type", "function") == "function":
        raise InvalidInputError(
            f"tools[{position}] needs a 'name': pass {{'name', 'description', 'parameters' (a JSON schema)}}."
        )
    return plain
