"""The metric instruments. What is recorded on them is decided where it happens."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from opentelemetry.context import Context, get_current
from opentelemetry.metrics import Meter
from opentelemetry.util.types import Attributes, AttributeValue

from langswarm_sessions_otel import semconv
from langswarm_sessions_otel.degradation import Degradation, guarded
from langswarm_sessions_otel.process.later import LATER
from langswarm_sessions_otel.process.running import observe_oldest_turn

MakeInstrument = Callable[[str, str, str], "Instrument"]


class Instrument:
    """One instrument. What it is told it passes on a moment later: a measurement takes the SDK about 0.03 ms.

    Args:
        tell: Tells the meter.
        degradation: Where is noted that it could not be told.
    """

    __slots__ = ("_tell", "degradation")

    def __init__(self, tell: Callable[[float, Attributes, Context], None], degradation: Degradation) -> None:
        self._tell = tell
        self.degradation = degradation

    def measure(self, amount: float, attributes: Mapping[str, AttributeValue], context: Context | None) -> None:
        """Take note of a measurement.

        Args:
            amount: What was measured, or how much a counter grows by.
            attributes: Its attributes.
            context: Where it was measured; the current one if None.
        """
        LATER.do(self._pass_on, amount, {**attributes}, get_current() if context is None else context)

    @guarded("measure")
    def _pass_on(self, amount: float, attributes: Attributes, context: Context) -> None:
        self._tell(amount, attributes, context)


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
        "degradation",
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
        self.telemetry_errors = meter.create_counter(
            semconv.TELEMETRY_ERRORS, "{error}", "Failures inside telemetry itself."
        )
        self.degradation = Degradation(self.telemetry_errors)

        def histogram(name: str, unit: str, description: str) -> Instrument:
            buckets = semconv.BUCKETS[name]
            made = meter.create_histogram(name, unit, description, explicit_bucket_boundaries_advisory=buckets)
            return Instrument(made.record, self.degradation)

        def counter(name: str, unit: str, description: str) -> Instrument:
            return Instrument(meter.create_counter(name, unit, description).add, self.degradation)

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
        self.cost = counter(semconv.SESSION_COST, "{USD}", "What answers cost, as far as their prices are known.")
        self.unpriced_turns = counter(
            semconv.UNPRICED_TURNS, "{turn}", "Turns that were, or may have been, billed at a price nobody knows."
        )
        self.storage_duration = histogram(semconv.STORAGE_DURATION, "s", "Time of one storage operation.")
        self.summaries = counter(semconv.SUMMARIES, "{summary}", "Summaries of what fell out of a window.")
        self.job_duration = histogram(semconv.JOB_DURATION, "s", "Time of one import, cleanup or purge.")
        self.hook_duration = histogram(semconv.HOOK_DURATION, "s", "Time of one call of a lifecycle hook.")
        self._add_waits(histogram, counter)
        self._add_gen_ai(histogram, client_metrics)
        self.tokens = _token_instruments(histogram, counter, client_metrics)

    def _add_waits(self, histogram: MakeInstrument, counter: MakeInstrument) -> None:
        self.rate_limit_waits = histogram(
            semconv.RATE_LIMIT_WAITS, "s", "Time that requests waited for a place within the limits a minute."
        )
        self.circuit_refusals = counter(
            semconv.CIRCUIT_REFUSALS, "{request}", "Requests that were not sent because the provider is down."
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

    def _add_gen_ai(self, histogram: MakeInstrument, client_metrics: semconv.ClientMetrics) -> None:
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


def _token_instruments(
    histogram: MakeInstrument, counter: MakeInstrument, client_metrics: semconv.ClientMetrics
) -> tuple[tuple[semconv.TokenMetric, Instrument], ...]:
    made: dict[str, Instrument] = {}
    for metric in client_metrics.tokens:
        if metric.counts:
            made[metric.name] = counter(metric.name, "{token}", f"Tokens used: {metric.use}.")
        elif metric.name not in made:
            made[metric.name] = histogram(metric.name, "{token}", "Tokens used by one model call.")
    return tuple((metric, made[metric.name]) for metric in client_metrics.tokens)
