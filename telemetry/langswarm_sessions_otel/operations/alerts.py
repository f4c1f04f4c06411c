"""The alerts: a recorded query, a threshold, how long it has to hold, and what it means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

RUNBOOK: Final = "docs/telemetry/operations.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert.

    Attributes:
        name: Its name.
        query: Name of the recorded query it looks at.
        above: It fires above this. Of a quantile, a bound of the histogram's buckets: between two it is guessed.
        lasting: After so long.
        severity: ``critical`` when users do not get answers, else ``warning``.
        summary: What happens, in a sentence.
        figure: How the figure is written, a format of Prometheus' templates.
    """

    name: str
    query: str
    above: float
    lasting: str
    severity: Literal["critical", "warning"]
    summary: str
    figure: str = "humanize"

    @property
    def runbook(self) -> str:
        """Where it is said what to do."""
        return f"{RUNBOOK}#{self.name.lower()}"


ALERTS: Final = (
    Alert(
        name="LangswarmTurnErrors",
        query="turn_error_ratio",
        above=0.05,
        lasting="10m",
        severity="critical",
        summary="More than 5 % of the turns fail.",
        figure="humanizePercentage",
    ),
    Alert(
        name="LangswarmTurnsSlow",
        query="turn_p95_seconds",
        above=25.6,
        lasting="10m",
        severity="warning",
        summary="One turn in 20 takes more than 25.6 seconds.",
        figure="humanizeDuration",
    ),
    Alert(
        name="LangswarmTurnRunningLong",
        query="oldest_turn_seconds",
        above=900,
        lasting="1m",
        severity="warning",
        summary="A turn runs for more than 15 minutes: it may hang, and its session with it.",
        figure="humanizeDuration",
    ),
    Alert(
        name="LangswarmFirstChunkSlow",
        query="first_chunk_p95_seconds",
        above=10.24,
        lasting="10m",
        severity="warning",
        summary="One streamed turn in 20 shows nothing for more than 10.24 seconds.",
        figure="humanizeDuration",
    ),
    Alert(
        name="LangswarmRebuilds",
        query="rebuild_ratio",
        above=0.05,
        lasting="15m",
        severity="warning",
        summary="More than 5 % of the turns rebuild the provider's thread.",
        figure="humanizePercentage",
    ),
    Alert(
        name="LangswarmSessionsStuck",
        query="lease_waits_in_vain",
        above=0,
        lasting="0s",
        severity="critical",
        summary="Turns give up because another turn holds their session.",
    ),
    Alert(
        name="LangswarmLeaseWaits",
        query="lease_wait_p95_seconds",
        above=5.12,
        lasting="10m",
        severity="warning",
        summary="Of the turns that wait for their session, one in 20 waits for more than 5.12 seconds.",
        figure="humanizeDuration",
    ),
    Alert(
        name="LangswarmLeaseTakeovers",
        query="lease_takeovers",
        above=3,
        lasting="0s",
        severity="warning",
        summary="Turns die: more than 3 sessions were taken over from them.",
    ),
    Alert(
        name="LangswarmLeasesLost",
        query="leases_lost",
        above=0,
        lasting="0s",
        severity="warning",
        summary="Sessions are taken from turns that still run.",
    ),
    Alert(
        name="LangswarmStorageSlow",
        query="storage_p99_seconds",
        above=0.5,
        lasting="10m",
        severity="warning",
        summary="One storage operation in 100 takes more than half a second.",
        figure="humanizeDuration",
    ),
    Alert(
        name="LangswarmStorageErrors",
        query="storage_errors",
        above=0,
        lasting="0s",
        severity="critical",
        summary="Storage operations fail.",
    ),
    Alert(
        name="LangswarmRateLimitWaits",
        query="rate_limit_wait_p95_seconds",
        above=12.8,
        lasting="10m",
        severity="warning",
        summary="Of the requests held back by the limits a minute, one in 20 waits for more than 12.8 seconds.",
        figure="humanizeDuration",
    ),
    Alert(
        name="LangswarmCircuitOpen",
        query="circuit_refusals",
        above=0,
        lasting="0s",
        severity="critical",
        summary="Requests are not sent, because the provider is down.",
    ),
    Alert(
        name="LangswarmCost",
        query="cost_per_hour",
        above=50,
        lasting="15m",
        severity="warning",
        summary="A model costs more than 50 USD an hour.",
    ),
    Alert(
        name="LangswarmHookErrors",
        query="hook_errors",
        above=0,
        lasting="0s",
        severity="warning",
        summary="Hooks of the application fail; the turns do not.",
    ),
    Alert(
        name="LangswarmTelemetryErrors",
        query="telemetry_errors",
        above=0,
        lasting="0s",
        severity="warning",
        summary="Telemetry itself fails: figures and spans are missing.",
    ),
)
