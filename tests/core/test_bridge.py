"""The bridge: blocking calls into a loop thread, and every way out of them."""

from __future__ import annotations

import _thread
import asyncio
import gc
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextvars import ContextVar
from typing import Any

import pytest

from langswarm_sessions.bridge import Bridge
from langswarm_sessions.errors import ConfigurationError

WORD: ContextVar[str] = ContextVar("WORD", default="unset")
Program = Callable[[], Coroutine[Any, Any, Any]]


@pytest.fixture
def bridge() -> Iterator[Bridge]:
    bridge = Bridge()
    yield bridge
    bridge.close()


LoopThreads = Callable[[], list[threading.Thread]]


@pytest.fixture
def loop_threads() -> LoopThreads:
    """Tell which threads of bridges the test has; another test's ends when the garbage collector comes by."""
    before = threading.enumerate()
    name = "langswarm-sessions-loop"
    return lambda: [one for one in threading.enumerate() if one.name == name and one not in before]


async def double(value: int, *, plus: int = 0) -> int:
    await asyncio.sleep(0)
    return value * 2 + plus


def test_it_starts_on_first_use_and_returns_what_the_coroutine_does(bridge: Bridge, loop_threads: LoopThreads) -> None:
    assert not loop_threads()
    assert bridge.call(double, 2, plus=1) == 5
    assert bridge.call(double, 3) == 6
    assert len(loop_threads()) == 1
    bridge.close()
    bridge.close()
    assert not loop_threads()
    assert bridge.call(double, 4) == 8


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError()])
def test_whatever_is_raised_is_carried_to_the_caller_and_the_loop_goes_on(bridge: Bridge, error: BaseException) -> None:
    async def fail() -> None:
        raise error

    with pytest.raises(type(error)) as no:
        bridge.call(fail)
    assert no.value is error
    assert bridge.call(double, 1) == 2


def test_the_callers_context_reaches_the_coroutine_and_comes_back_unchanged(bridge: Bridge) -> None:
    async def read_and_set() -> str:
        before = WORD.get()
        WORD.set("inside")
        return before

    token = WORD.set("mine")
    try:
        assert bridge.call(read_and_set) == "mine"
        assert WORD.get() == "mine"
        assert bridge.call(read_and_set) == "mine"
    finally:
        WORD.reset(token)


def test_it_works_inside_a_running_loop_and_from_many_threads(bridge: Bridge) -> None:
    async def inside() -> int:
        return bridge.call(double, 5)

    assert asyncio.run(inside()) == 10
    results: list[int] = []

    def call(number: int) -> None:
        results.extend(bridge.call(double, number) for _ in range(50))

    threads = [threading.Thread(target=call, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == sorted(number * 2 for number in range(8) for _ in range(50))


def test_a_call_from_its_own_thread_is_refused_instead_of_waiting_for_ever(bridge: Bridge) -> None:
    async def call_back() -> int:
        return bridge.call(double, 1)

    with pytest.raises(ConfigurationError, match="Use the async method with await there"):
        bridge.call(call_back)
    assert bridge.call(double, 1) == 2


class Work:
    """Something that runs until it is cancelled, and says how it ended."""

    def __init__(self) -> None:
        self.started, self.cleaned_up = threading.Event(), threading.Event()

    async def __call__(self) -> None:
        self.started.set()
        try:
            await asyncio.Event().wait()
        finally:
            for _ in range(20):
                await asyncio.sleep(0)
            self.cleaned_up.set()


def test_ctrl_c_cancels_and_waits_until_it_has_cleaned_up(bridge: Bridge) -> None:
    work = Work()

    def press() -> None:
        work.started.wait()
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    threading.Thread(target=press).start()
    with pytest.raises(KeyboardInterrupt):
        bridge.call(work)
    assert work.cleaned_up.is_set()
    assert bridge.call(double, 1) == 2


def test_ctrl_c_is_heard_that_came_just_before_the_wait(bridge: Bridge) -> None:
    work, heard = Work(), threading.Event()
    main = threading.main_thread().ident or 0

    def press() -> None:
        work.started.wait()
        while sys._current_frames()[main].f_code.co_name != "wait":
            pass
        _thread.interrupt_main()  # as a signal between the last look for one and the wait: it wakes nobody up
        if not heard.wait(30):
            signal.pthread_kill(main, signal.SIGINT)

    presser = threading.Thread(target=press)
    presser.start()
    with pytest.raises(KeyboardInterrupt):
        bridge.call(work)
    was_late = not presser.is_alive()
    heard.set()
    presser.join()
    assert not was_late
    assert work.cleaned_up.is_set()


@pytest.mark.parametrize("at", [1, 2])
def test_ctrl_c_before_the_first_step_ends_the_call(bridge: Bridge, at: int) -> None:
    bridge.call(double, 1)
    blocked, go_on, ran = threading.Event(), threading.Event(), threading.Event()

    async def block_the_loop() -> None:
        blocked.set()
        go_on.wait()

    async def never() -> None:
        ran.set()
        await asyncio.Event().wait()

    blocker = threading.Thread(target=bridge.call, args=(block_the_loop,))
    blocker.start()
    blocked.wait()

    def interrupted(callback: Callable[..., object], *args: Any, **kwargs: Any) -> None:
        if at == 2:
            schedule(callback, *args, **kwargs)
        raise KeyboardInterrupt

    loop = bridge._loop
    assert loop is not None
    schedule = loop.call_soon_threadsafe
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "call_soon_threadsafe", interrupted)
        with pytest.raises(KeyboardInterrupt):
            bridge.call(never)
    go_on.set()
    blocker.join()
    assert bridge.call(double, 1) == 2
    assert not ran.is_set()


def test_a_task_cancelled_before_its_first_step_answers_its_caller(bridge: Bridge) -> None:
    """A coroutine that never began cannot say how it ended."""

    async def cancel_the_next(started: threading.Event, go_on: threading.Event) -> None:
        started.set()
        go_on.wait()
        await asyncio.sleep(0)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    started, go_on = threading.Event(), threading.Event()
    canceller = threading.Thread(target=bridge.call, args=(cancel_the_next, started, go_on))
    canceller.start()
    started.wait()
    loop = bridge._loop
    assert loop is not None
    create, schedule = loop.create_task, loop.call_soon_threadsafe

    def cancelled(*args: Any, **kwargs: Any) -> Any:
        task = create(*args, **kwargs)
        task.cancel()
        return task

    def let_go(*args: Any, **kwargs: Any) -> Any:
        handle = schedule(*args, **kwargs)
        go_on.set()
        return handle

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "create_task", cancelled)
        patch.setattr(loop, "call_soon_threadsafe", let_go)
        with pytest.raises(asyncio.CancelledError):
            bridge.call(double, 1)
    canceller.join()
    assert bridge.call(double, 1) == 2


