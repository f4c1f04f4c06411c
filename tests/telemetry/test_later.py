"""What telemetry puts off: no turn waits for it, it is done soon and in order, and whoever collects has it all."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.context import attach, detach, get_value, set_value
from opentelemetry.sdk.metrics import MeterProvider

from langswarm_sessions import SessionManager
from langswarm_sessions_otel import Telemetry
from langswarm_sessions_otel.process.later import _AT_ONCE, _MOST, LATER, Later
from tests.session.kit import until

if TYPE_CHECKING:
    from tests.support.recorded import Recorded


_Histogram = type(MeterProvider(shutdown_on_exit=False).get_meter("any").create_histogram("any"))


@pytest.fixture
def later() -> Later:
    return Later()


async def test_a_turn_answers_before_its_measurements_are_told(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    usual: Any = _Histogram.record

    def record(instrument: Any, *measured: Any) -> None:
        told.append(instrument.name)
        usual(instrument, *measured)

    monkeypatch.setattr(_Histogram, "record", record)
    monkeypatch.setattr("langswarm_sessions_otel.process.later._DELAY_SECONDS", 600.0)
    async with SessionManager("memory", telemetry=recorded.telemetry()) as manager:
        session = await manager.create_session("user", "mock", "m")
        LATER.do_all()
        told.clear()
        await session.send_message("hello")
        assert told == []
        LATER.do_all()
        assert "langswarm.session.turn.duration" in told
    [point] = recorded.points("langswarm.session.turn.duration")
    assert (point.attributes or {})["gen_ai.request.model"] == "m"
    assert point.exemplars, "it is of the turn's span still"


async def test_whoever_collects_has_what_was_put_off(recorded: Recorded) -> None:
    async with SessionManager("memory", telemetry=recorded.telemetry()) as manager:
        session = await manager.create_session("user", "mock", "m")
        await session.send_message("hello")
        [point] = recorded.points("langswarm.session.turn.duration")
        assert getattr(point, "count", None) == 1


async def test_a_measurement_outside_of_spans_is_not_of_the_span_that_collects(
    recorded: Recorded, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("langswarm_sessions_otel.process.later._DELAY_SECONDS", 600.0)
    with telemetry.storage("load", backend="memory"):
        pass
    with recorded.tracer_provider.get_tracer("any").start_as_current_span("a scrape") as span:
        [point] = recorded.points("langswarm.storage.operation.duration")
        scrape = span.get_span_context().trace_id
    assert getattr(point, "count", None) == 1
    assert scrape not in [exemplar.trace_id for exemplar in point.exemplars]


async def test_all_is_done_in_order_a_few_at_a_time(later: Later) -> None:
    done: list[int | str] = []
    loop = asyncio.get_running_loop()
    later.do(loop.call_soon, done.append, "the loop's own")
    for number in range(3 * _AT_ONCE):
        later.do(done.append, number)
    assert done == []
    await until(lambda: len(done) > 3 * _AT_ONCE)
    assert done.index("the loop's own") < _AT_ONCE
    done.remove("the loop's own")
    assert done == list(range(3 * _AT_ONCE))


def test_without_a_loop_it_is_done_at_once(later: Later) -> None:
    done: list[int] = []
    later.do(done.append, 1)
    assert done == [1]


async def test_what_a_stopped_loop_left_another_one_does(later: Later) -> None:
    done: list[int] = []

    async def ask(number: int) -> None:
        later.do(done.append, number)

    def one_loop_after_the_other() -> None:
        for number in range(_MOST + 50):
            asyncio.run(ask(number))

    await asyncio.to_thread(one_loop_after_the_other)
    assert len(done) >= 50, "no more is held than there is room for"
    later.do(done.append, -1)
    await until(lambda: done[-1] == -1)
    assert done == [*range(_MOST + 50), -1]


async def test_a_loop_that_goes_on_after_a_stop_does_it(later: Later) -> None:
    done: list[int] = []

    async def ask() -> None:
        later.do(done.append, 1)

    def stopped_and_gone_on() -> None:
        with asyncio.Runner() as runner:
            runner.run(ask())
            runner.run(until(lambda: done == [1]))

    await asyncio.to_thread(stopped_and_gone_on)


async def test_a_loop_whose_first_call_ctrl_c_kept_from_being_made_does_it(
    later: Later, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[int] = []
    with monkeypatch.context() as patch:
        patch.setattr(asyncio.get_running_loop(), "call_later", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            later.do(done.append, 1)
    later.do(done.append, 2)
    await until(lambda: done == [1, 2])


async def test_a_loop_that_ctrl_c_struck_goes_on(later: Later, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[int] = []

    async def ask_and_wait(patch: pytest.MonkeyPatch) -> None:
        later.do(patch.setattr, asyncio.get_running_loop(), "call_later", _interrupted)
        for number in range(_AT_ONCE):
            later.do(done.append, number)
        await asyncio.sleep(60)

    async def ask_once_more() -> None:
        later.do(done.append, -1)
        await until(lambda: done == [*range(_AT_ONCE), -1])

    def struck_and_gone_on() -> None:
        with asyncio.Runner() as runner:
            with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
                runner.run(ask_and_wait(patch))
            runner.run(ask_once_more())

    await asyncio.to_thread(struck_and_gone_on)


def _interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_threads_with_loops_lose_nothing(later: Later) -> None:
    done: list[int] = []

    async def ask(first: int) -> None:
        for number in range(first, first + 500):
            later.do(done.append, number)
            if number % 7 == 0:
                await asyncio.sleep(0)
        await until(lambda: len(done) == 2000)

    threads = [threading.Thread(target=asyncio.run, args=(ask(500 * each),)) for each in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(done) == list(range(2000))


async def test_a_forked_child_does_nothing_of_its_parents(later: Later) -> None:
    done: list[int] = []
    later.do(done.append, 1)
    assert _done_in_a_fork(later, done) == 0
    later.do_all()
    assert done == [1]


def _done_in_a_fork(later: Later, done: list[int]) -> int:
    if (child := os.fork()) == 0:
        later.do_all()
        os._exit(len(done))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


async def test_it_is_done_outside_of_the_turns_context(later: Later) -> None:
    seen: list[object] = []
    token = attach(set_value("turn", "this one"))
    later.do(lambda: seen.append(get_value("turn")))
    detach(token)
    await until(lambda: bool(seen))
    assert seen == [None]


async def test_who_does_all_of_it_or_what_is_too_much_keeps_its_context_to_itself(later: Later) -> None:
    seen: list[object] = []
    for _ in range(_MOST):
        later.do(lambda: seen.append(get_value("turn")))
    token = attach(set_value("turn", "another one"))
    later.do(lambda: seen.append(get_value("turn")))
    assert seen == [None, None], "there was no room for more"
    later.do_all()
    detach(token)
    assert seen == [None] * (_MOST + 1)
