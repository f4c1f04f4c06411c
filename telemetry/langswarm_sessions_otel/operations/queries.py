"""The queries: each stands here once, and is used by rules, alerts and panels.

A query says ``[@window]`` where it looks back, and ``{@model}`` or ``{@provider}`` where a dashboard may choose.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from langswarm_sessions_otel import semconv
from langswarm_sessions_otel.operations.names import (
    BROKEN_OFF,
    CALLERS_ERRORS,
    INTERNAL_ERRORS,
    error_types,
    label,
    prometheus_metrics,
)

_PROVIDER: Final = label(semconv.PROVIDER_NAME)
_MODEL: Final = label(semconv.REQUEST_MODEL)
_ERROR: Final = label(semconv.ERROR_TYPE)
_MODE: Final = label(semconv.SESSION_MODE)
_HELD_BY: Final = label(semconv.LEASE_HELD_BY)
_TOOL: Final = label(semconv.TOOL_NAME)
_HOOK: Final = label(semconv.HOOK_NAME)
_JOB: Final = label(semconv.JOB_NAME)
_TOKEN_TYPE: Final = label(semconv.TOKEN_TYPE)

_FAILED: Final = f'{_ERROR}!=""'
_BUSY: Final = "SessionBusyError"
_IN_VAIN: Final = f'{_ERROR}=~"{error_types(_BUSY)}"'


def _failed(*but_for: str) -> str:
    """Match what failed: not what was broken off, and not by these errors of the package."""
    others = [*sorted(BROKEN_OFF), error_types(INTERNAL_ERRORS, *but_for)]
    return f'{_FAILED},{_ERROR}!~"{"|".join(others)}"'


CHOICES: Final = {
    "@model": f'{_PROVIDER}=~"$provider",{_MODEL}=~"$model"',
    "@provider": f'{_PROVIDER}=~"$provider"',
}
"""What the placeholders of a query stand for on the dashboard, in terms of its variables."""


@dataclass(frozen=True, slots=True)
class Query:
    """A query in PromQL.

    Attributes:
        text: The query with its placeholders.
        recorded: Window over which a rule records it, for alerts and for long views; None: it is not recorded.
    """

    text: str
    recorded: str | None = None

    def over(self, window: str, *, choices: dict[str, str] | None = None) -> str:
        """Return the query without placeholders.

        Args:
            window: How far it looks back, such as ``5m``.
            choices: Label matchers for ``@model`` and ``@provider``; none when None.

        Returns:
            PromQL.
        """
        text = self.text.replace("@window", window)
        for name in CHOICES:
            matchers = (choices or {}).get(name, "")
            text = text.replace(f",{name}}}", f",{matchers}}}" if matchers else "}")
            text = text.replace(f"{{{name}}}", f"{{{matchers}}}")
        return text.replace("{}", "")


def _names(metric: str, end: str = "") -> tuple[str, ...]:
    return tuple(f"{name}{end}" for name in prometheus_metrics()[metric].names)


[_OLDEST_TURN] = _names(semconv.OLDEST_TURN)
_PROCESS: Final = "job, instance"
_IN_SIGHT, _LONGEST_GAP = "5m", "6h"
# Every process writes this one all the time.
_OUT_OF_SIGHT: Final = (
    f"(last_over_time({_OLDEST_TURN}[{_LONGEST_GAP}] offset @window)"
    f" unless on ({_PROCESS}) last_over_time({_OLDEST_TURN}[{_IN_SIGHT}] offset @window))"
)


def _rate(metric: str, *by: str, matching: str, end: str = "") -> str:
    """Sum per second. A metric that two exporters name differently is looked for under both names."""
    rates = (f"sum by ({', '.join(by)}) (rate({name}{{{matching}}}[@window]))" for name in _names(metric, end))
    return " or ".join(rates)


def _quantile(quantile: float, metric: str, *by: str, matching: str) -> str:
    """Estimate a quantile of a histogram."""
    [name] = _names(metric, "_bucket")
    return f"histogram_quantile({quantile}, sum by ({', '.join(('le', *by))}) (rate({name}{{{matching}}}[@window])))"


def _happened(metric: str, *by: str, matching: str) -> str:
    """Count within the window. `increase` alone overlooks the first event of a series, which begins with it.

    A series that was not there before the window counts in full, also when its process has ended since, unless its
    whole process was out of sight then: what is back after a gap is not new. `increase` guesses what the edges of the
    window hide, and makes more of three events than three: rounded, it is three.
    """
    [name] = _names(metric, "_count" if prometheus_metrics()[metric].kind == "histogram" else "")
    series = f"{name}{{{matching}}}"
    new = f"last_over_time({series}[@window]) unless last_over_time({series}[{_IN_SIGHT}] offset @window)"
    grown = f"round(increase({series}[@window]))"
    return f"sum by ({', '.join(by)}) (({new} unless on ({_PROCESS}) {_OUT_OF_SIGHT}) or {grown})"


def _share(part: str, whole: str) -> str:
    """Divide; a part that never happened is a share of nothing, not no data."""
    return f"({part} or 0 * {whole}) / {whole}"


# Counted, not rates: where each of many processes fails once, a rate sees no failure.
_TURNS: Final = _happened(semconv.TURN_DURATION, _PROVIDER, matching="@model")
_FAILED_TURNS: Final = _happened(semconv.TURN_DURATION, _PROVIDER, matching=f"{_failed(*CALLERS_ERRORS)},@model")
_TURNS_OF_PROVIDER: Final = _happened(semconv.TURN_DURATION, _PROVIDER, matching="@provider")
_REBUILDS: Final = _happened(semconv.REBUILDS, _PROVIDER, matching="@provider")
_TURNS_OF_MODEL: Final = _rate(semconv.TURN_DURATION, _PROVIDER, _MODEL, matching="@model", end="_count")
_STORAGE: Final = (label(semconv.STORAGE_BACKEND), label(semconv.STORAGE_OPERATION))

QUERIES: Final[dict[str, Query]] = {
    # ---------------------------------------------------------------- turns
    "turns": Query(_TURNS_OF_MODEL, recorded="5m"),
    "turns_by_mode": Query(_rate(semconv.TURN_DURATION, _MODE, matching="@model", end="_count")),
    "turn_error_ratio": Query(_share(_FAILED_TURNS, _TURNS), recorded="5m"),
    "turn_errors": Query(_rate(semconv.TURN_DURATION, _ERROR, matching=f"{_FAILED},@model", end="_count")),
    "turn_p50_seconds": Query(_quantile(0.5, semconv.TURN_DURATION, _PROVIDER, matching="@model")),
    "turn_p95_seconds": Query(_quantile(0.95, semconv.TURN_DURATION, _PROVIDER, matching="@model"), recorded="5m"),
    "turn_p99_seconds": Query(_quantile(0.99, semconv.TURN_DURATION, _PROVIDER, matching="@model")),
    "oldest_turn_seconds": Query(f"last_over_time({_OLDEST_TURN}[@window])", recorded="5m"),
    "first_chunk_p50_seconds": Query(_quantile(0.5, semconv.TURN_TIME_TO_FIRST_CHUNK, _PROVIDER, matching="@model")),
    "first_chunk_p95_seconds": Query(
        _quantile(0.95, semconv.TURN_TIME_TO_FIRST_CHUNK, _PROVIDER, matching="@model"), recorded="5m"
    ),
    "model_call_p95_seconds": Query(
        " or ".join(
            _quantile(0.95, generation.duration, _PROVIDER, matching="@model")
            for generation in (semconv.RELEASED, semconv.NEWEST)
        )
    ),
    # ---------------------------------------------------------------- tokens and cost
    "tokens": Query(_rate(semconv.RELEASED.tokens[0].name, _TOKEN_TYPE, _MODEL, matching="@model", end="_sum")),
    "input_tokens": Query(_rate(semconv.NEWEST.tokens[0].name, _MODEL, matching="@model")),
    "output_tokens": Query(_rate(semconv.NEWEST.tokens[1].name, _MODEL, matching="@model")),
    "cost_per_hour": Query(
        f"3600 * {_rate(semconv.SESSION_COST, _PROVIDER, _MODEL, matching='@model')}", recorded="15m"
    ),
    "unpriced_ratio": Query(
        _share(_rate(semconv.UNPRICED_TURNS, _PROVIDER, _MODEL, matching="@model"), _TURNS_OF_MODEL)
    ),
    # ---------------------------------------------------------------- what the provider holds
    "rebuild_ratio": Query(_share(_REBUILDS, _TURNS_OF_PROVIDER), recorded="15m"),
    "rebuilds": Query(_rate(semconv.REBUILDS, label(semconv.REBUILD_REASON), matching="@provider")),
    "rebuild_tokens": Query(
        _rate(semconv.REBUILD_TOKEN_COST, label(semconv.REBUILD_REASON), matching="@provider", end="_sum")
    ),
    "messages_avoided": Query(_rate(semconv.HISTORY_MESSAGES_AVOIDED, _PROVIDER, matching="@provider")),
    "bytes_avoided": Query(_rate(semconv.HISTORY_BYTES_AVOIDED, _PROVIDER, matching="@provider")),
    # ---------------------------------------------------------------- storage
    "storage_p50_seconds": Query(_quantile(0.5, semconv.STORAGE_DURATION, *_STORAGE, matching="")),
    "storage_p99_seconds": Query(_quantile(0.99, semconv.STORAGE_DURATION, *_STORAGE, matching=""), recorded="5m"),
    "storage_operations": Query(_rate(semconv.STORAGE_DURATION, *_STORAGE, matching="", end="_count")),
    "storage_errors": Query(
        _happened(semconv.STORAGE_DURATION, *_STORAGE, _ERROR, matching=_failed(*CALLERS_ERRORS, _BUSY)), recorded="15m"
    ),
    # ---------------------------------------------------------------- leases
    "lease_waits": Query(_rate(semconv.LEASE_WAITS, _HELD_BY, matching="@provider", end="_count")),
    "lease_wait_p95_seconds": Query(
        _quantile(0.95, semconv.LEASE_WAITS, _HELD_BY, matching="@provider"), recorded="5m"
    ),
    "lease_waits_in_vain": Query(
        _happened(semconv.LEASE_WAITS, _PROVIDER, _HELD_BY, matching=f"{_IN_VAIN},@provider"), recorded="15m"
    ),
    "lease_takeovers": Query(_happened(semconv.LEASE_TAKEOVERS, _PROVIDER, matching="@provider"), recorded="15m"),
    "leases_lost": Query(_happened(semconv.LEASES_LOST, _PROVIDER, matching="@provider"), recorded="15m"),
    # ---------------------------------------------------------------- traffic
    "rate_limit_waits": Query(_rate(semconv.RATE_LIMIT_WAITS, _PROVIDER, matching="@provider", end="_count")),
    "rate_limit_wait_p95_seconds": Query(
        _quantile(0.95, semconv.RATE_LIMIT_WAITS, _PROVIDER, matching="@provider"), recorded="5m"
    ),
    "circuit_refusals": Query(_happened(semconv.CIRCUIT_REFUSALS, _PROVIDER, matching="@provider"), recorded="15m"),
    # ---------------------------------------------------------------- what runs in a turn and beside it
    "tools": Query(_rate(semconv.TOOL_DURATION, _TOOL, _ERROR, matching="", end="_count")),
    "tool_p95_seconds": Query(_quantile(0.95, semconv.TOOL_DURATION, _TOOL, matching="")),
    "hook_p95_seconds": Query(_quantile(0.95, semconv.HOOK_DURATION, _HOOK, matching="")),
    "hook_errors": Query(_happened(semconv.HOOK_DURATION, _HOOK, _ERROR, matching=_failed()), recorded="15m"),
    "summaries": Query(_happened(semconv.SUMMARIES, _ERROR, matching="")),
    "jobs": Query(_happened(semconv.JOB_DURATION, _JOB, _ERROR, matching="")),
    # ---------------------------------------------------------------- sessions and telemetry itself
    "open_sessions": Query(f"sum by ({_MODE}) ({_names(semconv.OPEN_SESSIONS)[0]})"),
    "transitions": Query(_rate(semconv.TRANSITIONS, label(semconv.SESSION_TRANSITION), matching="")),
    "telemetry_errors": Query(_happened(semconv.TELEMETRY_ERRORS, semconv.FAILED_STAGE, matching=""), recorded="15m"),
}
