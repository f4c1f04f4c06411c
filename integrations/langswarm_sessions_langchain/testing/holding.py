"""Holds a writer in the middle of its writing, so that what others do meanwhile is no matter of luck."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from langchain_core.messages import BaseMessage

__all__ = ["GRACE_SECONDS", "HaltingList", "halting_at"]

GRACE_SECONDS = 1.0
"""How long a writer is held where that keeps the others waiting; the least patient databases give up waiting for a lock
after five seconds."""


class HaltingList(list[BaseMessage]):
    """A list that stops whoever goes through it behind the first message, once.

    Args:
        messages: What is in it.
        halt: Called there; returns when the reader may go on.
        passes: How often it is gone through before that.
        on_loops: Whether to stop a thread whose event loop is running, and all its tasks with it.
    """

    def __init__(
        self, messages: Sequence[BaseMessage], halt: Callable[[], object], *, passes: int, on_loops: bool = False
    ) -> None:
        super().__init__(messages)
        self._halt, self._passes, self._on_loops = halt, passes, on_loops

    def __iter__(self) -> Iterator[BaseMessage]:
        """Go through the messages, and stop behind the first."""
        self._passes -= 1
        halts = self._passes == -1 and (self._on_loops or not _in_a_loop())
        for at in range(len(self)):
            yield self[at]
            if halts and not at:
                self._halt()


@contextmanager
def halting_at(call: int | None, halt: Callable[[], object]) -> Generator[list[int]]:
    """Count the calls that this thread makes, and stop it at one of them.

    Args:
        call: At which, from 1; None counts alone.
        halt: Called there; returns when the thread may go on.

    Yields:
        A list with the number of calls so far.
    """
    made = [0]

    def watch(frame: FrameType, event: str, arg: object) -> None:
        if event in ("call", "c_call"):
            made[0] += 1
            if made[0] == call:
                halt()

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        yield made
    finally:
        sys.setprofile(before)


def _in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
