"""Settings as data: what a session, a retry and a cleanup are configured with."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from enum import StrEnum
from typing import Any, Literal, Self, TypeGuard, cast

from langswarm_sessions.errors import ConfigurationError

__all__ = [
    "LARGEST_COUNT",
    "LONGEST_DAYS",
    "CleanupConfig",
    "OnDisconnect",
    "RetryPolicy",
    "SessionConfig",
    "Strategy",
    "WholeWindow",
    "check_keys",
    "finite_number",
    "is_count",
    "non_empty_strings",
]

LARGEST_COUNT = 2**31 - 1
"""Largest count taken anywhere: every database can hold it, and one more."""
LONGEST_DAYS = 100_000.0
"""Longest span taken anywhere, in days: further back, dates end."""

_SECONDS_A_DAY = 86_400.0


WholeWindow = Literal["model"]
"""As large a window as the model takes."""


class Strategy(StrEnum):
    """How a turn gets the conversation to the model."""

    NATIVE = "native"
    CLIENT = "client"
    HYBRID = "hybrid"


class OnDisconnect(StrEnum):
    """What becomes of a streamed turn whose reader goes away."""

    INTERRUPT = "interrupt"
    FINISH = "finish"


def check_keys(given: Iterable[str], known: Iterable[str], *, where: str) -> None:
    """Refuse a key nobody knows, naming the nearest known one.

    Args:
        given: The keys that were passed.
        known: The keys that exist.
        where: The argument they were passed in, for the message.

    Raises:
        ConfigurationError: A key is unknown.
    """
    names = sorted(known)
    for key in given:
        if key not in names:
            near = difflib.get_close_matches(str(key), names, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ConfigurationError(f"{where}: unknown key {str(key)!r}.{hint} Known keys: {', '.join(names)}.")


def finite_number(value: object, *, at_most: float = math.inf) -> float | None:
    """Return a number of at least 0 as a float; None when it is none, is not finite or is larger than `at_most`."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= at_most:
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def non_empty_strings(value: object) -> tuple[str, ...] | None:
    """Return a list, tuple or set of non-empty strings as a tuple; None when it is none."""
    if not isinstance(value, list | tuple | set | frozenset):
        return None
    items = list(cast("Iterable[object]", value))
    strings = tuple(item for item in items if isinstance(item, str) and item)
    return strings if len(strings) == len(items) else None


def is_count(value: object) -> TypeGuard[int]:
    """Whether a value is a whole number of 1 to `LARGEST_COUNT`."""
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= LARGEST_COUNT


def _whole(value: object, *, name: str) -> None:
    if value is not None and not is_count(value):
        raise ConfigurationError(f"{name} must be a whole number of 1 to {LARGEST_COUNT} (or None).")


def _window(value: object) -> None:
    if value is not None and value != "model" and not is_count(value):
        raise ConfigurationError(
            f"session_config: max_tokens_window must be a whole number of 1 to {LARGEST_COUNT}, 'model' (as much as "
            "the model takes) or None."
        )


def _seconds(value: object, *, name: str) -> None:
    if finite_number(value) is None:
        raise ConfigurationError(f"{name} must be a finite number of seconds, 0 or more.")


def _text(value: object, *, name: str) -> None:
    if value is None:
        return
    if not isinstance(value, str):
        raise ConfigurationError(f"{name} must be a string (or None).")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ConfigurationError(f"{name} holds half of a surrogate pair, which no database can store.") from None


