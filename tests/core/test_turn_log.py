"""The log of a turn: its reader sets the pace, and decides what becomes of it by leaving."""

from __future__ import annotations

import asyncio

import pytest

from langswarm_sessions.config import OnDisconnect
from langswarm_sessions.interfaces import TextDelta
from langswarm_sessions.turns.readers.log import Interruption, TurnInterrupted, TurnLog


def log(*, paced: bool = True, idle: float = 60, on_disconnect: OnDisconnect = OnDisconnect.INTERRUPT) -> TurnLog:
    return TurnLog(paced=paced, idle_seconds=idle, on_disconnect=on_disconnect)


async def say(turn: TurnLog, *texts: str) -> None:
    """Be a turn: say each text when it is wanted, then finish."""
    try:
        for text in texts:
            await turn.wanted()
            turn.say(TextDelta(text))
    finally:
        turn.finish()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def read_all(turn: TurnLog) -> list[str]:
    texts: list[str] = []
    while (delta := await turn.read(len(texts))) is not None:
        texts.append(delta.text)
    return texts


async def test_a_paced_turn_says_no_more_than_is_asked_for() -> None:
    turn = log()
    task = asyncio.ensure_future(say(turn, "a", "b", "c"))
    await settle()
    assert turn.text == ""
    for number, text in enumerate("abc"):
        delta = await turn.read(number)
        await settle()
        assert delta is not None
        assert (delta.text, turn.text) == (text, "abc"[: number + 1])
    assert await turn.read(3) is None
    await task


async def test_an_unpaced_turn_runs_through_and_can_be_read_afterwards() -> None:
    turn = log(paced=False, idle=0)
    await say(turn, "a", "b")
    assert await read_all(turn) == ["a", "b"]
    assert turn.text == "ab"


async def test_a_reader_that_only_wants_the_end_lets_it_run_through() -> None:
    turn = log()
    task = asyncio.ensure_future(say(turn, "a", "b"))
    await settle()
    turn.run_through()
    await task
    assert turn.text == "ab"


async def test_reading_ahead_and_again_gives_what_was_said() -> None:
    turn = log()
    task = asyncio.ensure_future(say(turn, "a", "b"))
    later = await turn.read(1)
    again = await turn.read(0)
    assert later is not None
    assert again is not None
    assert (later.text, again.text) == ("b", "a")
    assert await turn.read(2) is None
    await task


async def test_a_reader_that_does_not_come_back_ends_the_turn() -> None:
    turn = log(idle=0)
    with pytest.raises(TurnInterrupted) as ended:
        await turn.wanted()
    assert ended.value.reason is turn.interruption is Interruption.IDLE
    with pytest.raises(TurnInterrupted):
        await turn.wanted()


async def test_or_lets_it_finish_if_the_session_says_so() -> None:
    turn = log(idle=0, on_disconnect=OnDisconnect.FINISH)
    await say(turn, "a", "b")
    assert turn.text == "ab"
    assert turn.interruption is None


async def test_a_reader_that_leaves_interrupts_what_was_not_read() -> None:
    turn = log()
    task = asyncio.ensure_future(say(turn, "a", "b", "c"))
    await turn.read(0)
    assert turn.disconnect() is True
    with pytest.raises(TurnInterrupted) as ended:
        await task
    assert ended.value.reason is Interruption.ABANDONED
    assert turn.text == "a"


async def test_or_lets_the_rest_be_said() -> None:
    turn = log(on_disconnect=OnDisconnect.FINISH)
    task = asyncio.ensure_future(say(turn, "a", "b", "c"))
    await turn.read(0)
    assert turn.disconnect() is False
    await task
    assert turn.text == "abc"


async def test_the_first_reason_stands() -> None:
    turn = log()
    turn.interrupt(Interruption.LEASE_LOST)
    turn.interrupt(Interruption.CANCELLED)
    assert turn.disconnect() is True
    with pytest.raises(TurnInterrupted) as ended:
        turn.raise_if_interrupted()
    assert ended.value.reason is Interruption.LEASE_LOST


async def test_an_interruption_is_no_exception_an_adapter_could_translate() -> None:
    assert not issubclass(TurnInterrupted, Exception)


async def test_a_waiting_reader_is_woken_by_the_end() -> None:
    turn = log()
    reader = asyncio.ensure_future(turn.read(0))
    await settle()
    assert not reader.done()
    turn.finish()
    assert await reader is None


async def test_a_cancelled_reader_can_come_back() -> None:
    turn = log()
    reader = asyncio.ensure_future(turn.read(0))
    await settle()
    reader.cancel()
    await asyncio.wait([reader])
    task = asyncio.ensure_future(say(turn, "a"))
    assert await read_all(turn) == ["a"]
    await task


async def test_a_cancelled_turn_leaves_no_one_to_wake() -> None:
    turn = log()
    task = asyncio.ensure_future(say(turn, "a"))
    await settle()
    task.cancel()
    await asyncio.wait([task])
    assert await turn.read(0) is None


async def test_a_new_attempt_starts_from_nothing() -> None:
    turn = log(paced=False)
    turn.say(TextDelta("half"))
    turn.restart()
    await say(turn, "whole")
    assert turn.text == "whole"


async def test_a_turn_knows_the_task_that_left_it_unread() -> None:
    turn = log()
    task = asyncio.ensure_future(say(turn, "a", "b"))
    assert turn.is_left_by(asyncio.current_task()) is False
    await turn.read(0)
    await settle()
    assert turn.is_left_by(asyncio.current_task()) is True
    assert turn.is_left_by(task) is False
    assert turn.is_left_by(None) is False
    await turn.read(1)
    await task
    assert turn.is_left_by(asyncio.current_task()) is False
