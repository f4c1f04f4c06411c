"""An event loop in a thread of its own: the one place where blocking code meets async code."""

from __future__ import annotations

import asyncio
import atexit
import threading
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from contextvars import Context, ContextVar, copy_context
from typing import Any, ParamSpec, TypeVar

from langswarm_sessions.errors import ConfigurationError
from langswarm_sessions.forks import fork_safe_lock, leave_to_parent, start_over_in_child
from langswarm_sessions_otel.process.endings import end_before_telemetry

__all__ = ["Bridge", "context_of_caller", "current_caller"]

P = ParamSpec("P")
T = TypeVar("T")

_caller: ContextVar[object | None] = ContextVar("langswarm_sessions_caller", default=None)
_exiting = False
_EXIT_GRACE_SECONDS = 5.0
_LISTEN_SECONDS = 0.5


class Bridge:
    """Runs coroutines on its own loop and waits for them. Started on first use; usable from any thread.

    The caller's context variables reach the coroutine. Ctrl-C cancels it and waits until it has cleaned up.
    """

    def __init__(self) -> None:
        self._lock = fork_safe_lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._forget: weakref.finalize[[asyncio.AbstractEventLoop, threading.Thread], Bridge] | None = None

    def call(self, func: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `func(*args, **kwargs)` on the bridge's loop and return its result.

        Args:
            func: A coroutine function.
            *args: Its positional arguments.
            **kwargs: Its keyword arguments.

        Raises:
            ConfigurationError: Called from the bridge's own thread, which would wait for itself.
        """
        return self._wait(context_of_caller(), func, *args, **kwargs)

    def iterate(self, make: Callable[[], AsyncIterator[T]]) -> Iterator[T]:
        """Iterate an async iterator from blocking code; closing the generator closes the iterator.

        Args:
            make: Called on the bridge's loop; returns the async iterator.
        """
        context = context_of_caller()

        async def started() -> AsyncIterator[T]:
            return make()

        source = self._wait(context, started)
        home = self._loop
        try:
            while True:
                try:
                    item = self._wait(context, source.__anext__)
                except StopAsyncIteration:
                    return
                yield item
        finally:
            close = getattr(source, "aclose", None)
            if close is not None and self._loop is home:  # a loop that was stopped has closed it
                self._wait(context, close)

    def close(self) -> None:
        """Cancel what runs on the loop, wait for it, and stop the thread. A second call does nothing."""
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is None or thread is None or not thread.is_alive():
            return
        _ask_to_stop(loop)
        if thread is not threading.current_thread():
            thread.join(_EXIT_GRACE_SECONDS)

    def end_tasks(self) -> None:
        """Cancel what runs on the loop and wait for it; the loop goes on."""
        loop = self._loop
        if loop is not None and threading.current_thread() is not self._thread:
            ending = _cancelled(loop)
            try:
                asyncio.run_coroutine_threadsafe(ending, loop).result(_EXIT_GRACE_SECONDS)
            except RuntimeError:  # closed meanwhile
                ending.close()
            except TimeoutError:
                self._loop = self._thread = None  # it ends with the process

    def _wait(self, context: Context, func: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        outcome: Future[T] = Future()
        loops: list[asyncio.AbstractEventLoop] = []
        tasks: list[asyncio.Task[None]] = []

        async def carry() -> None:
            # SystemExit and KeyboardInterrupt would stop the loop for everybody: they are carried to the caller.
            try:
                outcome.set_result(await func(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001 - it is raised where somebody waits for it
                outcome.set_exception(error)

        def start() -> None:
            loops.append(asyncio.get_running_loop())
            if outcome.set_running_or_notify_cancel():
                tasks.append(loops[0].create_task(carry(), context=context))
                tasks[0].add_done_callback(lambda _: _settle(outcome))

        try:
            self._schedule(start)
            _wait_until_done(outcome)
            return outcome.result()
        except BaseException:
            # Ctrl-C, wherever it struck: what has not started never will, what has is cancelled and waited for.
            if not outcome.cancel() and not outcome.done():
                loops[0].call_soon_threadsafe(lambda: tasks[0].cancel())
                _wait_until_done(outcome)
            raise

    def _schedule(self, start: Callable[[], None]) -> None:
        if threading.current_thread() is self._thread:
            raise ConfigurationError(
                "A blocking call was made from inside the event loop that would have to answer it (a hook, middleware "
                "or tool?). Use the async method with await there."
            )
        with self._lock:  # so that nothing is scheduled after `close` took the loop away
            loop = self._loop or self._start()
            loop.call_soon_threadsafe(start)

    def _start(self) -> asyncio.AbstractEventLoop:
        if _exiting:
            raise ConfigurationError("The interpreter is ending: no blocking call can be answered any more.")
        loop = self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=_serve, args=(loop,), name="langswarm-sessions-loop", daemon=True)
        self._thread.start()
        self._forget = weakref.finalize(self, _drop, loop, self._thread)
        self._forget.atexit = False
        _open_bridges.add(self)
        start_over_in_child(self)
        atexit.unregister(_end_all)
        atexit.register(_end_all)  # the last one goes first: what ends at exit still has its telemetry
        return loop

    def start_over(self) -> None:
        """Forget the loop of the process this one was forked from."""
        if self._loop is not None:
            _loops_of_parent.append(self._loop)
            leave_to_parent(asyncio.all_tasks(self._loop))
        if self._forget is not None:
            self._forget.detach()
        self._loop = self._thread = self._forget = None


def current_caller() -> object | None:
    """Return who is calling, in a form that stays the same from call to call: a blocking thread, or else a task."""
    return _caller.get() or asyncio.current_task()


def context_of_caller() -> Context:
    """Return a copy of the calling thread's context, in which `current_caller` is that thread."""
    # Entered here alone: the loop's thread may not have left it yet when the caller already has its outcome.
    context = copy_context()
    context.run(_caller.set, threading.current_thread())
    return context


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.close()


def _wait_until_done(outcome: Future[Any]) -> None:
    # Python hears a signal that comes just before it waits for a lock only when that wait is over.
    while not outcome.done():
        with suppress(TimeoutError):
            outcome.exception(_LISTEN_SECONDS)


def _settle(outcome: Future[T]) -> None:
    """Answer the caller of a task that was cancelled before its first step."""
    if not outcome.done():
        outcome.set_exception(asyncio.CancelledError())


def _ask_to_stop(loop: asyncio.AbstractEventLoop) -> None:
    with suppress(RuntimeError):  # closed already
        loop.call_soon_threadsafe(lambda: loop.create_task(_stop(loop)))


def _drop(loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
    _dropped.add(thread)
    _ask_to_stop(loop)


async def _cancelled(loop: asyncio.AbstractEventLoop) -> None:
    current = asyncio.current_task()
    rest = [task for task in asyncio.all_tasks(loop) if task is not current]
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)


async def _stop(loop: asyncio.AbstractEventLoop) -> None:
    await _cancelled(loop)
    await loop.shutdown_asyncgens()
    loop.stop()


_open_bridges: weakref.WeakSet[Bridge] = weakref.WeakSet()
_dropped: weakref.WeakSet[threading.Thread] = weakref.WeakSet()
_loops_of_parent: list[asyncio.AbstractEventLoop] = []  # kept: closing one would disturb the parent's


def _close_all(*_: Any) -> None:
    global _exiting
    _exiting = True  # a thread that is started now would never run
    for bridge in list(_open_bridges):
        bridge.close()


def _end_all() -> None:
    for bridge in list(_open_bridges):
        bridge.end_tasks()
    for thread in list(_dropped):
        thread.join(_EXIT_GRACE_SECONDS)


atexit.register(_close_all)
end_before_telemetry(_end_all)
