"""Hands batches to a receiver: counts what arrives, and says once in a while, in one line, that nothing does."""

from __future__ import annotations

import contextlib
import enum
import logging
from collections.abc import Callable
from time import monotonic
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from opentelemetry.context import (
    _SUPPRESS_INSTRUMENTATION_KEY,  # pyright: ignore[reportPrivateUsage] - there is no other name for it
    attach,
    detach,
    set_value,
)

from langswarm_sessions_otel import semconv
from langswarm_sessions_otel.providers import process_wide_instruments
from langswarm_sessions_otel.sdk.complaints import heard_complaints, overhear, remedy_of, root_of
from langswarm_sessions_otel.settings import read_settings

_logger = logging.getLogger("langswarm_sessions.telemetry.delivery")
_SILENCE_SECONDS: Final = 600.0
_LEAST_WAIT: Final = 0.5


class Exporter(Protocol):
    """What exporters of spans, metrics and logs have in common."""

    def export(self, batch: Any, /) -> Any:
        """Send a batch."""
        ...

    def shutdown(self) -> Any:
        """Let go of connections."""
        ...


class Delivery:
    """What is sent to one receiver in this process, and what becomes of it.

    Args:
        subject: What is sent, such as ``spans``.
        address: Where to; a name and a password in it are not told.
        make: Makes the exporter. A forked child makes its own: the parent's connections are not its to use.
    """

    def __init__(self, subject: str, address: str, make: Callable[[], Exporter]) -> None:
        self._subject = subject
        self._address = _without_user(address)
        self._make = make
        self.exporter: Exporter = make()
        self._of_parents: list[Exporter] = []
        overhear(self.exporter)
        self._start_counting()

    def _start_counting(self) -> None:
        self.sent = 0
        self.lost = 0
        self.why_refused: str | None = None
        self._is_current = True
        self._failure_told: float | None = None
        self._drops_told: float | None = None

    def start_over(self) -> None:
        """Begin with nothing sent, in a process just forked; an exporter is made when there is something to send."""
        self._start_counting()
        self._is_current = False

    def send(self, batch: Any, *, count: int = 1, **options: Any) -> bool:
        """Send a batch; an exporter that fails is told of, and nothing is raised.

        Args:
            batch: What the exporter takes.
            count: How many things it is.
            **options: Of the exporter's `export`.

        Returns:
            Whether it was taken.
        """
        result: object = None
        began = monotonic()
        token = attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))  # nobody's span of the export itself
        with heard_complaints() as reasons:
            try:
                result = self._own_exporter().export(batch, **options)
            except BaseException as error:  # noqa: BLE001 - whose text may quote headers; the thread goes on
                reasons.append(root_of(error))
        detach(token)
        if isinstance(result, enum.Enum) and result.name == "SUCCESS":
            self._note_success(count)
            return True
        waited = monotonic() - began
        guess = f"no answer in {waited:.1f} s" if waited >= _LEAST_WAIT else "refused"
        self._note_failure(count, [guess, *reasons][-1])
        return False

    def close(self) -> None:
        """Let go of the connection."""
        if self._is_current:
            with heard_complaints():
                self.exporter.shutdown()

    def note_dropped(self, room: int, *, variable: str) -> None:
        """Tell that something was given up because too much waits to be sent.

        Args:
            room: How many there is room for.
            variable: The variable that says so.
        """
        count_error("queue")
        if self._is_due(self._drops_told):
            self._drops_told = monotonic()
            _logger.warning(
                "langswarm-sessions: %s are given up: more than %d wait for %s; raise %s, or see why it is slow. "
                "Sessions go on without",
                self._subject,
                room,
                self._address,
                variable,
            )

    def _own_exporter(self) -> Exporter:
        if not self._is_current:
            self._of_parents.append(self.exporter)  # whose end would reach the parent's connection
            self.exporter = self._make()
            self._is_current = True
        return self.exporter

    def _note_success(self, count: int) -> None:
        self.sent += count
        if self._failure_told is not None:
            self._failure_told = None
            _logger.info("langswarm-sessions: %s are taken by %s again", self._subject, self._address)

    def _note_failure(self, count: int, reason: str) -> None:
        self.lost += count
        self.why_refused = reason
        count_error("export")
        if self._is_due(self._failure_told):
            self._failure_told = monotonic()
            _logger.warning(
                "langswarm-sessions: %s are not taken by %s (%s): %s. Sessions go on without",
                self._subject,
                self._address,
                reason,
                remedy_of(reason),
            )

    @staticmethod
    def _is_due(told: float | None) -> bool:
        return told is None or monotonic() - told >= _SILENCE_SECONDS


def count_error(stage: str) -> None:
    """Count a failure of telemetry itself, in ``langswarm.telemetry.errors`` of the process-wide provider.

    Args:
        stage: What telemetry was doing.
    """
    # The meter may be what is broken, and it may be somebody else's span that ends here.
    with contextlib.suppress(Exception):
        instruments = process_wide_instruments(read_settings().client_metrics)
        instruments.telemetry_errors.add(1, {semconv.FAILED_STAGE: stage})


def _without_user(address: str) -> str:
    try:
        parts = urlsplit(address)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.netloc else address.rpartition("@")[2]
    except ValueError:
        return "its address"
