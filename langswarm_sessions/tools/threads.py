"""Running a blocking function beside the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from typing import TypeVar

__all__ = ["in_thread"]

T = TypeVar("T")


async def in_thread(function: Callable[[], T], *, name: str) -> T:
    """Run a function in a thread of its own and return its result.

    Not in the loop's pool: one function that hangs there would hold up others, and the end of the program. Nothing can
    stop a thread: when the caller is cancelled the function runs on by itself, and what it returns is dropped.

    Args:
        function: What to run; it sees the caller's context variables.
        name: The thread's name.
    """
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if outcome.done():
            return
        if error is None:
            outcome.set_result(result)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        else:
            outcome.set_exception(error)

    def work() -> None:
        result: T | None = None
        error: BaseException | None = None
        try:
            result = function()
        except (StopIteration, SystemExit, KeyboardInterrupt, GeneratorExit) as raised:
            error = RuntimeError(type(raised).__name__)  # no future takes the first; the others would end the loop
            error.__cause__ = raised
        except BaseException as raised:  # noqa: BLE001 - it is raised where somebody waits for it
            error = raised
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=copy_context().run, args=(work,), name=name, daemon=True).start()
    return await outcome