def test_closing_ends_what_runs_and_answers_its_caller(bridge: Bridge) -> None:
    work, ended = Work(), list[BaseException]()

    def call() -> None:
        try:
            bridge.call(work)
        except BaseException as error:  # noqa: BLE001 - looked at below
            ended.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    work.started.wait()
    bridge.close()
    thread.join(30)
    assert not thread.is_alive()
    assert work.cleaned_up.is_set()
    assert isinstance(ended[0], asyncio.CancelledError)


@pytest.mark.parametrize("_", range(20))
def test_calls_that_race_with_closing_are_answered(_: int) -> None:
    bridge, together = Bridge(), threading.Barrier(5)
    bridge.call(double, 1)
    answered: list[object] = []

    def call() -> None:
        together.wait()
        for _ in range(5):
            try:
                answered.append(bridge.call(double, 1))
            except asyncio.CancelledError as error:
                answered.append(error)

    threads = [threading.Thread(target=call, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    together.wait()
    bridge.close()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive(), "a call was never answered"
    assert len(answered) == 20
    bridge.close()


class Numbers:
    """An async iterator that notes how it ended."""

    def __init__(self) -> None:
        self.closed: list[str] = []

    async def __call__(self) -> AsyncIterator[int]:
        try:
            for number in range(3):
                await asyncio.sleep(0)
                yield number
        finally:
            await asyncio.sleep(0)
            self.closed.append(threading.current_thread().name)


def test_iterating_gives_every_item_and_closes(bridge: Bridge) -> None:
    numbers = Numbers()
    assert list(bridge.iterate(numbers)) == [0, 1, 2]
    assert numbers.closed == ["langswarm-sessions-loop"]


def test_an_iterator_keeps_one_context_from_its_first_step_to_its_last(bridge: Bridge) -> None:
    async def words() -> AsyncIterator[str]:
        yield WORD.get()
        WORD.set("inside")
        yield WORD.get()
        yield WORD.get()

    token = WORD.set("mine")
    try:
        items = bridge.iterate(words)
        assert next(items) == "mine"
        WORD.set("changed meanwhile")
        assert list(items) == ["inside", "inside"]
        assert WORD.get() == "changed meanwhile"
    finally:
        WORD.reset(token)


def test_a_reader_does_not_meet_the_loop_in_its_context(bridge: Bridge) -> None:
    async def count() -> AsyncIterator[int]:
        for at in range(300):
            yield at

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # so that the loop is stopped between telling the outcome and leaving the context
    try:
        readers = [threading.Thread(target=lambda: read.append(list(bridge.iterate(count)))) for _ in range(4)]
        read: list[list[int]] = []
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
    finally:
        sys.setswitchinterval(interval)
    assert read == [list(range(300))] * 4


def test_leaving_early_closes_the_iterator_on_its_loop(bridge: Bridge) -> None:
    numbers = Numbers()
    items = bridge.iterate(numbers)
    assert next(items) == 0
    assert not numbers.closed
    items.close()  # type: ignore[attr-defined]
    assert numbers.closed == ["langswarm-sessions-loop"]


def test_an_error_of_the_iterator_reaches_the_reader(bridge: Bridge) -> None:
    async def failing() -> AsyncIterator[int]:
        yield 1
        raise ValueError

    items = bridge.iterate(failing)
    assert next(items) == 1
    with pytest.raises(ValueError):
        next(items)


def test_an_iterator_without_aclose_is_iterated_too(bridge: Bridge) -> None:
    class Once:
        def __init__(self) -> None:
            self.left = [1]

        def __aiter__(self) -> Once:
            return self

        async def __anext__(self) -> int:
            if not self.left:
                raise StopAsyncIteration
            return self.left.pop()

    assert list(bridge.iterate(Once)) == [1]


def test_a_dropped_bridge_stops_its_thread(loop_threads: LoopThreads) -> None:
    bridge = Bridge()
    bridge.call(double, 1)
    [thread] = loop_threads()
    del bridge
    gc.collect()
    thread.join(30)
    assert not thread.is_alive()
