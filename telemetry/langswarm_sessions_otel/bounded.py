"""Work that may hang, waited for only so long."""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable, Sequence
from time import monotonic

from opentelemetry import metrics, trace

_logger = logging.getLogger("langswarm_sessions.telemetry")


def run_bounded(works: Sequence[Callable[[], object]], *, timeout_seconds: float) -> bool:
    """Run pieces of work side by side, each in a daemon thread, and wait for all of them.

    Args:
        works: What to run; a failure of one is logged, by its type alone, and does not keep the others from running.
        timeout_seconds: How long to wait altogether, in seconds.

    Returns:
        True if all were done in time without failing.
    """
    done: list[bool] = []

    def finish(work: Callable[[], object]) -> None:
        try:
            done.append(work() is not False)
        except Exception as error:  # noqa: BLE001 - an exporter's failure is no failure of the program
            _log_once(type(error).__name__)
            done.append(False)

    deadline = monotonic() + timeout_seconds
    threads = [threading.Thread(target=finish, args=(work,), daemon=True, name="langswarm-telemetry") for work in works]
    for thread, work in zip(threads, works, strict=True):
        try:
            thread.start()
        except RuntimeError:  # the interpreter is too far gone for new threads
            finish(work)
    for thread in threads:
        if thread.ident is not None:
            thread.join(max(0.0, deadline - monotonic()))
    return len(done) == len(works) and all(done)


@functools.cache
def _log_once(error_name: str) -> None:
    _logger.warning("telemetry could not be handed over: %s", error_name)


def flush(timeout_seconds: float = 5.0) -> bool:
    """Export what the process-wide providers still hold, whoever set them.

    For short scripts and before ``os._exit``: batches are otherwise sent every few seconds and at the normal exit.

    Args:
        timeout_seconds: How long to wait, in seconds.

    Returns:
        True if everything was handed over in time. True also when there is no SDK: nothing was held.
    """
    works: list[Callable[[], object]] = []
    for provider in (trace.get_tracer_provider(), metrics.get_meter_provider()):
        force_flush: Callable[[], object] | None = getattr(provider, "force_flush", None)
        if force_flush is not None:
            works.append(force_flush)
    return run_bounded(works, timeout_seconds=timeout_seconds)
