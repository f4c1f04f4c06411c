"""Events on their way out: what exports them, and where it stands in a provider."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from functools import partial
from typing import Final

from opentelemetry import _logs
from opentelemetry.context import Context
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor, ReadableLogRecord, ReadWriteLogRecord
from opentelemetry.sdk.resources import Resource

from langswarm_sessions_otel.providers import is_unset
from langswarm_sessions_otel.sdk.batches import BatchingProcessor
from langswarm_sessions_otel.sdk.slots import Slot, Slots

__all__ = ["BoundedLogProcessor", "EventSlot", "events_are_taken", "install_events"]

_logger = logging.getLogger("langswarm_sessions.telemetry")


class BoundedLogProcessor(BatchingProcessor[ReadableLogRecord], LogRecordProcessor):
    """Exports events."""

    _variables = "OTEL_BLRP"
    _delay_millis = 1000.0

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Put an event into the next batch."""
        record = copy.copy(log_record.log_record)
        record.context = Context()  # which may hold much on to itself
        self._batches.add(
            ReadableLogRecord(
                log_record=record,
                resource=log_record.resource or Resource.get_empty(),
                instrumentation_scope=log_record.instrumentation_scope,
                limits=log_record.limits,
            )
        )


class EventSlot(Slot[LogRecordProcessor], LogRecordProcessor):
    """The place of what `configure_telemetry` sets up for events."""

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Hand an event on."""
        for part in self.parts:
            part.on_emit(log_record)


_SLOTS: Final = Slots(EventSlot, "add_log_record_processor")


def events_are_taken() -> bool:
    """Tell whether a processor can be had."""
    provider = _logs.get_logger_provider()
    if is_unset(provider) or hasattr(provider, "add_log_record_processor"):
        return True
    _logger.info("events stay with the provider that is set already, a %s", type(provider).__qualname__)
    return False


def install_events(processor: BoundedLogProcessor, resource: Resource) -> Callable[[], None]:
    """Have a processor export events: from a provider of ours, or beside the processors of the one that is set.

    Args:
        processor: The processor.
        resource: Resource of the provider, if it has to be made.

    Returns:
        Takes the processor out again.
    """
    provider = _logs.get_logger_provider()
    if is_unset(provider):
        provider = LoggerProvider(resource, shutdown_on_exit=False)
        _logs.set_logger_provider(provider)
    slot = _SLOTS.of(provider)
    slot.put(processor)
    return partial(slot.take_out, processor)
