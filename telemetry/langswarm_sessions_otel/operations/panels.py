"""The dashboard: rows of panels over the queries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from langswarm_sessions_otel import semconv
from langswarm_sessions_otel.operations.names import label


@dataclass(frozen=True, slots=True)
class Curve:
    """A query on a panel.

    Attributes:
        query: Its name.
        legend: Its legend, with labels in double braces.
    """

    query: str
    legend: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel.

    Attributes:
        title: Its title.
        unit: Unit of its axis, as Grafana calls it.
        curves: What it shows.
        says: What it says, and when to look at it.
    """

    title: str
    unit: str
    curves: tuple[Curve, ...]
    says: str


def _of(attribute: str, text: str = "") -> str:
    return f"{{{{{label(attribute)}}}}}{text}"


_PROVIDER: Final = _of(semconv.PROVIDER_NAME)
_MODEL: Final = _of(semconv.REQUEST_MODEL)
_REASON: Final = _of(semconv.REBUILD_REASON)
_ERROR: Final = _of(semconv.ERROR_TYPE)
_TOOL: Final = _of(semconv.TOOL_NAME)
_HOOK: Final = _of(semconv.HOOK_NAME)
_JOB: Final = _of(semconv.JOB_NAME)
_HELD_BY: Final = _of(semconv.LEASE_HELD_BY)
_STORAGE: Final = f"{_of(semconv.STORAGE_BACKEND)} {_of(semconv.STORAGE_OPERATION)}"


def _quantiles(prefix: str, *quantiles: int) -> tuple[Curve, ...]:
    return tuple(Curve(f"{prefix}_p{quantile}_seconds", f"{_PROVIDER} p{quantile}") for quantile in quantiles)


