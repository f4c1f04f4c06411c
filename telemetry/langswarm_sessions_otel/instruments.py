"""The metric instruments. What is recorded on them is decided where it happens."""

from __future__ import annotations

from collections.abc import Callable

from opentelemetry.context import Context
from opentelemetry.metrics import Histogram, Meter
from opentelemetry.util.types import Attributes

from langswarm_sessions_otel import semconv
from langswarm_sessions_otel.process.running import observe_oldest_turn

RecordCount = Callable[[int, Attributes, Context | None], None]


class Instruments:
    """All instruments of one meter.

    Args:
        meter: Meter that makes them.
        client_metrics: Generation of the ``gen_ai.client.*`` names.
    """

    __slots__ = (
        "agent_duration",
        "bytes_avoided",
        "chat_chunk",
        "chat_duration",
        "chat_first_chunk",
        "circuit_refusals",
        "cost",
        "hook_duration",
        "inference_calls",
        "job_duration",
        "lease_takeovers",
        "lease_waits",
        "leases_lost",
        "messages_avoided",
        "open_sessions",
        "rate_limit_waits",
        "rebuild_tokens",
        "rebuilds",
        "storage_duration",
        "summaries",
        "telemetry_errors",
        "tokens",
        "tool_calls",
        "tool_duration",
        "transitions",
        "turn_duration",
        "turn_first_chunk",
        "unpriced_turns",
    )

    def __init__(self, meter: Meter, client_metrics: semconv.ClientMetrics) -> None:
        def histogram(name: str, unit: str, description: str) -> Histogram:
            buckets = semconv.BUCKETS[name]
            return meter.create_histogram(name, unit, description, explicit_bucket_boundaries_advisory=buckets)

        counter = meter.create_counter
        self.turn_duration = histogram(semconv.TURN_DURATION, "s", "Time from the start of a turn to its end.")
        self.turn_first_chunk = histogram(
            semconv.TURN_TIME_TO_FIRST_CHUNK, "s", "Time from the start of a streamed turn to its first chunk."
        )
        meter.create_observable_gauge(
            semconv.OLDEST_TURN, [observe_oldest_turn], "s", "Time that the oldest of the running turns has run; or 0."
        )
        self.transitions = counter(semconv.TRANSITIONS, "{transition}", "Sessions created, archived, deleted.")
        self.open_sessions = meter.create_up_down_counter(
            semconv.OPEN_SESSIONS, "{session}", "Active sessions, as far as this process changed them."
        )
        self.rebuilds = counter(semconv.REBUILDS, "{rebuild}", "Native threads rebuilt from the transcript.")
        self.rebuild_tokens = histogram(semconv.REBUILD_TOKEN_COST, "{token}", "Tokens replayed by one rebuild.")
        self.messages_avoided = counter(
            semconv.HISTORY_MESSAGES_AVOIDED, "{message}", "Messages of the history that a turn did not have to send."
        )
        self.bytes_avoided = counter(
            semconv.HISTORY_BYTES_AVOIDED, "By", "Bytes of the history that a turn did not have to send."
        )
        self.rate_limit_waits = histogram(
            semconv.RATE_LIMIT_WAITS, "s", "Time that requests waited for a place within the limits a minute."
        )
        self.circuit_refusals = counter(
            semconv.CIRCUIT_REFUSALS, "{request}", "Requests that were not sent because the provider is down."
        )
        self.cost = counter(semconv.SESSION_COST, "{USD}", "What answers cost, as far as their prices are known.")
        self.unpriced_turns = counter(
            semconv.UNPRICED_TURNS, "{turn}", "Turns that were, or may have been, billed at a price nobody knows."
        )
        self.lease_waits = histogram(
            semconv.LEASE_WAITS, "s", "Time that a turn waited for a session that another turn held."
        )
        self.lease_takeovers = counter(
            semconv.LEASE_TAKEOVERS, "{lease}", "Leases of turns that died or fell silent, taken over by another turn."
        )
        self.leases_lost = counter(
            semconv.LEASES_LOST, "{lease}", "Leases that a turn lost to another one while it still ran."
        )
        self.storage_duration = histogram(semconv.STORAGE_DURATION, "s", "Time of one storage operation.")
        self.telemetry_errors = counter(semconv.TELEMETRY_ERRORS, "{error}", "Failures inside telemetry itself.")
        self.summaries = counter(semconv.SUMMARIES, "{summary}", "Summaries of what fell out of a window.")
        self.job_duration = histogram(semconv.JOB_DURATION, "s", "Time of one import, cleanup or purge.")
        self.hook_duration = histogram(semconv.HOOK_DURATION, "s", "Time of one call of a lifecycle hook.")
        self._add_gen_ai(histogram, client_metrics)
        self.tokens = _token_recordings(meter, client_metrics)

    def _add_gen_ai(
        self, histogram: Callable[[str, str, str], Histogram], client_metrics: semconv.ClientMetrics
    ) -> None:
        self.agent_duration = histogram(semconv.AGENT_DURATION, "s", "Time of one turn, as an agent's invocation.")
        self.inference_calls = histogram(
            semconv.AGENT_INFERENCE_CALLS, "{inference_call}", "Calls of the model by a turn that runs tools."
        )
        self.tool_calls = histogram(semconv.AGENT_TOOL_CALLS, "{tool_call}", "Runs of tools by a turn that runs any.")
        self.tool_duration = histogram(semconv.TOOL_DURATION, "s", "Time of one run of a tool.")
        self.chat_duration = histogram(client_metrics.duration, "s", "Time of one model call.")
        self.chat_first_chunk = histogram(
            client_metrics.time_to_first_chunk, "s", "Time from the request to the first chunk of its answer."
        )
        self.chat_chunk = histogram(
            client_metrics.time_per_chunk, "s", "Time from one chunk of a streamed answer to the next."
        )


def _token_recordings(
    meter: Meter, client_metrics: semconv.ClientMetrics
) -> tuple[tuple[semconv.TokenMetric, RecordCount], ...]:
    made: dict[str, RecordCount] = {}
    for metric in client_metrics.tokens:
        if metric.counts:
            made[metric.name] = meter.create_counter(metric.name, "{token}", f"Tokens used: {metric.use}.").add
        elif metric.name not in made:
            buckets = semconv.BUCKETS[metric.name]
            made[metric.name] = meter.create_histogram(
                metric.name, "{token}", "Tokens used by one model call.", explicit_bucket_boundaries_advisory=buckets
            ).record
    return tuple((metric, made[metric.name]) for metric in client_metrics.tokens)
