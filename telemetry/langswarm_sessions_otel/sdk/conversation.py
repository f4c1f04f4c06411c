"""A span processor that tells of every span inside a turn which conversation it belongs to."""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry import context as context_api
from opentelemetry.context import Context
from opentelemetry.sdk.trace import Span, SpanProcessor
from opentelemetry.util.types import AttributeValue

from langswarm_sessions_otel import semconv
from langswarm_sessions_otel.errors import TelemetryConfigurationError
from langswarm_sessions_otel.identity import TurnIdentity, turn_of


class ConversationSpanProcessor(SpanProcessor):
    """Puts the conversation's ids on every span that is started inside a turn, whoever starts it.

    Backends group spans by ``gen_ai.conversation.id`` or ``session.id``; spans of HTTP clients, databases and tools
    have neither. What a span says of itself stays. `configure_telemetry` adds one; add it yourself to a provider of
    yours, before the processors that export.

    Args:
        attributes: Names of more attributes that get the conversation's id, also on the spans of turns, for backends
            that group by names of their own.

    Raises:
        TelemetryConfigurationError: They are no names.

    Example:
        >>> from opentelemetry.sdk.trace import TracerProvider
        >>> provider = TracerProvider()
        >>> provider.add_span_processor(ConversationSpanProcessor())
        >>> provider.add_span_processor(ConversationSpanProcessor(attributes=["langsmith.metadata.session_id"]))
    """

    _names: tuple[str, ...] = ()

    def __init__(self, *, attributes: Sequence[str] = ()) -> None:
        names: tuple[object, ...] = () if isinstance(attributes, str) else tuple(attributes)
        if isinstance(attributes, str) or not all(isinstance(name, str) and name for name in names):
            raise TelemetryConfigurationError("attributes must be a list of names, such as ['thread.id'].")
        self._names = tuple(attributes)

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Name the conversation of a span that has been started."""
        scope = span.instrumentation_scope
        is_ours = scope is not None and scope.name == semconv.SCOPE  # it names its conversation, where it has one
        if is_ours and not self._names:
            return
        known = span.attributes or {}
        told: dict[str, AttributeValue] = {}
        if is_ours:
            session_id = known.get(semconv.CONVERSATION_ID)
        elif identity := _turn_around(span, parent_context):
            told.update(identity.correlation)
            session_id = identity.session_id
        else:
            return
        if session_id is None:
            return
        for name, value in {**told, **dict.fromkeys(self._names, session_id)}.items():
            if name not in known:
                span.set_attribute(name, value)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Return True: nothing is held. Older SDKs' own says nothing, and the processors after it are left out."""
        return True


def _turn_around(span: Span, parent_context: Context | None) -> TurnIdentity | None:
    identity = turn_of(parent_context)
    # A root in a context of its own was taken out of the turn on purpose.
    if identity is None and (parent_context is None or span.parent is not None):
        return turn_of(context_api.get_current())
    return identity
