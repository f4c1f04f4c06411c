"""Events: everyone hears everything in order, and nobody who does not listen is waited for."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from langswarm_sessions.errors import InvalidInputError
from langswarm_sessions.events import EventBus, EventStream, EventType, Overflow, SessionEvent


def publish(bus: EventBus, *names: str) -> None:
    for name in names:
        bus.publish(EventType.MESSAGE_SENT, session_id=name, user_id="u")


async def drained(stream: EventStream) -> list[str]:
    stream.close()
    return [event.session_id async for event in stream]


async def test_every_subscriber_hears_everything_in_order_from_the_call_on() -> None:
    bus = EventBus()
    publish(bus, "before")
    first = bus.subscribe()
    publish(bus, "1", "2")
    second = bus.subscribe()
    publish(bus, "3")
    assert await drained(first) == ["1", "2", "3"]
    assert await drained(second) == ["3"]


async def test_an_event_says_what_happened() -> None:
    bus = EventBus()
    stream = bus.subscribe()
    bus.publish(EventType.MESSAGE_SENT, session_id="s", user_id="u", preview="x" * 101)
    event = await anext(stream)
    assert (event.type, event.session_id, event.user_id) == ("message_sent", "s", "u")
    assert event.message_preview == "x" * 100
    assert event.timestamp.tzinfo is not None
    assert "xxx" not in repr(event)


@pytest.mark.parametrize(
    ("policy", "kept", "dropped"),
    [("drop_oldest", ["3", "4"], 2), (Overflow.DROP_NEWEST, ["1", "2"], 2), ("close", ["1", "2"], 1)],
)
async def test_a_full_queue(policy: str, kept: list[str], dropped: int) -> None:
    bus = EventBus()
    stream = bus.subscribe(max_queue=2, overflow=policy)
    publish(bus, "1", "2", "3", "4")
    assert stream.dropped == dropped
    assert await drained(stream) == kept


async def test_overflow_ends_a_stream_that_is_to_close() -> None:
    bus = EventBus()
    stream = bus.subscribe(max_queue=1, overflow="close")
    publish(bus, "1", "2", "3")
    assert [event.session_id async for event in stream] == ["1"]


@pytest.mark.parametrize("size", [0, -1, True, 1.5, "3", None])
def test_a_wrong_size_is_named(size: Any) -> None:
    with pytest.raises(InvalidInputError, match="max_queue must"):
        EventBus().subscribe(max_queue=size)


@pytest.mark.parametrize("policy", ["block", None, 5])
def test_a_wrong_policy_is_named(policy: Any) -> None:
    with pytest.raises(InvalidInputError, match="overflow must be one of drop_oldest, drop_newest, close"):
        EventBus().subscribe(overflow=policy)


async def waits(stream: EventStream) -> asyncio.Task[SessionEvent]:
    """Return a reader that is waiting."""
    task = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    assert not task.done()
    return task


async def test_a_waiting_reader_is_woken_by_an_event_and_by_the_end() -> None:
    bus = EventBus()
    stream = bus.subscribe()
    task = await waits(stream)
    publish(bus, "1")
    assert (await task).session_id == "1"
    task = await waits(stream)
    await stream.aclose()
    with pytest.raises(StopAsyncIteration):
        await task


async def test_several_readers_of_one_stream_share_its_events() -> None:
    bus = EventBus()
    stream = bus.subscribe()
    first, second = await waits(stream), await waits(stream)
    publish(bus, "1")
    publish(bus, "2")
    assert {(await first).session_id, (await second).session_id} == {"1", "2"}


async def test_a_reader_that_gave_up_takes_no_event_with_it() -> None:
    bus = EventBus()
    stream = bus.subscribe()
    for _ in range(3):
        task = await waits(stream)
        task.cancel()
        await asyncio.wait([task])
    publish(bus, "1")
    assert (await anext(stream)).session_id == "1"


def in_thread(act: Callable[[], None]) -> None:
    thread = threading.Thread(target=act)
    thread.start()
    thread.join()


async def test_an_event_from_another_thread_wakes_the_reader() -> None:
    bus = EventBus()
    task = await waits(stream := bus.subscribe())
    in_thread(lambda: publish(bus, "1"))
    assert (await task).session_id == "1"
    task = await waits(stream)
    in_thread(stream.close)
    with pytest.raises(StopAsyncIteration):
        await task


async def test_an_event_of_another_loop_reaches_the_reader() -> None:
    bus = EventBus()
    task = await waits(bus.subscribe())

    async def elsewhere() -> None:
        publish(bus, "1")

    in_thread(lambda: asyncio.run(elsewhere()))
    assert (await task).session_id == "1"


def test_a_reader_whose_loop_is_gone_holds_nobody_up() -> None:
    bus = EventBus()
    stream = bus.subscribe()
    loop = asyncio.new_event_loop()
    waiting = stream.__anext__()
    reader = loop.create_task(waiting)
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
    publish(bus, "1", "2")

    async def read() -> list[str]:
        return await drained(stream)

    assert asyncio.run(read()) == ["1", "2"]
    waiting.close()
    assert not reader.done()


async def test_threads_publish_each_in_order_while_one_reads() -> None:
    bus = EventBus()
    stream = bus.subscribe(max_queue=100_000)
    together = threading.Barrier(4)

    def tell(name: str) -> None:
        together.wait()
        publish(bus, *(f"{name}-{number}" for number in range(500)))

    threads = [threading.Thread(target=tell, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    heard = [(await anext(stream)).session_id for _ in range(2000)]
    for thread in threads:
        thread.join()
    for name in "abcd":
        assert [one for one in heard if one.startswith(name)] == [f"{name}-{number}" for number in range(500)]


async def test_two_subscribers_hear_concurrent_events_in_the_same_order() -> None:
    bus = EventBus()
    first, second = bus.subscribe(max_queue=10_000), bus.subscribe(max_queue=10_000)
    threads = [threading.Thread(target=publish, args=(bus, *[f"{n}{i}" for i in range(300)])) for n in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert await drained(first) == await drained(second)


def test_a_reader_that_never_reads_costs_its_queue_and_no_more() -> None:
    bus = EventBus()
    slow = bus.subscribe(max_queue=10)
    publish(bus, *map(str, range(10_000)))
    assert slow.dropped == 9_990


def test_a_dropped_stream_is_unsubscribed() -> None:
    bus = EventBus()
    stream = bus.subscribe()
    known = weakref.ref(stream)
    del stream
    gc.collect()
    assert known() is None
    publish(bus, "1")


async def test_leaving_the_block_unsubscribes_and_what_was_queued_can_be_read() -> None:
    bus = EventBus()
    async with bus.subscribe() as stream:
        publish(bus, "1")
    publish(bus, "2")
    assert [event.session_id async for event in stream] == ["1"]


async def test_closing_the_bus_ends_every_stream() -> None:
    bus = EventBus()
    streams = [bus.subscribe(), bus.subscribe()]
    publish(bus, "1")
    task = asyncio.ensure_future(anext(streams[0]))
    bus.close()
    assert (await task).session_id == "1"
    assert [event.session_id async for event in streams[1]] == ["1"]


async def test_whoever_subscribes_after_the_end_reads_nothing_and_waits_for_nothing() -> None:
    bus = EventBus()
    bus.close()
    stream = bus.subscribe()
    publish(bus, "after")
    async with asyncio.timeout(5):
        assert [event async for event in stream] == []
