"""Where the environment sends telemetry: which signals, by what, to which receivers."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from langswarm_sessions_otel import semconv
from langswarm_sessions_otel.settings import warn_once
from langswarm_sessions_otel.setup.request import (
    PROTOCOLS_OF_EXPORTERS,
    SIGNALS,
    Signal,
    default_receiver,
    is_address,
    named_exporters,
    named_for,
    named_protocol,
)

_OTLP: Final = "otlp"
_CONSOLE: Final = "console"
_NONE: Final = "none"
_Value = Callable[[str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Destinations:
    """Where variables send telemetry.

    Attributes:
        disabled: Whether the SDK records nothing at all.
        console: Whether spans are shown on the console.
        receivers: Address of the receiver of each signal that a variable sends somewhere.
        left_out: Signals that a variable keeps from being sent.
    """

    disabled: bool = False
    console: bool = False
    receivers: Mapping[Signal, str] = field(default_factory=dict[Signal, str], repr=False)  # may hold a password
    left_out: frozenset[Signal] = frozenset()


def read_destinations(environ: Mapping[str, str] | None = None) -> Destinations:
    """Read from environment variables where telemetry goes. Of a wrong value a warning tells once.

    Args:
        environ: Variables to read; those of the process when None.

    Returns:
        What they say.
    """
    variables = os.environ if environ is None else environ

    def value(name: str) -> str:
        return variables.get(name, "").strip()

    exporters: dict[Signal, frozenset[str]] = {signal: _exporters(signal, value) for signal in SIGNALS}
    left_out: frozenset[Signal] = frozenset(
        signal for signal, chosen in exporters.items() if chosen and _OTLP not in chosen
    )
    receivers: dict[Signal, str] = {}
    for signal in exporters.keys() - left_out:
        protocol = named_protocol(signal, value)[1]
        named = _named_receiver(signal, value, bare=protocol == "grpc")
        if named or exporters[signal]:
            receivers[signal] = named or default_receiver(protocol)
    return Destinations(
        disabled=_is_disabled(value(semconv.OTEL_SDK_DISABLED)),
        console=_CONSOLE in exporters["traces"],
        receivers=receivers,
        left_out=left_out,
    )


def _exporters(signal: Signal, value: _Value) -> frozenset[str]:
    """Return by what a signal goes; empty where no variable says so. What is not known counts as not said."""
    name, items = named_exporters(signal, value)
    known = (_OTLP, _CONSOLE, _NONE) if signal == "traces" else (_OTLP, _NONE)
    asked = {_OTLP if item in PROTOCOLS_OF_EXPORTERS else item for item in items}
    if not asked <= {*known}:
        warn_once(name, f"{', '.join(known[:-1])} or {known[-1]}", "another exporter is not had here, and left out")
    chosen = asked & {*known}
    return frozenset({_NONE} if _NONE in chosen else chosen)


def _named_receiver(signal: Signal, value: _Value, *, bare: bool) -> str:
    name, address = named_for(signal, "ENDPOINT", value)
    if address and not is_address(address, bare=bare):
        example = default_receiver("grpc" if bare else "")
        warn_once(name, f"an address such as {example}", "nothing arrives there")
    return address


def _is_disabled(text: str) -> bool:
    if text.lower() not in ("", "true", "false"):
        warn_once(semconv.OTEL_SDK_DISABLED, "true or false", "telemetry is not switched off")
    return text.lower() == "true"
