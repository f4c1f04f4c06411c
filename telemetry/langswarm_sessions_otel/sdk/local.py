"""What writes spans on this machine, on the thread that ends them."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from time import monotonic
from typing import Final, TypeVar

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor

from langswarm_sessions_otel.process.forks import fork_safe_rlock
from langswarm_sessions_otel.sdk.delivery import count_error

_logger = logging.getLogger("langswarm_sessions.telemetry")
_SILENCE_SECONDS: Final = 600.0
_Span = TypeVar("_Span", bound=ReadableSpan)


class LocalProcessor(SpanProcessor, ABC):
    """Base of processors that write on this machine. A failure is counted, told once in a while, and changes nothing.

    Args:
        place: Where it writes to, as the log names it.
    """

    def __init__(self, place: str) -> None:
        self._place = place
        self._told: float | None = None
        self._lock = fork_safe_rlock()

    def on_end(self, span: ReadableSpan) -> None:
        """Write an ended span."""
        self._attempt(self._write, span)

    def _attempt(self, write: Callable[[_Span], None], span: _Span) -> None:
        try:
            write(span)
        except Exception as error:  # noqa: BLE001 - a full disk or a closed terminal must not fail the caller
            count_error("write")
            if self._told is None or monotonic() - self._told >= _SILENCE_SECONDS:
                self._told = monotonic()
                why = getattr(error, "strerror", None) or type(error).__name__
                _logger.warning(
                    "langswarm-sessions: spans are not written to %s (%s). Sessions go on without", self._place, why
                )

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Return True: nothing is held. Older SDKs' own says nothing, and the processors after it are left out."""
        return True

    @abstractmethod
    def _write(self, span: ReadableSpan) -> None: ...
