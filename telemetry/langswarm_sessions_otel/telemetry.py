"""`Telemetry`: what the core calls, as it would call a logger."""

from __future__ import annotations

import functools
import os

from opentelemetry import trace
from opentelemetry._logs import LoggerProvider
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider

from langswarm_sessions_otel import semconv
from langswarm_sessions_otel.content.capture import CaptureName, ContentRecorder, Redact
from langswarm_sessions_otel.degradation import Degradation, falling_back, guarded
from langswarm_sessions_otel.events import EventLog
from langswarm_sessions_otel.instruments import Instruments
from langswarm_sessions_otel.process.forks import free_locks_of_meters
from langswarm_sessions_otel.providers import EVENTS, METRICS, SPANS, Source, process_wide_instruments, version
from langswarm_sessions_otel.scopes.jobs import JobScope
from langswarm_sessions_otel.scopes.lifecycle import HookScope, LifecycleScope
from langswarm_sessions_otel.scopes.outside import OutsideStorageScope
from langswarm_sessions_otel.scopes.scope import Recorder
from langswarm_sessions_otel.scopes.turn import TurnScope
from langswarm_sessions_otel.settings import ContentArguments, TelemetrySettings, read_settings
from langswarm_sessions_otel.silent import (
    SILENT_HOOK,
    SILENT_JOB,
    SILENT_LIFECYCLE,
    SILENT_RECORDER,
    SILENT_STORAGE,
    SILENT_TURN,
)


