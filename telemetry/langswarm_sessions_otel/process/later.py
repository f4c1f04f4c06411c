"""What telemetry does a moment later than it is asked to, so that no turn waits for it."""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from collections.abc import Callable
from contextvars import Context
from typing import Final

from langswarm_sessions_otel.process.forks import fork_safe_rlock, start_over_in_child

__all__ = ["LATER", "Later"]

_DELAY_SECONDS: Final = 0.005  # by then a turn waits for the model, or its caller has the answer
_AT_ONCE: Final = 8  # about 0.2 ms: what else the loop has to do waits no longer
_MOST: Final = 1000
_PATIENCE_SECONDS: Final = 0.5  # that a collection has with a loop that does not come to an end


class Later:
    """Has the event loop do things soon, a few at a time.

    What a loop left undone that was stopped is done by another one, or by `do_all`.
    """

    __slots__ = ("__weakref__", "_asked", "_doing", "_latest")

    def __init__(self) -> None:
        self._doing = fork_safe_rlock()
        self.start_over()
        start_over_in_child(self)

    def start_over(self) -> None:
        """Begin with nothing to do: what was asked for before a fork is done in the parent."""
        self._asked: deque[tuple[Callable[..., object], tuple[object, ...]]] = deque()
        self._latest: Callable[[], asyncio.AbstractEventLoop | None] = _no_loop  # that will see to it

    def do(self, what: Callable[..., object], *arguments: object) -> None:
        """Have something done; where no event loop runs, at once.

        Args:
            what: Does it, and raises nothing.
            *arguments: What it is called with.
        """
        if not self.put_off(what, *arguments):
            what(*arguments)

    def put_off(self, what: Callable[..., object], *arguments: object) -> bool:
        """Have something done later; False where no event loop runs that would.

        Args:
            what: Does it, and raises nothing.
            *arguments: What it is called with.
        """
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return False
        self._asked.append((what, arguments))
        if len(self._asked) > _MOST:  # loops that are stopped at once, one after the other
            self._do(2)
        if self._latest() is not loop:
            loop.call_later(_DELAY_SECONDS, self._do_some, loop, context=Context())
            self._latest = weakref.ref(loop)  # not before: Ctrl-C may have kept the call from being made
        return True

    def do_all(self) -> None:
        """Do at once what was asked for so far; when it returns, no loop is in the midst of any of it."""
        self._do(len(self._asked), patience_seconds=_PATIENCE_SECONDS)

    def _do_some(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._latest() is loop:
            self._latest = _no_loop  # Ctrl-C may end it anywhere: the next one has the loop called again
        delay = _DELAY_SECONDS  # unless this is what gets on with it
        try:
            delay = 0.0 if self._do(_AT_ONCE) else delay
        finally:
            if self._asked:
                loop.call_later(delay, self._do_some, loop, context=Context())
                self._latest = weakref.ref(loop)

    def _do(self, count: int, *, patience_seconds: float = 0.0) -> bool:
        """Do the oldest; False where another thread is at it for longer."""
        if not self._doing.acquire(timeout=patience_seconds):
            return False
        try:
            apart = Context()  # what is current here is the business of another turn, or of who collects
            for _ in range(min(count, len(self._asked))):
                what, arguments = self._asked.popleft()
                apart.run(what, *arguments)
        finally:
            self._doing.release()
        return True


def _no_loop() -> None:
    return None


LATER: Final = Later()
"""That of this process."""