ROWS: Final[dict[str, tuple[Panel, ...]]] = {
    "Turns": (
        Panel("Turns", "reqps", (Curve("turns", f"{_PROVIDER} {_MODEL}"),), "Turns a second, by provider and model."),
        Panel("Turns by mode", "reqps", (Curve("turns_by_mode", _of(semconv.SESSION_MODE)),), "Native or client."),
        Panel(
            "Share of failed turns",
            "percentunit",
            (Curve("turn_error_ratio", _PROVIDER),),
            "Turns that were broken off, or failed by a mistake of their caller, do not count as failed.",
        ),
        Panel(
            "Failed and broken off turns",
            "reqps",
            (Curve("turn_errors", _ERROR),),
            "Turns a second by error.type; cancelled, abandoned and idle were broken off.",
        ),
        Panel("Duration of a turn", "s", _quantiles("turn", 50, 95, 99), "From the call of send to the stored answer."),
        Panel(
            "Age of the oldest turn",
            "s",
            (Curve("oldest_turn_seconds", "{{job}} {{instance}}"),),
            "By process: how long the oldest of its running turns has run; 0 when none runs.",
        ),
        Panel(
            "Time to first chunk",
            "s",
            (*_quantiles("first_chunk", 50, 95),),
            "From the call of a streamed turn to the first chunk its reader got.",
        ),
        Panel(
            "Duration of a model call, p95",
            "s",
            (Curve("model_call_p95_seconds", _PROVIDER),),
            "What of a turn is the provider's; chains that are wrapped call their models themselves.",
        ),
        Panel(
            "Sessions",
            "short",
            (Curve("open_sessions", f"{_of(semconv.SESSION_MODE)} open"),),
            "What the running processes opened, less what they closed; not the number in the database.",
        ),
        Panel(
            "Transitions",
            "ops",
            (Curve("transitions", _of(semconv.SESSION_TRANSITION)),),
            "Sessions created, archived, restored, deleted, cleared, handed over, a second.",
        ),
    ),
    "Tokens and cost": (
        Panel(
            "Tokens",
            "short",
            (
                Curve("tokens", f"{_MODEL} {_of(semconv.TOKEN_TYPE)}"),
                Curve("input_tokens", f"{_MODEL} input"),
                Curve("output_tokens", f"{_MODEL} output"),
            ),
            "Tokens a second, under the names of released instrumentations and under the newest ones.",
        ),
        Panel(
            "Cost an hour",
            "currencyUSD",
            (Curve("cost_per_hour", f"{_PROVIDER} {_MODEL}"),),
            "At the pace of the moment. A model without a known price has no figure.",
        ),
        Panel(
            "Turns without a whole price",
            "percentunit",
            (Curve("unpriced_ratio", f"{_PROVIDER} {_MODEL}"),),
            "Share of turns that cost something which the figure beside does not hold.",
        ),
        Panel(
            "History not sent",
            "short",
            (Curve("messages_avoided", f"{_PROVIDER} messages"),),
            "Stored messages a second that were not sent, because the provider holds the conversation.",
        ),
        Panel(
            "History not sent, bytes",
            "Bps",
            (Curve("bytes_avoided", _PROVIDER),),
            "Their text. Providers may bill a history they hold all the same.",
        ),
    ),
    "Rebuilds": (
        Panel(
            "Share of turns that rebuild",
            "percentunit",
            (Curve("rebuild_ratio", _PROVIDER),),
            "Turns that found the provider's thread lost and sent the conversation again.",
        ),
        Panel("Rebuilds by reason", "ops", (Curve("rebuilds", _REASON),), "Rebuilds a second."),
        Panel("Tokens of rebuilds", "short", (Curve("rebuild_tokens", _REASON),), "Tokens sent again, a second."),
    ),
    "Storage and leases": (
        Panel(
            "Duration of a storage operation",
            "s",
            (Curve("storage_p50_seconds", f"{_STORAGE} p50"), Curve("storage_p99_seconds", f"{_STORAGE} p99")),
            "Without the time a turn waited for its session.",
        ),
        Panel("Storage operations", "ops", (Curve("storage_operations", _STORAGE),), "Operations a second."),
        Panel(
            "Failed storage operations",
            "short",
            (Curve("storage_errors", f"{_STORAGE} {_ERROR}"),),
            "Within the interval.",
        ),
        Panel("Turns that wait for their session", "reqps", (Curve("lease_waits", _HELD_BY),), "By who holds it."),
        Panel(
            "Time turns wait for their session, p95",
            "s",
            (Curve("lease_wait_p95_seconds", _HELD_BY),),
            "Turns that did not wait are not counted.",
        ),
        Panel(
            "Leases",
            "short",
            (
                Curve("lease_waits_in_vain", f"{_PROVIDER} waited in vain ({_HELD_BY})"),
                Curve("lease_takeovers", f"{_PROVIDER} taken over"),
                Curve("leases_lost", f"{_PROVIDER} lost"),
            ),
            "Within the interval: turns that gave up, sessions taken over from dead turns, turns that lost theirs.",
        ),
    ),
    "Tools, hooks, summaries and jobs": (
        Panel("Tools", "ops", (Curve("tools", f"{_TOOL} {_ERROR}"),), "Runs of tools a second, by how they failed."),
        Panel("Duration of a tool, p95", "s", (Curve("tool_p95_seconds", _TOOL),), "From call to result."),
        Panel("Duration of a hook, p95", "s", (Curve("hook_p95_seconds", _HOOK),), "A turn waits for its hooks."),
        Panel(
            "Failed hooks",
            "short",
            (Curve("hook_errors", f"{_HOOK} {_ERROR}"),),
            "Within the interval. A hook that fails fails no turn.",
        ),
        Panel(
            "Summaries",
            "short",
            (Curve("summaries", f"summaries {_ERROR}"),),
            "Within the interval, by how they failed.",
        ),
        Panel("Jobs", "short", (Curve("jobs", f"{_JOB} {_ERROR}"),), "Within the interval: imports, cleanups, purges."),
    ),
    "Traffic and telemetry": (
        Panel(
            "Requests that wait for the limits a minute", "reqps", (Curve("rate_limit_waits", _PROVIDER),), "A second."
        ),
        Panel(
            "Time requests wait for the limits a minute, p95",
            "s",
            (Curve("rate_limit_wait_p95_seconds", _PROVIDER),),
            "Requests that did not wait are not counted.",
        ),
        Panel(
            "Requests refused by the circuit breaker",
            "short",
            (Curve("circuit_refusals", _PROVIDER),),
            "Within the interval: not sent, because the provider is down.",
        ),
        Panel(
            "Failures of telemetry",
            "short",
            (Curve("telemetry_errors", _of(semconv.FAILED_STAGE)),),
            "Within the interval, by what telemetry was doing.",
        ),
    ),
}
"""Panels by the title of their row."""