class Telemetry:
    """Spans and metrics of one session manager.

    It uses the OpenTelemetry API alone. Without a provider everything is a no-op; a provider that is set later, by
    anybody, is found. The environment can switch it off (``LANGSWARM_SESSIONS_TELEMETRY=off``). Nothing here raises
    into its caller, and an exception in a ``with`` block goes on untouched.

    Args:
        enabled: False for no telemetry at all.
        tracer_provider: Provider of spans; the process-wide one when None.
        meter_provider: Provider of metrics; the process-wide one when None.
        logger_provider: Provider of loggers, for events; the process-wide one when None.
        capture_content: Where messages and texts of errors are recorded: ``NO_CONTENT``, ``SPAN_ONLY``,
            ``EVENT_ONLY`` or ``SPAN_AND_EVENT``. None leaves it to
            ``OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT``, and without it nothing is recorded.
        redact: Called with the kind of content (``instructions``, ``input``, ``output``, ``tool_definitions``,
            ``tool_arguments``, ``tool_result``, ``error``) and each text, it returns what may be recorded of it; None
            for nothing. Where it fails, nothing is.
        content_limit: Characters that one attribute of content may have, at least 256; None leaves it to
            ``LANGSWARM_SESSIONS_CONTENT_LIMIT``, and without it they are 32,768.
        session_events: Whether each transition of a session is an event, ``langswarm.session.archive`` and the like;
            None leaves it to ``LANGSWARM_SESSIONS_EVENTS``.

    Raises:
        TelemetryConfigurationError: An argument is wrong.

    Example:
        >>> telemetry = Telemetry()
        >>> with telemetry.turn(session_id="s1", agent_name="session", operation="send", mode="native",
        ...                     provider="openai", model="gpt-5", stream=False) as turn:
        ...     turn.began(turn_index=1, previous=None, mode="native")
        ...     turn.finished(input_tokens=12, output_tokens=3)
    """

    __slots__ = ("_heard", "_metrics", "_recorder", "_spans")

    def __init__(
        self,
        *,
        enabled: bool = True,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        logger_provider: LoggerProvider | None = None,
        capture_content: CaptureName | None = None,
        redact: Redact | None = None,
        content_limit: int | None = None,
        session_events: bool | None = None,
    ) -> None:
        asked = ContentArguments(
            capture=capture_content, redact=redact, limit=content_limit, session_events=session_events
        )
        settings = read_settings(enabled=enabled, content=asked)
        self._spans = Source(SPANS, tracer_provider)
        self._metrics = Source(METRICS, meter_provider)
        events = Source(EVENTS, logger_provider)
        # Where it is switched off no provider is looked for: a variable that names a wrong one does no harm.
        self._recorder = self._new_recorder(settings, events) if settings.enabled else SILENT_RECORDER
        self._heard = False

    def _new_recorder(self, settings: TelemetrySettings, events: Source[LoggerProvider]) -> Recorder:
        tracer = self._spans.make(
            lambda provider: provider.get_tracer(semconv.SCOPE, version()), instead=trace.NoOpTracer
        )
        instruments = _instruments(self._metrics, settings.client_metrics)
        degradation = instruments.degradation
        content = ContentRecorder(settings.content, degradation) if settings.capture_content else None
        log = EventLog(events, details=settings.inference_events, transitions=settings.session_events)
        return Recorder(tracer, instruments, settings, degradation, content, log)

    @property
    def enabled(self) -> bool:
        """Whether telemetry is switched on."""
        return self._recorder.settings.enabled

    def _is_heard(self) -> bool:
        """Whether somebody set a provider; until then a turn costs next to nothing."""
        recorder = self._recorder
        if self._heard or not recorder.settings.enabled:
            return self._heard
        if not self._spans.is_own:
            _write_asked_spans()
        self._heard = (
            self._spans.is_heard
            or self._metrics.is_heard
            or (recorder.events is not None and recorder.events.is_heard)
            or recorder.settings.baggage
        )
        return self._heard

    @property
    def degradation(self) -> Degradation:
        """Where failures of telemetry are noted."""
        return self._recorder.degradation

    @falling_back("start", to=SILENT_TURN)
    def turn(
        self,
        *,
        session_id: str,
        agent_name: str,
        operation: str,
        mode: str,
        provider: str,
        model: str,
        stream: bool,
    ) -> TurnScope:
        """Open the span of a turn.

        Args:
            session_id: The session; grouped by backends as the conversation.
            agent_name: Configured name of the agent, else ``session``; never a user's free text.
            operation: ``send``, ``stream``, ``tool_results``, or ``run`` where somebody else answers, such as an agent
                framework.
            mode: ``native``, ``client`` or, until it is resolved, ``hybrid``.
            provider: Our name of the provider.
            model: Requested model.
            stream: Whether the caller reads a stream.

        Returns:
            A context manager whose methods are told what happens.
        """
        if not self._is_heard():
            return SILENT_TURN
        return TurnScope(
            self._recorder,
            session_id=session_id,
            agent_name=agent_name,
            operation=operation,
            mode=mode,
            provider=provider,
            model=model,
            stream=stream,
        )

    @falling_back("start", to=SILENT_LIFECYCLE)
    def lifecycle(
        self, transition: str, *, session_id: str, mode: str | None = None, provider: str | None = None
    ) -> LifecycleScope:
        """Open the span of a session's transition.

        Args:
            transition: ``create``, ``restore``, ``archive``, ``delete``, ``clear`` or ``handoff``.
            session_id: The session. Outside a turn it is not given as conversation id.
            mode: The session's strategy, None until it was read.
            provider: Our name of the provider, None until it was read.

        Returns:
            A context manager.
        """
        if not self._is_heard():
            return SILENT_LIFECYCLE
        return LifecycleScope(self._recorder, transition, session_id=session_id, mode=mode, provider=provider)

    @falling_back("start", to=SILENT_JOB)
    def job(self, name: str) -> JobScope:
        """Open the span of work over many sessions. What is done to each of them has a span of its own, below it.

        Args:
            name: ``import``, ``cleanup`` or ``purge``.

        Returns:
            A context manager; tell it what was done with `JobScope.done`.
        """
        if not self._is_heard():
            return SILENT_JOB
        return JobScope(self._recorder, name)

    @falling_back("start", to=SILENT_HOOK)
    def hook(self, *, name: str, point: str, session_id: str) -> HookScope:
        """Open the span of a user's hook. An exception marks it and is raised on.

        Args:
            name: ``ClassName.method``.
            point: Where it is called, such as ``on_message_sent``.
            session_id: The session.

        Returns:
            A context manager.
        """
        if not self._is_heard():
            return SILENT_HOOK
        return HookScope(self._recorder, name=name, point=point, session_id=session_id)

    @falling_back("start", to=SILENT_STORAGE)
    def storage(
        self, operation: str, *, backend: str, db_system: str | None = None, session_id: str | None = None
    ) -> OutsideStorageScope:
        """Open the span of a storage operation that is no step of a turn, if a span is open that it belongs to.

        Args:
            operation: ``create``, ``load``, ``append``, ``replace``, ``delete`` or ``optimize``.
            backend: Name of the storage backend.
            db_system: Its ``db.system.name``, None without a database.
            session_id: The session, None for none or many.

        Returns:
            A context manager; tell it what was done with `OutsideStorageScope.done`.
        """
        if not self._is_heard():
            return SILENT_STORAGE
        return OutsideStorageScope(
            self._recorder, operation, backend=backend, db_system=db_system, session_id=session_id
        )

    def session_opened(self, mode: str) -> None:
        """Count a session that became active.

        Args:
            mode: The session's strategy.
        """
        self._count_open(1, mode)

    def session_closed(self, mode: str) -> None:
        """Count a session that is active no more.

        Args:
            mode: The session's strategy.
        """
        self._count_open(-1, mode)

    @guarded("open_sessions")
    def _count_open(self, change: int, mode: str) -> None:
        if self._recorder.settings.enabled:
            self._recorder.instruments.open_sessions.add(change, {semconv.SESSION_MODE: mode})


@functools.cache
def _write_asked_spans() -> None:
    """Have spans written to the file that the environment names; once, with the first that could be recorded."""
    if os.environ.get(semconv.ENV_SPAN_FILE, "").strip():
        from langswarm_sessions_otel.setup.configure import write_asked_spans

        write_asked_spans()


def _instruments(source: Source[MeterProvider], client_metrics: semconv.ClientMetrics) -> Instruments:
    def made(provider: MeterProvider) -> Instruments:
        if not source.is_own:
            return process_wide_instruments(client_metrics)
        free_locks_of_meters(provider)
        return Instruments(provider.get_meter(semconv.SCOPE, version()), client_metrics)

    return source.make(made, instead=lambda: SILENT_RECORDER.instruments)
