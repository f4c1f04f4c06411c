"""What one has in hand of telemetry that was set up: flush it, end it, and see that it ends with the process."""

from __future__ import annotations

import atexit
import logging
import multiprocessing.util
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from langswarm_sessions_otel.process.bounded import checked_wait, wait_for
from langswarm_sessions_otel.process.endings import end_what_runs
from langswarm_sessions_otel.process.flushing import OPEN_OUTLETS
from langswarm_sessions_otel.process.outlet import Outlet
from langswarm_sessions_otel.setup.request import TelemetryRequest

__all__ = ["SetUp", "TelemetryHandle"]

_logger = logging.getLogger("langswarm_sessions.telemetry.delivery")


@dataclass(frozen=True, slots=True, kw_only=True)
class SetUp:
    """What was set up.

    Attributes:
        outlets: The ways that telemetry leaves the process.
        spans: The one of them that spans take, None if none does.
        leave: Takes it out of its providers, which stay; called more than once.
    """

    outlets: tuple[Outlet, ...] = ()
    spans: Outlet | None = None
    leave: Callable[[], None] = lambda: None


class TelemetryHandle:
    """What `configure_telemetry` set up. As a context manager it shuts that down at the end of the block.

    Args:
        request: What was asked for.
        set_up: What was set up for it.

    Example:
        >>> with configure_telemetry(service_name="support-bot", span_file="spans.jsonl") as telemetry:
        ...     telemetry.force_flush()
        True
    """

    __slots__ = ("__weakref__", "_closed", "_finalizer", "_set_up", "request")

    def __init__(self, request: TelemetryRequest, set_up: SetUp) -> None:
        self.request = request
        self._set_up = set_up
        self._closed = False
        OPEN_OUTLETS.update(set_up.outlets)
        # Registered after a provider's own exit handler, hence run before it: ours is bounded.
        atexit.register(self._end_with_process)
        self._finalize_with_process()
        multiprocessing.util.register_after_fork(self, TelemetryHandle._finalize_with_process)

    @property
    def closed(self) -> bool:
        """Whether it was shut down."""
        return self._closed

    @property
    def is_cut_off(self) -> bool:
        """Whether something of it was shut down with a provider, by whoever did that."""
        return not self._closed and any(outlet.closed for outlet in self._set_up.outlets)

    @property
    def lost_spans(self) -> int:
        """How many spans of this process were given up: no room for them, or their receiver did not take them.

        After `shutdown` it counts every span that did not arrive.
        """
        return 0 if self._set_up.spans is None else self._set_up.spans.lost

    def force_flush(self, timeout_seconds: float = 5.0) -> bool:
        """Hand over what is held back for the next batch.

        Args:
            timeout_seconds: How long to wait, in seconds.

        Returns:
            True if everything since the last time was taken, and in time. After `shutdown`, what that returned:
            nothing is held any more.

        Raises:
            TelemetryConfigurationError: `timeout_seconds` is no number.
        """
        timeout = checked_wait(timeout_seconds)
        flushes = [outlet.begin_flush() for outlet in self._set_up.outlets]
        return wait_for(flushes, timeout_seconds=timeout)

    def shutdown(self, timeout_seconds: float | None = None) -> bool:
        """Hand over what is held and stop; later spans go nowhere. Providers stay set, as they can be set only once.

        Args:
            timeout_seconds: How long to wait, in seconds; the ``shutdown_timeout`` of the set-up when None.

        Returns:
            True if everything since the last flush was taken, and in time; from the second call on, what became of the
            first one.

        Raises:
            TelemetryConfigurationError: `timeout_seconds` is no number.
        """
        timeout = self.request.shutdown_timeout if timeout_seconds is None else checked_wait(timeout_seconds)
        is_first, self._closed = not self._closed, True
        self._set_up.leave()
        ends = [outlet.begin_shutdown(timeout) for outlet in self._set_up.outlets]
        self._leave_exits()
        stopped = wait_for(ends, timeout_seconds=timeout)
        if is_first and not stopped and self.lost_spans:
            _logger.warning("langswarm-sessions: spans that were not delivered before the end: %d", self.lost_spans)
        return stopped

    def __enter__(self) -> TelemetryHandle:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.shutdown()

    def __repr__(self) -> str:
        state = "shut down" if self._closed else f"{self.lost_spans} spans lost"
        return f"<TelemetryHandle of {self.request.service_name or 'the process'}, {state}>"

    def _finalize_with_process(self) -> None:
        """A child of multiprocessing leaves without running what is registered with atexit."""
        if not self._closed:
            self._finalizer = multiprocessing.util.Finalize(None, self._end_with_process, exitpriority=0)

    def _leave_exits(self) -> None:
        OPEN_OUTLETS.difference_update(self._set_up.outlets)
        atexit.unregister(self._end_with_process)
        self._finalizer.cancel()

    def _end_with_process(self) -> None:
        self._leave_exits()
        try:
            try:
                end_what_runs()
                self.shutdown()
            except SystemExit:  # the handler of a signal asks for the end that is under way
                self.shutdown()
        except KeyboardInterrupt:
            for outlet in self._set_up.outlets:
                outlet.begin_shutdown(0.0)
            _logger.warning("langswarm-sessions: the end was interrupted: %d spans not delivered", self.lost_spans)
