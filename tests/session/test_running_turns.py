"""`session.start_turn`: a turn that goes on when its readers leave."""

from __future__ import annotations

import asyncio

import pytest

from langswarm_sessions import (
    IncompleteStreamError,
    InvalidInputError,
    ProviderUnavailableError,
    Session,
    SessionManager,
    TurnState,
    create_session_manager,
)
from langswarm_sessions.turns import RunningTurn
from tests.session.kit import Gate, leftovers

PIECES = ("one ", "two ", "three ", "four")


async def stored(session: Session) -> list[tuple[str, str]]:
    return [(message.content, message.status.value) for message in await session.get_messages()]


async def start(session: Session, open_pieces: int = 0) -> tuple[RunningTurn, Gate]:
    gate = Gate(*PIECES, open_pieces=open_pieces)
    session.provider_session.set_responses([gate])
    turn = await session.start_turn("count")
    await gate.asked.wait()
    return turn, gate


async def read(turn: RunningTurn, *, after: int = 0, chunks: int = 99) -> list[tuple[int, str]]:
    """Read some chunks, and leave."""
    found: list[tuple[int, str]] = []
    reader = turn.read(after)
    async for chunk in reader:
        found.append((chunk.sequence, chunk.text))
        if len(found) == chunks:
            break
    await reader.aclose()
    return found


async def test_it_goes_on_without_a_reader(session: Session) -> None:
    turn, gate = await start(session)
    assert not turn.is_done
    gate.let()
    assert (await turn.result()).content == "".join(PIECES)
    assert await stored(session) == [("count", "completed"), ("".join(PIECES), "completed")]
    assert turn.is_done


async def test_a_reader_that_comes_back_misses_nothing(session: Session) -> None:
    turn, gate = await start(session, open_pieces=2)
    assert await read(turn, chunks=2) == [(1, "one "), (2, "two ")]
    gate.let()
    again = session.get_turn(turn.id)
    assert await read(again, after=2) == [(3, "three "), (4, "four")]
    assert await read(again) == list(enumerate(PIECES, 1)), "also after its end"
    assert await read(again, after=4) == []


async def test_many_readers_read_the_same(session: Session) -> None:
    turn, gate = await start(session)
    readers = [asyncio.ensure_future(read(turn, after=after)) for after in (0, 0, 1, 3)]
    gate.let()
    assert [len(chunks) for chunks in await asyncio.gather(*readers)] == [4, 4, 3, 1]


async def test_a_waiter_that_is_cancelled_ends_nothing(session: Session) -> None:
    turn, gate = await start(session)
    waiting, reading = asyncio.ensure_future(turn.result()), asyncio.ensure_future(read(turn))
    await asyncio.sleep(0)
    for task in (waiting, reading):
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    gate.let()
    assert (await turn.result()).status is TurnState.COMPLETED


async def test_cancelling_keeps_what_was_said(session: Session, manager: SessionManager) -> None:
    turn, _ = await start(session, open_pieces=2)
    assert await read(turn, chunks=2) == [(1, "one "), (2, "two ")]
    await turn.cancel()
    await turn.cancel()
    assert await stored(session) == [("count", "interrupted"), ("one two ", "interrupted")]
    with pytest.raises(IncompleteStreamError, match="cancelled"):
        await turn.result()
    with pytest.raises(IncompleteStreamError):
        await read(turn)
    assert await leftovers(manager) == []
    assert (await session.send_message("next")).content == "Mock response to: next"


async def test_a_turn_that_fails_says_so_to_every_reader(session: Session) -> None:
    session.provider_session.fail_next("unavailable", times=9)
    turn = await session.start_turn("hi")
    for _ in range(2):
        with pytest.raises(ProviderUnavailableError):
            await read(turn)
    assert await stored(session) == [("hi", "failed")]


async def test_the_next_turn_waits_for_it(session: Session) -> None:
    turn, gate = await start(session)
    asking = asyncio.ensure_future(session.send_message("next"))
    gate.let()
    assert (await asking).content == "Mock response to: next"
    assert turn.is_done


async def test_closing_the_manager_keeps_what_was_said(session: Session, manager: SessionManager) -> None:
    turn, _ = await start(session, open_pieces=1)
    assert await read(turn, chunks=1) == [(1, "one ")]
    await manager.close()
    with pytest.raises(IncompleteStreamError):
        await turn.result()


async def test_what_is_wrong_is_named(session: Session) -> None:
    with pytest.raises(InvalidInputError, match="content"):
        await session.start_turn("")
    with pytest.raises(InvalidInputError, match="get_messages"):
        session.get_turn("nope")
    turn, gate = await start(session)
    gate.let()
    for wrong in (-1, "1", True):
        with pytest.raises(InvalidInputError, match="after"):
            await read(turn, after=wrong)  # type: ignore[arg-type]
    assert "one" not in repr(turn)
    await turn.result()


async def test_only_so_many_ended_turns_are_kept(session: Session) -> None:
    turns = [await session.start_turn(str(number)) for number in range(70)]
    for turn in turns:
        await turn.result()
    await (await session.start_turn("last")).result()
    with pytest.raises(InvalidInputError):
        session.get_turn(turns[0].id)
    assert session.get_turn(turns[-1].id) is turns[-1]


def test_it_has_a_blocking_twin() -> None:
    with create_session_manager(storage="memory", blocking=True) as manager:
        session = manager.create_session("user", "mock", "m")
        turn = session.start_turn("a b")
        chunks = list(turn.read())
        assert "".join(chunk.text for chunk in chunks) == turn.result().content == "Mock response to: a b"
        assert list(session.get_turn(turn.id).read(after=chunks[-1].sequence)) == []
        turn.cancel()
        assert turn.is_done
