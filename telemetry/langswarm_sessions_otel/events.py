"""Events of the Logs API: what a call of the model said, that it failed, that a session changed."""

from __future__ import annotations

from collections.abc import Mapping
from time import time_ns
from typing import Final

from opentelemetry._logs import Logger, LoggerProvider, NoOpLogger, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.util.types import AnyValue

from langswarm_sessions_otel import semconv
from langswarm_sessions_otel.content.capture import ContentRecorder, exception_type_of
from langswarm_sessions_otel.providers import Source, version

EventAttributes = dict[str, AnyValue]

_SEVERITY_TEXT: Final = {SeverityNumber.DEBUG: "DEBUG", SeverityNumber.INFO: "INFO", SeverityNumber.WARN: "WARN"}


class EventLog:
    """Emits the events of one `Telemetry`.

    Args:
        source: Whose loggers they go to.
        details: Whether every call of the model is told of.
        transitions: Whether every transition of a session is told of.
    """

    __slots__ = ("_logger", "_source", "details", "transitions")

    def __init__(self, source: Source[LoggerProvider], *, details: bool, transitions: bool) -> None:
        self._source = source
        self._logger: Logger = source.make(
            lambda provider: provider.get_logger(semconv.SCOPE, version() or ""),
            instead=lambda: NoOpLogger(semconv.SCOPE),
        )
        self.details = details
        self.transitions = transitions

    @property
    def is_heard(self) -> bool:
        """Whether somebody set a provider; until then nothing is built for an event."""
        return self._source.is_heard

    @property
    def tells_details(self) -> bool:
        """Whether calls of the model are told of to somebody."""
        return self.details and self.is_heard

    def inference_details(self, attributes: Mapping[str, AnyValue], *, context: Context | None) -> None:
        """Tell of a call of the model.

        Args:
            attributes: Those of its span, and its content in structured form if events hold it.
            context: The context of its span.
        """
        self._emit(semconv.INFERENCE_DETAILS_EVENT, attributes, context=context, severity=SeverityNumber.DEBUG)

    def failed_call(
        self,
        error: BaseException,
        attributes: Mapping[str, AnyValue],
        *,
        content: ContentRecorder | None,
        context: Context | None,
    ) -> None:
        """Tell that a call of the model failed; the text of the error is content.

        Args:
            error: What it failed with.
            attributes: Those of its span.
            content: What recorder of content there is.
            context: The context of its span.
        """
        told: EventAttributes = {**attributes, semconv.EXCEPTION_TYPE: exception_type_of(error)}
        if content is not None and content.on_events:
            told.update(content.exception(error, on_event=True))
        self._emit(semconv.EXCEPTION_EVENT, told, context=context, severity=SeverityNumber.WARN)

    def transition(self, name: str, attributes: Mapping[str, AnyValue], *, context: Context | None) -> None:
        """Tell that a session changed.

        Args:
            name: The transition, such as ``archive``.
            attributes: Those of its span.
            context: The context of its span.
        """
        self._emit(semconv.LIFECYCLE_SPAN + name, attributes, context=context, severity=SeverityNumber.INFO)

    def _emit(
        self, name: str, attributes: Mapping[str, AnyValue], *, context: Context | None, severity: SeverityNumber
    ) -> None:
        self._logger.emit(
            timestamp=time_ns(),
            context=context,
            severity_number=severity,
            severity_text=_SEVERITY_TEXT[severity],
            attributes=attributes,
            event_name=name,
        )
