"""The gate: one turn at a time, first come first served, whatever is cancelled, timed out or gone."""

from __future__ import annotations

import asyncio
import gc
import random
import threading
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langswarm_sessions.turns.line.gate import SessionGates


def empty(gates: SessionGates) -> bool:
    return not gates._lines


async def spin(rounds: int) -> None:
    for _ in range(rounds):
        await asyncio.sleep(0)


async def test_first_come_first_served() -> None:
    gates, order = SessionGates(), list[int]()

    async def turn(number: int) -> None:
        assert await gates.enter("s", seconds=60)
        order.append(number)
        await spin(2)
        gates.leave("s")

    await asyncio.gather(*(turn(number) for number in range(20)))
    assert order == list(range(20))
    assert empty(gates)


async def test_sessions_do_not_wait_for_each_other() -> None:
    gates = SessionGates()
    assert await gates.enter("a", seconds=0)
    assert await gates.enter("b", seconds=0)
    gates.leave("a")
    gates.leave("b")
    assert empty(gates)


@pytest.mark.parametrize("seconds", [0, -1])
async def test_when_the_time_is_up_one_is_not_in_and_the_others_keep_their_places(seconds: float) -> None:
    gates, entered = SessionGates(), list[str]()
    await gates.enter("s", seconds=1)

    async def patient(name: str) -> None:
        assert await gates.enter("s", seconds=60)
        entered.append(name)
        gates.leave("s")

    first = asyncio.ensure_future(patient("first"))
    await spin(1)
    impatient = asyncio.ensure_future(gates.enter("s", seconds=seconds))
    second = asyncio.ensure_future(patient("second"))
    assert await impatient is False
    assert entered == []
    gates.leave("s")
    await asyncio.gather(first, second)
    assert entered == ["first", "second"]
    assert empty(gates)


async def test_cancelled_in_the_very_moment_of_the_hand_over_the_gate_goes_on() -> None:
    gates = SessionGates()
    await gates.enter("s", seconds=60)
    victim = asyncio.ensure_future(gates.enter("s", seconds=60))
    next_one = asyncio.ensure_future(gates.enter("s", seconds=60))
    await spin(1)
    gates.leave("s")  # handed over to the victim, which does not know yet
    victim.cancel()
    with pytest.raises(asyncio.CancelledError):
        await victim
    assert await next_one is True


async def test_leaving_without_being_in_changes_nothing() -> None:
    gates = SessionGates()
    gates.leave("s")
    await gates.enter("s", seconds=60)

    async def stranger() -> None:
        gates.leave("s")

    await asyncio.ensure_future(stranger())
    assert not empty(gates)
    assert await asyncio.ensure_future(gates.enter("s", seconds=0)) is False
    gates.leave("s")
    assert empty(gates)


STEPS = st.lists(
    st.tuples(
        st.integers(0, 4),  # loop rounds before it comes
        st.integers(0, 4),  # rounds inside
        st.none() | st.integers(0, 8),  # rounds after which it is cancelled
        st.sampled_from([0.0, 60.0]),  # patience
    ),
    min_size=1,
    max_size=12,
)


@given(STEPS)
def test_whatever_is_cancelled_or_times_out_the_gate_is_neither_lost_nor_doubled(
    steps: list[tuple[int, int, int | None, float]],
) -> None:
    gates, inside = SessionGates(), set[int]()

    async def turn(number: int, before: int, within: int, patience: float) -> str:
        await spin(before)
        if not await gates.enter("s", seconds=patience):
            return "late"
        try:
            inside.add(number)
            assert inside == {number}
            await spin(within)
            return "served"
        finally:
            inside.remove(number)
            gates.leave("s")

    async def cancel(task: asyncio.Task[str], rounds: int) -> None:
        await spin(rounds)
        task.cancel()

    async def scenario() -> None:
        tasks = [
            asyncio.ensure_future(turn(number, before, within, patience))
            for number, (before, within, _, patience) in enumerate(steps)
        ]
        cancelling = [
            cancel(task, rounds) for task, (_, _, rounds, _) in zip(tasks, steps, strict=True) if rounds is not None
        ]
        await asyncio.gather(*cancelling)
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        for result, (_, _, rounds, patience) in zip(ended, steps, strict=True):
            expected = ["served"] if patience else ["served", "late"]
            assert result in expected or (rounds is not None and isinstance(result, asyncio.CancelledError)), result
        assert empty(gates)

    asyncio.run(scenario())


