"""Connections whose requests are counted, limited and cut off together."""

from __future__ import annotations

import secrets
from collections.abc import Hashable, Mapping
from dataclasses import replace
from hashlib import blake2b
from typing import Any, cast

from langswarm_sessions.interfaces.provider import ProviderConnection
from langswarm_sessions.interfaces.traffic import RateLimits, TrafficRules, TrafficSettings

__all__ = ["ControlledConnection", "fingerprint"]

_SALT = secrets.token_bytes(16)
_NOTHING_SET = TrafficSettings(circuit_breaker=None)


class ControlledConnection(ProviderConnection):
    """A connection that knows what its requests are held to. By default that is nothing."""

    traffic_settings: TrafficSettings = _NOTHING_SET

    def __init__(self) -> None:
        self._default_limits = RateLimits()
        self._rules: dict[str | None, TrafficRules | None] = {}
        self._alone: Hashable = object()

    def control(self, given: Mapping[str, Any] | None = None, *, default: RateLimits | None = None) -> None:
        """Take settings and the manager's limits; they hold from the next request on.

        Args:
            given: Fields of TrafficSettings.
            default: What holds where the settings say "default".

        Raises:
            ConfigurationError: A setting is wrong.
        """
        if given:
            self.traffic_settings = replace(self.traffic_settings, **given)
        if default is not None:
            self._default_limits = default
        self._rules = {}

    def traffic(self, config: Mapping[str, Any]) -> TrafficRules | None:
        """Return what the requests of a session are held to; None: nothing.

        Args:
            config: Its provider_config.
        """
        base_url = cast("str | None", config.get("base_url"))
        try:
            return self._rules[base_url]
        except KeyError:
            self._rules[base_url] = rules = self._rules_for(base_url)
            return rules

    def _rules_for(self, base_url: str | None) -> TrafficRules | None:
        limits = self.traffic_settings.limits(self._default_limits)
        circuit = self.traffic_settings.circuit
        if circuit is None and limits == RateLimits():
            return None
        where, scope = self._shared_with(base_url)
        return TrafficRules(provider=self.name, where=where, scope=scope, limits=limits, circuit=circuit)

    def _shared_with(self, base_url: str | None) -> tuple[str, Hashable]:
        """Return where requests go, for people, and who shares their count: by default nobody else."""
        return self.name, (self.name, base_url, self._alone)


def fingerprint(key: str) -> bytes:
    """Return what tells keys apart in this process without holding them: it cannot be compared anywhere else."""
    return blake2b(key.encode(), key=_SALT, digest_size=16).digest()
