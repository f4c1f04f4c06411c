"""What the requests to a provider are held to, as data: limits a minute, and when it is left alone after failures."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, Literal, Self, cast

from langswarm_sessions.config import LARGEST_COUNT, check_keys, finite_number, is_count
from langswarm_sessions.errors import ConfigurationError

__all__ = ["TRAFFIC_KEYS", "CircuitPolicy", "RateLimits", "TrafficRules", "TrafficSettings"]

LimitSetting = int | Literal["default"] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimits:
    """What may be sent within a minute.

    Args:
        requests_per_minute: Requests in any 60 seconds (None: no limit).
        tokens_per_minute: Tokens a minute, those of the answers included (None: no limit).

    Raises:
        ConfigurationError: A value is of the wrong type or out of range.
    """

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None

    def __post_init__(self) -> None:
        """Check both."""
        for name in ("requests_per_minute", "tokens_per_minute"):
            if (value := getattr(self, name)) is not None and not is_count(value):
                raise ConfigurationError(f"rate_limits: {name} must be a whole number of 1 to {LARGEST_COUNT} or None.")

    @classmethod
    def of(cls, value: Self | Mapping[str, Any] | None) -> Self:
        """Return limits from limits, from a mapping of the fields, or from None (none).

        Raises:
            ConfigurationError: A key is unknown or a value is wrong.
        """
        if isinstance(value, cls):
            return value
        given: object = {} if value is None else value
        if not isinstance(given, Mapping):
            raise ConfigurationError("rate_limits must be a dict of requests_per_minute and tokens_per_minute.")
        limits = cast(Mapping[str, Any], given)
        check_keys(limits, [known.name for known in fields(cls)], where="rate_limits")
        return cls(**limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitPolicy:
    """When a provider that is down is left alone, and for how long.

    Args:
        failure_threshold: Failures in a row, each of which speaks for an outage, after which nothing is sent.
        recovery_seconds: Seconds until one request is let through to see whether it is back.

    Raises:
        ConfigurationError: A value is of the wrong type or out of range.
    """

    failure_threshold: int = 5
    recovery_seconds: float = 30.0

    def __post_init__(self) -> None:
        """Check both."""
        if not is_count(self.failure_threshold):
            raise ConfigurationError(
                f"circuit_breaker: failure_threshold must be a whole number of 1 to {LARGEST_COUNT}."
            )
        if not finite_number(self.recovery_seconds):
            raise ConfigurationError("circuit_breaker: recovery_seconds must be a positive number of seconds.")

    @classmethod
    def of(cls, value: CircuitPolicy | Mapping[str, Any] | None) -> CircuitPolicy | None:
        """Return a policy from one, from a mapping of its fields, or from None (the provider is always asked).

        Raises:
            ConfigurationError: A key is unknown or a value is wrong.
        """
        if value is None or isinstance(value, CircuitPolicy):
            return value
        if not isinstance(value, Mapping):
            raise ConfigurationError("circuit_breaker must be None or a dict (failure_threshold, recovery_seconds).")
        check_keys(value, [known.name for known in fields(cls)], where="circuit_breaker")
        return cls(**value)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficSettings:
    """What a user says of the requests to one provider.

    Args:
        requests_per_minute: Requests in any 60 seconds; None: no limit; "default": the manager's limit.
        tokens_per_minute: Tokens a minute, those of the answers included; None: no limit; "default": the manager's.
        circuit_breaker: `failure_threshold` and `recovery_seconds`; None: it is asked whatever happened before.

    Raises:
        ConfigurationError: A value is of the wrong type or out of range.
    """

    requests_per_minute: LimitSetting = "default"
    tokens_per_minute: LimitSetting = "default"
    circuit_breaker: CircuitPolicy | Mapping[str, Any] | None = field(default=CircuitPolicy(), repr=False)

    def __post_init__(self) -> None:
        """Check every value, and take a dict for a policy."""
        for name in ("requests_per_minute", "tokens_per_minute"):
            value = getattr(self, name)
            if value not in (None, "default") and not is_count(value):
                raise ConfigurationError(f"{name} must be a whole number of 1 to {LARGEST_COUNT}, None or 'default'.")
        object.__setattr__(self, "circuit_breaker", CircuitPolicy.of(self.circuit_breaker))

    @property
    def circuit(self) -> CircuitPolicy | None:
        """When the provider is left alone; None: never."""
        return cast("CircuitPolicy | None", self.circuit_breaker)

    def limits(self, default: RateLimits) -> RateLimits:
        """Return the limits in force.

        Args:
            default: The manager's.
        """
        requests, tokens = self.requests_per_minute, self.tokens_per_minute
        return RateLimits(
            requests_per_minute=default.requests_per_minute if requests == "default" else requests,
            tokens_per_minute=default.tokens_per_minute if tokens == "default" else tokens,
        )


TRAFFIC_KEYS: Final = frozenset(known.name for known in fields(TrafficSettings))


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficRules:
    """What the requests of a live session are held to.

    Args:
        provider: The provider's name.
        where: Provider and host, for people.
        scope: Who shares the count and the circuit, in the whole process: the same provider, address and key. It
            holds no key.
        limits: What may be sent within a minute.
        circuit: When the provider is left alone; None: never.
    """

    provider: str
    where: str
    scope: Hashable = field(repr=False)
    limits: RateLimits = RateLimits()
    circuit: CircuitPolicy | None = None