def in_threads(*programs: Coroutine[Any, Any, None]) -> None:
    """Run each program on a loop of its own, all at once; whatever one raises is raised."""
    failures: list[BaseException] = []

    def run(program: Coroutine[Any, Any, None]) -> None:
        try:
            asyncio.run(program)
        except BaseException as error:  # noqa: BLE001 - raised by the test
            failures.append(error)

    threads = [threading.Thread(target=run, args=(program,)) for program in programs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "a turn waits for a gate that nobody will open"
    if failures:
        raise failures[0]


@pytest.mark.parametrize("seed", range(5))
def test_many_loops_and_threads_with_cancellations(seed: int) -> None:
    gates, guard = SessionGates(), threading.Lock()
    served = [0] * 4

    async def turn(thread: int) -> None:
        assert await gates.enter("s", seconds=60)
        try:
            assert guard.acquire(blocking=False), "two turns are in at once"
            try:
                await asyncio.sleep(0)
            finally:
                guard.release()
            served[thread] += 1
        finally:
            gates.leave("s")

    async def program(thread: int) -> None:
        chance = random.Random(seed * 10 + thread)
        for _ in range(20):
            tasks = [asyncio.ensure_future(turn(thread)) for _ in range(6)]
            await spin(chance.randrange(3))
            waiting = [task for task in tasks if not task.done()]
            victims = chance.sample(waiting, min(2, len(waiting)))
            for victim in victims:
                victim.cancel()
            for result in await asyncio.gather(*tasks, return_exceptions=True):
                if result is not None and not isinstance(result, asyncio.CancelledError):
                    raise result

    in_threads(*(program(thread) for thread in range(4)))
    assert all(served)
    assert empty(gates)


def abandoned(gates: SessionGates) -> tuple[Coroutine[Any, Any, Any], asyncio.Task[Any]]:
    """Leave a turn in (or waiting at) the gate of a loop that is closed under it."""
    loop = asyncio.new_event_loop()

    async def turn() -> None:
        await gates.enter("s", seconds=60)
        try:
            await asyncio.Event().wait()
        finally:
            gates.leave("s")

    coroutine = turn()
    task = loop.create_task(coroutine)
    loop.call_soon(loop.call_soon, loop.stop)
    loop.run_forever()
    loop.close()
    assert not task.done()
    setattr(task, "_log_destroy_pending", False)  # noqa: B010 - that it is destroyed pending is the point
    return coroutine, task


def test_a_turn_whose_loop_is_gone_is_passed_over() -> None:
    gates = SessionGates()
    dead, _task = abandoned(gates)
    waiting_dead, _waiting_task = abandoned(gates)

    async def bury() -> None:
        dead.close()
        waiting_dead.close()

    async def later() -> None:
        assert await gates.enter("s", seconds=60)
        await asyncio.ensure_future(bury())  # the dead turns end at last, and must not open the gate for a third one
        assert await asyncio.ensure_future(gates.enter("s", seconds=0)) is False
        gates.leave("s")

    asyncio.run(later())
    assert empty(gates)


def test_waiters_of_live_loops_are_served_after_a_loop_died_in_the_gate() -> None:
    gates = SessionGates()
    dead, _task = abandoned(gates)
    inside, order = threading.Lock(), list[str]()

    async def turn(name: str) -> None:
        assert await gates.enter("s", seconds=60)
        assert inside.acquire(blocking=False)
        order.append(name)
        await asyncio.sleep(0)
        inside.release()
        gates.leave("s")

    async def several(name: str) -> None:
        await asyncio.gather(*(turn(f"{name}{number}") for number in range(20)))

    in_threads(several("a"), several("b"), several("c"))
    assert len(order) == 60
    assert [one for one in order if one.startswith("a")] == [f"a{number}" for number in range(20)]
    dead.close()
    gc.collect()
    assert empty(gates)


async def test_a_waiter_that_is_closed_without_cancellation_leaves_the_line() -> None:
    gates = SessionGates()
    await gates.enter("s", seconds=60)
    waiter = gates.enter("s", seconds=60)
    task = asyncio.ensure_future(waiter)
    await spin(1)
    task.cancel()
    await asyncio.wait([task])
    gates.leave("s")
    assert empty(gates)
