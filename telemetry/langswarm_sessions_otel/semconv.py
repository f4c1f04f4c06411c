"""Every name this package writes: spans, attributes, events, metrics, buckets, environment variables.

The GenAI names follow the registry of ``open-telemetry/semantic-conventions-genai`` named by `CONVENTION_REVISION`.
They are kept here, not imported: the published constants are marked deprecated and lack the newer names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

CONVENTION_REVISION: Final = "gen-ai-dev/1.42.0-dev"
SCOPE: Final = "langswarm_sessions"
DISTRIBUTION: Final = "langswarm-sessions"

# ------------------------------------------------------------------ environment variables
ENV_TELEMETRY: Final = "LANGSWARM_SESSIONS_TELEMETRY"
ENV_BAGGAGE: Final = "LANGSWARM_SESSIONS_BAGGAGE"
ENV_LIFECYCLE_GROUPING: Final = "LANGSWARM_SESSIONS_LIFECYCLE_GROUPING"
ENV_SPAN_FILE: Final = "LANGSWARM_SESSIONS_SPAN_FILE"
DEFAULT_SPAN_FILE: Final = "langswarm_sessions_spans.jsonl"
ENV_CAPTURE_CONTENT: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
ENV_EMIT_EVENT: Final = "OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT"
ENV_CONTENT_LIMIT: Final = "LANGSWARM_SESSIONS_CONTENT_LIMIT"
ENV_SESSION_EVENTS: Final = "LANGSWARM_SESSIONS_EVENTS"
ENV_STABILITY_OPT_IN: Final = "OTEL_SEMCONV_STABILITY_OPT_IN"
OPT_IN_NEWEST_GENAI: Final = "gen_ai_latest_experimental"
# The API reads these itself; they are named where what they name cannot be used.
OTEL_TRACER_PROVIDER: Final = "OTEL_PYTHON_TRACER_PROVIDER"
OTEL_METER_PROVIDER: Final = "OTEL_PYTHON_METER_PROVIDER"
OTEL_LOGGER_PROVIDER: Final = "OTEL_PYTHON_LOGGER_PROVIDER"
# The SDK reads these itself; they are looked at to say what it will do.
OTEL_SDK_DISABLED: Final = "OTEL_SDK_DISABLED"
OTEL_VALUE_LENGTH: Final = "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"
OTEL_SPAN_VALUE_LENGTH: Final = "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT"
OTEL_EVENT_VALUE_LENGTH: Final = "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT"
OTEL_HISTOGRAMS: Final = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"

# ------------------------------------------------------------------ spans and events
TURN_OPERATION: Final = "invoke_agent"
CHAT_OPERATION: Final = "chat"
TOOL_OPERATION: Final = "execute_tool"
# A transition (create, restore, archive, delete, clear, handoff) or a job (import, cleanup, purge) follows.
LIFECYCLE_SPAN: Final = "langswarm.session."
REBUILD_SPAN: Final = "langswarm.session.rebuild"
SUMMARY_SPAN: Final = "langswarm.session.summarize"
STORAGE_SPAN: Final = "langswarm.storage."
HOOK_SPAN: Final = "langswarm.hook "
RETRY_EVENT: Final = "langswarm.turn.retry"
RATE_LIMITED_EVENT: Final = "langswarm.session.rate_limited"
CIRCUIT_OPENED_EVENT: Final = "langswarm.session.circuit_opened"
CIRCUIT_REFUSED_EVENT: Final = "langswarm.session.circuit_refused"
FALLBACK_EVENT: Final = "langswarm.session.fallback"
RECORDED_EVENT: Final = "langswarm.session.turn_recorded"
RECONCILED_EVENT: Final = "langswarm.session.turn_reconciled"
PAUSED_EVENT: Final = "langswarm.session.turn_paused"
TRIMMED_EVENT: Final = "langswarm.session.window_trimmed"
SUMMARIZED_EVENT: Final = "langswarm.session.summarized"
SUMMARY_FAILED_EVENT: Final = "langswarm.session.summary_failed"
LEASE_WAITED_EVENT: Final = "langswarm.session.lease_waited"
LEASE_TAKEN_OVER_EVENT: Final = "langswarm.session.lease_taken_over"
LEASE_LOST_EVENT: Final = "langswarm.session.lease_lost"

# ------------------------------------------------------------------ events of the Logs API
INFERENCE_DETAILS_EVENT: Final = "gen_ai.client.inference.operation.details"
EXCEPTION_EVENT: Final = "gen_ai.client.operation.exception"

# ------------------------------------------------------------------ attributes: conventions
CONVERSATION_ID: Final = "gen_ai.conversation.id"
CONVERSATION_COMPACTED: Final = "gen_ai.conversation.compacted"
SESSION_ID: Final = "session.id"
OPERATION_NAME: Final = "gen_ai.operation.name"
PROVIDER_NAME: Final = "gen_ai.provider.name"
AGENT_NAME: Final = "gen_ai.agent.name"
REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_STREAM: Final = "gen_ai.request.stream"
REQUEST_TEMPERATURE: Final = "gen_ai.request.temperature"
REQUEST_MAX_TOKENS: Final = "gen_ai.request.max_tokens"
REQUEST_TOP_P: Final = "gen_ai.request.top_p"
PREVIOUS_RESPONSE_ID: Final = "gen_ai.request.previous_response.id"
RESPONSE_ID: Final = "gen_ai.response.id"
RESPONSE_MODEL: Final = "gen_ai.response.model"
FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
CACHED_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
REASONING_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"
TOKEN_TYPE: Final = "gen_ai.token.type"
TOKEN_MODALITY: Final = "gen_ai.token.modality"
SYSTEM_INSTRUCTIONS: Final = "gen_ai.system_instructions"
INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
TOOL_DEFINITIONS: Final = "gen_ai.tool.definitions"
CONTENT_ATTRIBUTES: Final = frozenset({SYSTEM_INSTRUCTIONS, INPUT_MESSAGES, OUTPUT_MESSAGES, TOOL_DEFINITIONS})
TOOL_NAME: Final = "gen_ai.tool.name"
TOOL_TYPE: Final = "gen_ai.tool.type"
TOOL_TYPE_FUNCTION: Final = "function"
TOOL_DESCRIPTION: Final = "gen_ai.tool.description"
TOOL_CALL_ID: Final = "gen_ai.tool.call.id"
TOOL_CALL_ARGUMENTS: Final = "gen_ai.tool.call.arguments"
TOOL_CALL_RESULT: Final = "gen_ai.tool.call.result"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
ERROR_TYPE: Final = "error.type"
SERVICE_NAME: Final = "service.name"
DB_SYSTEM: Final = "db.system.name"
INPUT_VALUE: Final = "input.value"
INPUT_MIME_TYPE: Final = "input.mime_type"
OUTPUT_VALUE: Final = "output.value"
OUTPUT_MIME_TYPE: Final = "output.mime_type"
PLAIN_TEXT: Final = "text/plain"
JSON: Final = "application/json"
SPAN_EXCEPTION: Final = "exception"
EXCEPTION_TYPE: Final = "exception.type"
EXCEPTION_MESSAGE: Final = "exception.message"
EXCEPTION_STACKTRACE: Final = "exception.stacktrace"

# ------------------------------------------------------------------ attributes: ours
LANGSWARM_SESSION_ID: Final = "langswarm.session.id"
SESSION_MODE: Final = "langswarm.session.mode"
SESSION_OPERATION: Final = "langswarm.session.operation"
SESSION_TRANSITION: Final = "langswarm.session.transition"
TURN_INDEX: Final = "langswarm.session.turn.index"
TURN_RETRIES: Final = "langswarm.turn.retries"
COST_USD: Final = "langswarm.cost.usd"
COST_SOURCE: Final = "langswarm.cost.source"
COST_SOURCE_MIXED: Final = "mixed"
COST_IS_PARTIAL: Final = "langswarm.cost.is_partial"
MESSAGES_SENT: Final = "langswarm.history.messages_sent"
MESSAGES_TOTAL: Final = "langswarm.history.messages_total"
REBUILD_REASON: Final = "langswarm.rebuild.reason"
REBUILD_ATTEMPT: Final = "langswarm.rebuild.attempt"
REBUILD_MESSAGES: Final = "langswarm.rebuild.messages"
REBUILD_TOKENS: Final = "langswarm.rebuild.tokens"
STORAGE_OPERATION: Final = "langswarm.storage.operation"
STORAGE_BACKEND: Final = "langswarm.storage.backend"
STORAGE_COUNT: Final = "langswarm.storage.count"
STORAGE_BYTES: Final = "langswarm.storage.bytes"
HANDOFF_FROM_PROVIDER: Final = "langswarm.handoff.from.provider"
HANDOFF_FROM_MODEL: Final = "langswarm.handoff.from.model"
HANDOFF_TO_PROVIDER: Final = "langswarm.handoff.to.provider"
HANDOFF_TO_MODEL: Final = "langswarm.handoff.to.model"
HANDOFF_FROM_MODE: Final = "langswarm.handoff.from.mode"
HANDOFF_TO_MODE: Final = "langswarm.handoff.to.mode"
HANDOFF_MESSAGES: Final = "langswarm.handoff.messages"
HOOK_NAME: Final = "langswarm.hook.name"
HOOK_POINT: Final = "langswarm.hook.point"
RETRY_ATTEMPT: Final = "langswarm.retry.attempt"
RETRY_DELAY: Final = "langswarm.retry.delay_seconds"
RATE_LIMIT_WAIT: Final = "langswarm.rate_limit.wait_seconds"
CIRCUIT_RETRY_AFTER: Final = "langswarm.circuit.retry_after_seconds"
LEASE_HELD_BY: Final = "langswarm.lease.held_by"
LEASE_WAIT: Final = "langswarm.lease.wait_seconds"
READER_WAIT: Final = "langswarm.stream.reader_wait_seconds"
PURGE: Final = "purge"
LINK_KIND: Final = "langswarm.link.kind"
LINK_PREVIOUS_TURN: Final = "previous_turn"
LINK_SOURCE_TURN: Final = "source_turn"
LINK_LAST_GOOD_TURN: Final = "last_good_turn"
LINK_HANDOFF: Final = "handoff"
LINK_JOB: Final = "job"
FALLBACK_FROM: Final = "langswarm.fallback.from.provider"
FALLBACK_TO: Final = "langswarm.fallback.to.provider"
RECONCILE_OUTCOME: Final = "langswarm.reconcile.outcome"
SUMMARY_MESSAGES: Final = "langswarm.summary.messages"
SUMMARY_TOKENS: Final = "langswarm.summary.tokens"
JOB_NAME: Final = "langswarm.job.name"
JOB_SESSIONS: Final = "langswarm.job.sessions"
JOB_MESSAGES: Final = "langswarm.job.messages"
JOB_DRY_RUN: Final = "langswarm.job.dry_run"
FAILED_STAGE: Final = "stage"

# What the registry calls providers that we call otherwise.
PROVIDER_NAMES: Final[dict[str, str]] = {"gemini": "gcp.gemini", "mistral": "mistral_ai"}


def provider_name(ours: str) -> str:
    """Return what the registry calls a provider.

    Args:
        ours: Our name of it.

    Returns:
        The registry's name; ours for one that it does not know.
    """
    return PROVIDER_NAMES.get(ours, ours)


# ------------------------------------------------------------------ metrics: ours
TURN_DURATION: Final = "langswarm.session.turn.duration"
TURN_TIME_TO_FIRST_CHUNK: Final = "langswarm.session.turn.time_to_first_chunk"
OLDEST_TURN: Final = "langswarm.session.turn.oldest_age"
TRANSITIONS: Final = "langswarm.session.transitions"
OPEN_SESSIONS: Final = "langswarm.session.open"
REBUILDS: Final = "langswarm.session.rebuilds"
REBUILD_TOKEN_COST: Final = "langswarm.session.rebuild.tokens"
HISTORY_MESSAGES_AVOIDED: Final = "langswarm.session.history.messages_avoided"
HISTORY_BYTES_AVOIDED: Final = "langswarm.session.history.bytes_avoided"
RATE_LIMIT_WAITS: Final = "langswarm.session.rate_limit.wait"
CIRCUIT_REFUSALS: Final = "langswarm.session.circuit.refusals"
SESSION_COST: Final = "langswarm.session.cost"
UNPRICED_TURNS: Final = "langswarm.session.unpriced_turns"
LEASE_WAITS: Final = "langswarm.session.lease.wait"
LEASE_TAKEOVERS: Final = "langswarm.session.lease.takeovers"
LEASES_LOST: Final = "langswarm.session.lease.lost"
STORAGE_DURATION: Final = "langswarm.storage.operation.duration"
SUMMARIES: Final = "langswarm.session.summaries"
JOB_DURATION: Final = "langswarm.job.duration"
HOOK_DURATION: Final = "langswarm.hook.duration"
TELEMETRY_ERRORS: Final = "langswarm.telemetry.errors"

# ------------------------------------------------------------------ metrics: agents and tools, in both generations
AGENT_DURATION: Final = "gen_ai.invoke_agent.duration"
AGENT_INFERENCE_CALLS: Final = "gen_ai.invoke_agent.inference_calls"
AGENT_TOOL_CALLS: Final = "gen_ai.invoke_agent.tool_calls"
TOOL_DURATION: Final = "gen_ai.execute_tool.duration"
# A tool that the model made up has no name that a metric could carry.
UNKNOWN_TOOL: Final = "_OTHER"

# ------------------------------------------------------------------ metrics: the two generations of gen_ai.client.*
TokenUse = Literal["input", "output", "cached", "cache_write", "reasoning"]


@dataclass(frozen=True, slots=True)
class TokenMetric:
    """One instrument that token counts of a model call are recorded on."""

    name: str
    use: TokenUse
    counts: bool  # a counter; else a histogram
    attribute: tuple[str, str] | None  # one more attribute than its siblings carry
    when_failed: bool  # also recorded for a call that failed


@dataclass(frozen=True, slots=True)
class ClientMetrics:
    """The names of one generation of the ``gen_ai.client.*`` metrics."""

    duration: str
    time_to_first_chunk: str
    time_per_chunk: str
    cache_write_tokens: str  # an attribute, not a metric: what the span calls tokens written to a cache
    tokens: tuple[TokenMetric, ...]


_USAGE: Final = "gen_ai.client.token.usage"
_COUNT: Final = "gen_ai.client.inference.usage."
_SPREAD: Final = "gen_ai.client.inference.operation."
# No provider tells tokens apart by modality for every model, and a guess would be wrong for images.
_MODALITY: Final = (TOKEN_MODALITY, "unknown")

RELEASED: Final = ClientMetrics(
    duration="gen_ai.client.operation.duration",
    time_to_first_chunk="gen_ai.client.operation.time_to_first_chunk",
    time_per_chunk="gen_ai.client.operation.time_per_output_chunk",
    cache_write_tokens="gen_ai.usage.cache_creation.input_tokens",
    tokens=(
        TokenMetric(_USAGE, "input", counts=False, attribute=(TOKEN_TYPE, "input"), when_failed=True),
        TokenMetric(_USAGE, "output", counts=False, attribute=(TOKEN_TYPE, "output"), when_failed=True),
    ),
)
NEWEST: Final = ClientMetrics(
    duration="gen_ai.client.inference.duration",
    time_to_first_chunk="gen_ai.client.inference.time_to_first_chunk",
    time_per_chunk="gen_ai.client.inference.time_per_output_chunk",
    cache_write_tokens="gen_ai.usage.cache_write.input_tokens",
    tokens=(
        TokenMetric(_COUNT + "input_tokens", "input", counts=True, attribute=_MODALITY, when_failed=True),
        TokenMetric(_COUNT + "output_tokens", "output", counts=True, attribute=_MODALITY, when_failed=True),
        TokenMetric(_COUNT + "cache_read.input_tokens", "cached", counts=True, attribute=_MODALITY, when_failed=True),
        TokenMetric(
            _COUNT + "cache_write.input_tokens", "cache_write", counts=True, attribute=_MODALITY, when_failed=True
        ),
        TokenMetric(
            _COUNT + "reasoning.output_tokens", "reasoning", counts=True, attribute=_MODALITY, when_failed=True
        ),
        TokenMetric(_SPREAD + "input_tokens", "input", counts=False, attribute=None, when_failed=False),
        TokenMetric(_SPREAD + "output_tokens", "output", counts=False, attribute=None, when_failed=False),
    ),
)

# ------------------------------------------------------------------ buckets
_CALL_SECONDS: Final = tuple(round(0.01 * 2**power, 2) for power in range(14))
_AGENT_SECONDS: Final = tuple(round(0.1 * 2**power, 1) for power in range(13))
_TOKENS: Final = tuple(float(4**power) for power in range(14))
_CALLS: Final = tuple(float(2**power) for power in range(8))
_HOOK_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_JOB_SECONDS: Final = (0.01, 0.1, 1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0)
_STORAGE_SECONDS: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)

BUCKETS: Final[dict[str, tuple[float, ...]]] = {
    TURN_DURATION: _AGENT_SECONDS,
    TURN_TIME_TO_FIRST_CHUNK: _CALL_SECONDS,
    REBUILD_TOKEN_COST: _TOKENS,
    RATE_LIMIT_WAITS: _AGENT_SECONDS,
    LEASE_WAITS: _CALL_SECONDS,
    STORAGE_DURATION: _STORAGE_SECONDS,
    JOB_DURATION: _JOB_SECONDS,
    HOOK_DURATION: _HOOK_SECONDS,
    AGENT_DURATION: _AGENT_SECONDS,
    AGENT_INFERENCE_CALLS: _CALLS,
    AGENT_TOOL_CALLS: _CALLS,
    TOOL_DURATION: _CALL_SECONDS,
    **{generation.duration: _CALL_SECONDS for generation in (RELEASED, NEWEST)},
    **{generation.time_to_first_chunk: _CALL_SECONDS for generation in (RELEASED, NEWEST)},
    **{generation.time_per_chunk: _CALL_SECONDS for generation in (RELEASED, NEWEST)},
    **{metric.name: _TOKENS for generation in (RELEASED, NEWEST) for metric in generation.tokens if not metric.counts},
}
