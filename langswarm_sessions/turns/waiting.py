"""Waiting for work that must not be cut short."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["to_the_end"]

T = TypeVar("T")


async def to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Await `work` to its end and return its result, even if the caller is cancelled meanwhile.

    Args:
        work: Runs in a task of its own.

    Raises:
        asyncio.CancelledError: The caller was cancelled meanwhile; the work is done nevertheless.
        RuntimeError: The caller's loop is closed, and the caller with it: the work is not begun.
    """
    try:
        task = asyncio.get_running_loop().create_task(work)
    except RuntimeError:
        work.close()
        raise
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    result = task.result()
    if cancelled is not None:
        raise cancelled
    return result
