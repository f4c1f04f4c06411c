"""The one place where a failure of telemetry itself ends: counted, logged once, never raised."""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Callable
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from opentelemetry.metrics import Counter

from langswarm_sessions_otel import semconv

_logger = logging.getLogger("langswarm_sessions.telemetry")


class Degradation:
    """Takes note of what failed inside telemetry.

    Args:
        errors: Counter of ``langswarm.telemetry.errors``.
    """

    __slots__ = ("_errors", "_logged")

    def __init__(self, errors: Counter) -> None:
        self._errors = errors
        self._logged = False

    def note(self, stage: str, error: Exception) -> None:
        """Count a failure; the first one is logged at debug level, without its text, which may quote content.

        Args:
            stage: What telemetry was doing.
            error: What it raised.
        """
        if not self._logged:
            self._logged = True
            _logger.debug("telemetry failed while doing %r: %s", stage, type(error).__name__)
        # The meter may be what is broken.
        with contextlib.suppress(Exception):
            self._errors.add(1, {semconv.FAILED_STAGE: stage})


class Degrades(Protocol):
    """Something whose operations may fail without its caller hearing of it."""

    @property
    def degradation(self) -> Degradation:
        """Where its failures are noted."""
        ...


_Owner = TypeVar("_Owner", bound=Degrades)
_Answer = TypeVar("_Answer")
_Instead = TypeVar("_Instead")
_Arguments = ParamSpec("_Arguments")


def guarded(
    stage: str,
) -> Callable[[Callable[Concatenate[_Owner, _Arguments], None]], Callable[Concatenate[_Owner, _Arguments], None]]:
    """Make a method's failures end in its owner's `Degradation`.

    Args:
        stage: What the method does, as the metric names it.

    Returns:
        A decorator for methods that return nothing.
    """

    def decorate(
        operation: Callable[Concatenate[_Owner, _Arguments], None],
    ) -> Callable[Concatenate[_Owner, _Arguments], None]:
        @functools.wraps(operation)
        def shielded(owner: _Owner, /, *args: _Arguments.args, **kwargs: _Arguments.kwargs) -> None:
            try:
                operation(owner, *args, **kwargs)
            except Exception as error:  # noqa: BLE001 - telemetry must never fail its caller
                owner.degradation.note(stage, error)

        return shielded

    return decorate


def falling_back(
    stage: str, *, to: _Instead
) -> Callable[
    [Callable[Concatenate[_Owner, _Arguments], _Answer]], Callable[Concatenate[_Owner, _Arguments], _Answer | _Instead]
]:
    """Make a method's failures end in its owner's `Degradation`, and have it return something all the same.

    Args:
        stage: What the method does, as the metric names it.
        to: What it returns when it failed.

    Returns:
        A decorator for methods that return something.
    """

    def decorate(
        operation: Callable[Concatenate[_Owner, _Arguments], _Answer],
    ) -> Callable[Concatenate[_Owner, _Arguments], _Answer | _Instead]:
        @functools.wraps(operation)
        def shielded(owner: _Owner, /, *args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Answer | _Instead:
            try:
                return operation(owner, *args, **kwargs)
            except Exception as error:  # noqa: BLE001 - telemetry must never fail its caller
                owner.degradation.note(stage, error)
                return to

        return shielded

    return decorate
