"""Spans on their way out: what exports them, and where it stands in a provider."""

from __future__ import annotations

from typing import Final

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor

from langswarm_sessions_otel.process.later import LATER
from langswarm_sessions_otel.sdk.batches import BatchingProcessor
from langswarm_sessions_otel.sdk.conversation import ConversationSpanProcessor
from langswarm_sessions_otel.sdk.delivery import Delivery
from langswarm_sessions_otel.sdk.slots import Slot, Slots
from langswarm_sessions_otel.sdk.waiting import WaitingSpan, WaitingSpans

__all__ = ["SPAN_SLOTS", "BoundedSpanProcessor", "SpanSlot"]


class BoundedSpanProcessor(BatchingProcessor[WaitingSpan], SpanProcessor):
    """Exports spans.

    Args:
        delivery: Where they go.
        shutdown_timeout: Seconds that `shutdown` and `force_flush` may take.
    """

    _variables = "OTEL_BSP"
    _delay_millis = 5000.0

    def __init__(self, delivery: Delivery, *, shutdown_timeout: float) -> None:
        super().__init__(delivery, shutdown_timeout=shutdown_timeout, made=WaitingSpan.as_span)
        self._form = WaitingSpans()

    def on_end(self, span: ReadableSpan) -> None:
        """Put an ended span into the next batch."""
        context = span.context
        if context is not None and context.trace_flags.sampled:
            waiting = WaitingSpan(span, self._form)
            self._batches.add(waiting)
            LATER.put_off(waiting.shrink)  # not at once: the processors after this one may still redact it


class SpanSlot(Slot[SpanProcessor], ConversationSpanProcessor):
    """The place of what `configure_telemetry` sets up for spans; it names conversations while anything stands in it."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Name the conversation of a span that has been started, and hand it on."""
        if self.parts:
            super().on_start(span, parent_context)
        for part in self.parts:
            part.on_start(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        """Hand an ended span on."""
        for part in self.parts:
            part.on_end(span)


SPAN_SLOTS: Final = Slots(SpanSlot, "add_span_processor")
"""Where in each provider of spans."""
