"""What telemetry does a moment later than it is asked to, so that no turn waits for it."""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from collections.abc import Callable
from contextvars import Context
from typing import Final

from langswarm_sessions_otel.process.forks import start_over_in_child

__all__ = ["LATER", "Later"]

_DELAY_SECONDS: Final = 0.005  # by then a turn waits for the model, or its caller has the answer
_AT_ONCE: Final = 8  # about 0.2 ms: what else the loop has to do waits no longer
_MOST: Final = 1000


class Later:
    """Has the event loop do things soon, a few at a time; where none runs they are done at once.

    What a loop left undone that was stopped is done by another one, or by `do_all`.
    """

    __slots__ = ("__weakref__", "_asked", "_latest")

    def __init__(self) -> None:
        self.start_over()
        start_over_in_child(self)

    def start_over(self) -> None:
        """Begin with nothing to do: what was asked for before a fork is done in the parent."""
        self._asked: deque[tuple[Callable[..., object], tuple[object, ...]]] = deque()
        self._latest: Callable[[], asyncio.AbstractEventLoop | None] = _no_loop  # that will see to it

    def do(self, what: Callable[..., object], *arguments: object) -> None:
        """Have something done.

        Args:
            what: Does it, and raises nothing.
            *arguments: What it is called with.
        """
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            what(*arguments)
            return
        self._asked.append((what, arguments))
        if len(self._asked) > _MOST:  # loops that are stopped at once, one after the other
            self._do(2)
        if self._latest() is not loop:
            self._latest = weakref.ref(loop)
            loop.call_later(_DELAY_SECONDS, self._do_some, loop, context=Context())

    def do_all(self) -> None:
        """Do at once what was asked for so far."""
        self._do(len(self._asked))

    def _do_some(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            self._do(_AT_ONCE)
        finally:  # Ctrl-C may end it anywhere
            if self._asked:
                loop.call_soon(self._do_some, loop, context=Context())
            elif self._latest() is loop:
                self._latest = _no_loop

    def _do(self, count: int) -> None:
        for _ in range(count):
            try:
                what, arguments = self._asked.popleft()
            except IndexError:  # another thread did it
                return
            what(*arguments)


def _no_loop() -> None:
    return None


LATER: Final = Later()
"""That of this process."""
