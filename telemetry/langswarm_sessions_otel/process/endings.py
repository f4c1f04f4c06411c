"""What has to end before the last telemetry is sent: turns that still run when the process ends have spans, too."""

from __future__ import annotations

import logging
from collections.abc import Callable

__all__ = ["end_before_telemetry", "end_what_runs"]

_logger = logging.getLogger("langswarm_sessions.telemetry")
_ends: list[Callable[[], None]] = []


def end_before_telemetry(end: Callable[[], None]) -> None:
    """Have something ended at the exit of the process before telemetry is sent for the last time.

    Handlers of exits run in the order in which they were registered, the last one first: what was made before
    telemetry was set up would end too late.

    Args:
        end: Ends it; called more than once.
    """
    _ends.append(end)


def end_what_runs() -> None:
    """End what was registered, in the main thread of a process that ends."""
    for end in _ends:
        try:
            end()
        except Exception as error:  # noqa: BLE001 - what does not end well keeps no telemetry from being sent
            _logger.warning("langswarm-sessions: what still ran could not be ended: %s", type(error).__name__)
