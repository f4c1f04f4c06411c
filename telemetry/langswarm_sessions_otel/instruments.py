"""The metric instruments. What is recorded on them is decided where it happens."""

from __future__ import annotations

from collections.abc import Callable

from opentelemetry.context import Context
from opentelemetry.metrics import Histogram, Meter
from opentelemetry.util.types import Attributes

from langswarm_sessions_otel import semconv

RecordCount = Callable[[int, Attributes, Context | None], None]


class Instruments:
    """All instruments of one meter.

    Args:
        meter: Meter that makes them.
        client_metrics: Generation of the ``gen_ai.client.*`` names.
    """

    __slots__ = (
        "bytes_avoided",
        "chat_duration",
        "chat_first_chunk",
        "circuit_refusals",
        "messages_avoided",
        "open_sessions",
        "rate_limit_waits",
        "rebuild_tokens",
        "rebuilds",
        "storage_duration",
        "telemetry_errors",
        "tokens",
        "transitions",
        "turn_duration",
        "turn_first_chunk",
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
        self.storage_duration = histogram(semconv.STORAGE_DURATION, "s", "Time of one storage operation of a turn.")
        self.telemetry_errors = counter(semconv.TELEMETRY_ERRORS, "{error}", "Failures inside telemetry itself.")
        self.chat_duration = histogram(client_metrics.duration, "s", "Time of one model call.")
        self.chat_first_chunk = histogram(
            client_metrics.time_to_first_chunk, "s", "Time from the request to the first chunk of its answer."
        )
        self.tokens = _token_recordings(meter, client_metrics)


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
