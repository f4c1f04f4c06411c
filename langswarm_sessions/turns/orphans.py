"""Turns whose event loop was closed under them: nobody can run them any more, so they are ended where they stand."""

from __future__ import annotations

import asyncio
from typing import Any

from langswarm_sessions.forks import fork_safe_rlock

__all__ = ["end_orphan", "is_orphan"]

_CLEAN_UPS = 16  # places where a turn's clean-up waits for something, one within the other

_lock = fork_safe_rlock()  # a coroutine is closed by one thread at a time


def is_orphan(task: asyncio.Task[Any]) -> bool:
    """Whether a task has not ended, and its loop is closed."""
    return not task.done() and task.get_loop().is_closed()


def end_orphan(task: asyncio.Task[Any]) -> None:
    """Close the coroutine of a task that is an orphan: its spans end, and what it holds in this process is let go of.

    What its clean-up would wait for cannot come any more and is left out. A second call does nothing.

    Args:
        task: An orphan. It stays pending for ever, and asyncio does not complain of that.
    """
    coroutine = task.get_coro()
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    with _lock:
        for _ in range(_CLEAN_UPS):
            try:
                coroutine.close()
            except (RuntimeError, ValueError):  # no loop to wait on; a context that it was not begun in
                continue
            return