def _fields(value: object, *, where: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{where} must be a dict of its settings (or the config object itself).")
    return cast("Mapping[str, Any]", value)


def _tags(value: object) -> tuple[str, ...]:
    tags = non_empty_strings(value)
    if tags is None:
        raise ConfigurationError("session_config: tags must be a list of non-empty strings.")
    for tag in tags:
        _text(tag, name="session_config: tags")
    return tuple(dict.fromkeys(tags))


def _duration(value: object) -> timedelta | None:
    if value is None:
        return None
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if finite_number(seconds, at_most=LONGEST_DAYS * _SECONDS_A_DAY) is None:
        raise ConfigurationError(
            f"session_config: auto_archive_after must be a timedelta of 0 to {LONGEST_DAYS:g} days (or None)."
        )
    return value if isinstance(value, timedelta) else timedelta(seconds=cast("float", value))


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionConfig:
    """What one session is configured with.

    Args:
        name: A title for people.
        description: A longer text for people.
        tags: Labels to search by.
        max_messages: At most this many messages of the transcript are given to the model (None: as many as fit).
        max_tokens_window: Token budget of the window; "model" for as much as the model takes (None: that, but at most
            100,000).
        summarizer: "provider/model" that summarises what falls out of the window; "none" for nobody (None: whoever the
            manager has for it).
        auto_archive_after: Archive after this long without activity (applied by `manager.run_cleanup()`).
        on_disconnect: Whether a streamed turn whose reader leaves is interrupted (default) or finished.
        agent_name: The agent's name on spans; never free text of a user.

    Raises:
        ConfigurationError: A value is of the wrong type or out of range.
    """

    name: str | None = field(default=None, repr=False)
    description: str | None = field(default=None, repr=False)
    tags: tuple[str, ...] = ()
    max_messages: int | None = None
    max_tokens_window: int | WholeWindow | None = None
    summarizer: str | None = None
    auto_archive_after: timedelta | None = None
    on_disconnect: OnDisconnect = OnDisconnect.INTERRUPT
    agent_name: str | None = None

    def __post_init__(self) -> None:
        """Check every value, and take lists for tuples and seconds for timedeltas."""
        for name in ("name", "description", "agent_name", "summarizer"):
            _text(getattr(self, name), name=f"session_config: {name}")
        object.__setattr__(self, "tags", _tags(self.tags))
        _whole(self.max_messages, name="session_config: max_messages")
        _window(self.max_tokens_window)
        object.__setattr__(self, "auto_archive_after", _duration(self.auto_archive_after))
        try:
            object.__setattr__(self, "on_disconnect", OnDisconnect(self.on_disconnect))
        except ValueError:
            raise ConfigurationError("session_config: on_disconnect must be 'interrupt' or 'finish'.") from None

    @classmethod
    def of(cls, value: SessionConfig | Mapping[str, Any] | None) -> SessionConfig:
        """Return a config from one, from a mapping of its fields, or from None (all defaults).

        Raises:
            ConfigurationError: A key is unknown or a value is wrong.

        Example:
            >>> SessionConfig.of({"tags": ["support"]}).tags
            ('support',)
        """
        if isinstance(value, SessionConfig):
            return value
        return cls().merged(_fields(value, where="session_config"))

    def merged(self, changes: Mapping[str, Any]) -> SessionConfig:
        """Return a copy with `changes` applied at the top level (tags are replaced).

        Raises:
            ConfigurationError: A key is unknown or a value is wrong.
        """
        check_keys(changes, (item.name for item in fields(self)), where="session_config")
        return replace(self, **changes)

    def to_json(self) -> dict[str, Any]:
        """Return the fields that differ from the defaults, as plain JSON (durations in seconds)."""
        default = SessionConfig()
        changed = {item.name: getattr(self, item.name) for item in fields(self)}
        data = {name: value for name, value in changed.items() if value != getattr(default, name)}
        if "tags" in data:
            data["tags"] = list(self.tags)
        if self.auto_archive_after is not None:
            data["auto_archive_after"] = self.auto_archive_after.total_seconds()
        return data


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How failures of a provider are retried: exponential backoff with jitter.

    Args:
        max_attempts: Requests a turn may send, the first included.
        initial_delay: Seconds before the second request.
        multiplier: What each further delay is multiplied with.
        max_delay: Longest delay of our own choosing, in seconds.
        jitter: Up to this many seconds are added at random.
        retry_after_cap: Longest delay a provider's Retry-After is followed for; beyond it the error is raised.
        deadline: Seconds one turn may take, retries included (None: no limit).

    Raises:
        ConfigurationError: A value is of the wrong type or out of range.
    """

    max_attempts: int = 4
    initial_delay: float = 0.5
    multiplier: float = 2.0
    max_delay: float = 20.0
    jitter: float = 0.5
    retry_after_cap: float = 60.0
    deadline: float | None = 600.0

    def __post_init__(self) -> None:
        """Check every value."""
        _whole(self.max_attempts or 0, name="RetryPolicy: max_attempts")
        for name in ("initial_delay", "multiplier", "max_delay", "jitter", "retry_after_cap"):
            _seconds(getattr(self, name), name=f"RetryPolicy: {name}")
        if self.deadline is not None:
            _seconds(self.deadline, name="RetryPolicy: deadline")


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanupConfig:
    """What `manager.run_cleanup()` does.

    Args:
        archive_after_days: Archive active sessions without activity for this many days.
        delete_after_days: Delete archived sessions this many days after their last activity.
        max_messages_per_session: Archive active sessions with more messages than this.
        cleanup_interval_hours: How often a scheduler is to call it, in hours.

    Raises:
        ConfigurationError: A key is unknown or a value is of the wrong type or out of range.
    """

    archive_after_days: float | None = None
    delete_after_days: float | None = None
    max_messages_per_session: int | None = None
    cleanup_interval_hours: float = 24.0

    def __post_init__(self) -> None:
        """Check every value."""
        for name in ("archive_after_days", "delete_after_days"):
            if getattr(self, name) is not None and finite_number(getattr(self, name), at_most=LONGEST_DAYS) is None:
                raise ConfigurationError(f"cleanup_config: {name} must be 0 to {LONGEST_DAYS:g} days (or None).")
        if finite_number(self.cleanup_interval_hours, at_most=24 * LONGEST_DAYS) is None:
            raise ConfigurationError("cleanup_config: cleanup_interval_hours must be a number of hours, 0 or more.")
        _whole(self.max_messages_per_session, name="cleanup_config: max_messages_per_session")

    @classmethod
    def of(cls, value: Self | Mapping[str, Any] | None) -> CleanupConfig:
        """Return a config from one, from a mapping of its fields, or from None (nothing is cleaned up)."""
        if isinstance(value, CleanupConfig):
            return value
        given = _fields(value, where="cleanup_config")
        check_keys(given, (item.name for item in fields(cls)), where="cleanup_config")
        return cls(**given)
