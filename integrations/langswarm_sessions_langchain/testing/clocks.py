"""A clock of the test's making, for the code of one history."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Collection, Generator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, tzinfo
from types import ModuleType
from typing import Any
from unittest.mock import patch

__all__ = ["clock_that"]


@contextmanager
def clock_that(history: object, *, steps: float, also: Collection[str] = ()) -> Generator[None]:
    """Let the wall clock stand still, or run in steps, for the packages that a history is made of.

    `time.time`, `time.time_ns` and `datetime.now` are replaced in the modules of these packages and in `time` itself;
    clocks that never go back (`time.monotonic`) are left alone, and so is the clock of a server.

    Args:
        history: Whose packages.
        steps: Seconds added at each look: 0 stands still, a negative number runs backwards.
        also: Further packages whose modules are changed.
    """
    state = [time.time()]

    def now() -> float:
        state[0] += steps
        return state[0]

    fakes = _fakes(now)
    roots = {*also, *(kind.__module__.partition(".")[0] for kind in type(history).__mro__)} - {"builtins", "abc"}
    with ExitStack() as stack:
        for module in [time, *(found for name, found in list(sys.modules.items()) if name.partition(".")[0] in roots)]:
            for name, fake in _found_in(module, fakes):
                stack.enter_context(patch.object(module, name, fake))
        yield


class _LikeDatetime(type):
    """Takes every datetime for an instance, as code that asks does."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, datetime)


def _fakes(now: Callable[[], float]) -> dict[object, object]:
    class _Clock(datetime, metaclass=_LikeDatetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.fromtimestamp(now(), tz)

        @classmethod
        def utcnow(cls) -> datetime:  # type: ignore[override]
            return datetime.fromtimestamp(now(), UTC).replace(tzinfo=None)

    return {time.time: now, time.time_ns: lambda: int(now() * 1e9), datetime: _Clock}


def _found_in(module: ModuleType, fakes: dict[object, object]) -> list[tuple[str, Any]]:
    known = {id(real): fake for real, fake in fakes.items()}
    return [(name, known[id(value)]) for name, value in list(vars(module).items()) if id(value) in known]
