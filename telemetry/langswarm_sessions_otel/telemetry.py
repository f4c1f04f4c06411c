"""`Telemetry`: what the core calls, as it would call a logger."""

from __future__ import annotations

import functools

from opentelemetry import metrics, trace
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider

from langswarm_sessions_otel import semconv
from langswarm_sessions_otel.checkpoints import CheckpointScope
from langswarm_sessions_otel.degradation import Degradation, guarded
from langswarm_sessions_otel.instruments import Instruments
from langswarm_sessions_otel.lifecycle import HookScope, LifecycleScope
from langswarm_sessions_otel.scope import Recorder
from langswarm_sessions_otel.settings import read_settings
from langswarm_sessions_otel.silent import SILENT_CHECKPOINTS, SILENT_HOOK, SILENT_LIFECYCLE, SILENT_TURN
from langswarm_sessions_otel.turn import TurnScope


class Telemetry:
    """Spans and metrics of one session manager.

    It uses the OpenTelemetry API alone. Without a provider everything is a no-op; a provider that is set later, by
    anybody, is found. The environment can switch it off (``LANGSWARM_SESSIONS_TELEMETRY=off``). Nothing here raises
    into its caller, and an exception in a ``with`` block goes on untouched.

    Args:
        enabled: False for no telemetry at all.
        tracer_provider: Provider of spans; the process-wide one when None.
        meter_provider: Provider of metrics; the process-wide one when None.

    Example:
        >>> telemetry = Telemetry()
        >>> with telemetry.turn(session_id="s1", agent_name="session", operation="send", mode="native",
        ...                     provider="openai", model="gpt-5", stream=False) as turn:
        ...     turn.began(turn_index=1, previous=None, mode="native")
        ...     turn.finished(input_tokens=12, output_tokens=3)
    """

    __slots__ = ("_heard", "_meter_provider", "_recorder", "_tracer_provider")

    def __init__(
        self,
        *,
        enabled: bool = True,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        settings = read_settings(enabled=enabled)
        tracer = trace.get_tracer(semconv.SCOPE, _version(), tracer_provider)
        instruments = _instruments(meter_provider, settings.client_metrics)
        self._tracer_provider = tracer_provider
        self._meter_provider = meter_provider
        self._recorder = Recorder(tracer, instruments, settings, Degradation(instruments.telemetry_errors))
        self._heard = False

    @property
    def enabled(self) -> bool:
        """Whether telemetry is switched on."""
        return self._recorder.settings.enabled

    def _is_heard(self) -> bool:
        """Whether somebody set a provider; until then a turn costs next to nothing."""
        if self._heard or not self._recorder.settings.enabled:
            return self._heard
        self._heard = (
            _listens(self._tracer_provider or trace.get_tracer_provider())
            or _listens(self._meter_provider or metrics.get_meter_provider())
            or self._recorder.settings.baggage
        )
        return self._heard

    @property
    def degradation(self) -> Degradation:
        """Where failures of telemetry are noted."""
        return self._recorder.degradation

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
            operation: ``send``, ``stream`` or ``tool_results``.
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

    def lifecycle(
        self, transition: str, *, session_id: str, mode: str | None = None, provider: str | None = None
    ) -> LifecycleScope:
        """Open the span of a session's transition.

        Args:
            transition: ``create``, ``restore``, ``archive``, ``delete`` or ``clear``.
            session_id: The session. Outside a turn it is not given as conversation id.
            mode: The session's strategy.
            provider: Our name of the provider.

        Returns:
            A context manager.
        """
        if not self._is_heard():
            return SILENT_LIFECYCLE
        return LifecycleScope(self._recorder, transition, session_id=session_id, mode=mode, provider=provider)

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

    def checkpoints(self, operation: str, *, backend: str, db_system: str | None = None) -> CheckpointScope:
        """Open the span of a storage operation of a graph, if a span is open that it belongs to.

        Args:
            operation: ``load``, ``append`` or ``delete``.
            backend: Name of the storage backend.
            db_system: Its ``db.system.name``, None without a database.

        Returns:
            A context manager; tell it what was done with `CheckpointScope.done`.
        """
        if not self._is_heard():
            return SILENT_CHECKPOINTS
        return CheckpointScope(self._recorder, operation, backend=backend, db_system=db_system)

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


def _listens(provider: TracerProvider | MeterProvider) -> bool:
    """Whether a provider is anybody's: those of the API itself record nothing."""
    return not type(provider).__module__.startswith(("opentelemetry.trace", "opentelemetry.metrics"))


@functools.cache
def _version() -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(semconv.DISTRIBUTION)
    except PackageNotFoundError:  # a source tree on the path
        return None


def _instruments(provider: MeterProvider | None, client_metrics: semconv.ClientMetrics) -> Instruments:
    if provider is None:
        return _process_wide_instruments(client_metrics)
    return Instruments(provider.get_meter(semconv.SCOPE, _version()), client_metrics)


# Made once: without an SDK the API's meter keeps every instrument it ever made.
@functools.cache
def _process_wide_instruments(client_metrics: semconv.ClientMetrics) -> Instruments:
    return Instruments(metrics.get_meter(semconv.SCOPE, _version() or ""), client_metrics)
