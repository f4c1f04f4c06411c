"""What a process that was just forked must not inherit: locks that other threads held, and turns that run elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from langswarm_sessions_otel.process.forks import StartsOver, fork_safe_lock, fork_safe_rlock, start_over_in_child

__all__ = ["StartsOver", "fork_safe_lock", "fork_safe_rlock", "leave_to_parent", "start_over_in_child"]


def leave_to_parent(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Keep tasks that run in the parent, so that nothing ends them here: their clean-up is the parent's.

    Args:
        tasks: Copies of the parent's tasks.
    """
    for task in tasks:
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # asyncio's own way to say so
        _tasks_of_parent.append(task)


_tasks_of_parent: list[asyncio.Task[Any]] = []
