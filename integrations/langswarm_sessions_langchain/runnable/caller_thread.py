"""Blocking calls of a wrapped Runnable, made in the very thread that waits for the answer.

A synchronous `invoke` waits while its turn runs on the manager's event loop. The wrapped Runnable's own synchronous
code is handed back to the waiting thread: it finds its thread-bound resources there, needs no thread of its own, and
Ctrl-C reaches it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Generator
from contextvars import Context
from typing import Generic, TypeVar, cast

from langswarm_sessions.bridge import Bridge

__all__ = ["CallerThread"]

T = TypeVar("T")
R = TypeVar("R")


class _Job:
    """One call to make in the waiting thread, in the context it was asked for in."""

    def __init__(self, func: Callable[[], object], context: Context) -> None:
        self._func = func
        self._context = context
        self._loop = asyncio.get_running_loop()
        self.done: asyncio.Future[object] = self._loop.create_future()

    def run(self) -> None:
        """Make the call, unless its turn has ended meanwhile, and tell the loop how it went."""
        if self.done.cancelled():
            return
        try:
            result = self._context.run(self._func)
        except StopIteration as error:  # a future cannot carry it
            self._tell(_failed, RuntimeError("StopIteration was raised by the wrapped Runnable"), error)
        except Exception as error:  # noqa: BLE001 - whatever it is, the turn that asked for the call gets it
            self._tell(_failed, error, error.__cause__)
        else:
            self._tell(_succeeded, result)

    def _tell(self, settle: Callable[..., None], *args: object) -> None:
        self._loop.call_soon_threadsafe(settle, self.done, *args)


class CallerThread(Generic[T]):
    """The thread that waits for one turn.

    Args:
        bridge: The event loop's thread, on which the turn runs.
    """

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self._jobs: asyncio.Queue[_Job] | None = None
        self._closers: list[Callable[[], object]] = []

    def iterate(self, make: Callable[[], AsyncIterator[T]]) -> Generator[T]:
        """Iterate an async iterator from this thread, making the calls that `run` asks for meanwhile.

        Args:
            make: Called on the bridge's loop; returns the async iterator. Closing this generator closes it.
        """
        items = cast("Generator[T | _Job]", self._bridge.iterate(lambda: self._merged(make())))
        try:
            for item in items:
                if isinstance(item, _Job):
                    item.run()
                else:
                    yield item
        finally:
            items.close()
            for close in self._closers:
                close()

    async def run(self, func: Callable[[], R], context: Context) -> R:
        """Call `func` in the waiting thread, in `context`, and return what it returned."""
        if self._jobs is None:
            raise RuntimeError("CallerThread.run needs a thread that waits in CallerThread.iterate.")
        job = _Job(func, context)
        self._jobs.put_nowait(job)
        return cast("R", await job.done)

    def at_end(self, close: Callable[[], object]) -> None:
        """Call `close` in the waiting thread once it waits no longer, however the turn ended."""
        self._closers.append(close)

    async def _merged(self, source: AsyncIterator[T]) -> AsyncIterator[T | _Job]:
        """Yield what `source` yields, and the jobs that come up while it is waited for."""
        jobs = self._jobs = asyncio.Queue[_Job]()
        step: asyncio.Task[T] | None = None
        job: asyncio.Task[_Job] | None = None
        try:
            while True:
                step = step or asyncio.ensure_future(_next(source))
                job = job or asyncio.ensure_future(jobs.get())
                await asyncio.wait((step, job), return_when=asyncio.FIRST_COMPLETED)
                if job.done():
                    call, job = job.result(), None
                    yield call
                else:
                    ended, step = step, None
                    try:
                        item = ended.result()
                    except StopAsyncIteration:
                        return
                    yield item
        finally:
            await _cancelled(step, job)
            close = getattr(source, "aclose", None)
            if close is not None:
                await close()


async def _next(source: AsyncIterator[T]) -> T:
    return await anext(source)


async def _cancelled(*tasks: asyncio.Task[T] | asyncio.Task[_Job] | None) -> None:
    running = [task for task in tasks if task is not None and not task.done()]
    for task in running:
        task.cancel()
    if running:
        await asyncio.wait(running)


def _succeeded(done: asyncio.Future[object], result: object) -> None:
    if not done.done():
        done.set_result(result)


def _failed(done: asyncio.Future[object], error: Exception, cause: BaseException | None) -> None:
    error.__cause__ = cause
    if not done.done():
        done.set_exception(error)
