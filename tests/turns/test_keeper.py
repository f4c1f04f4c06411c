"""The keeper of leases: nothing that happens to one of them ends the keeping of the others."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

import pytest

from langswarm_sessions.records import Lease
from langswarm_sessions.turns.line.keeper import LeaseKeeper

ONE, OTHER = (Lease(session_id="s", turn_id=turn_id, fence=1) for turn_id in ("one", "other"))


class Beaten:
    """A storage that is only beaten: first with what it is told to do, then well."""

    def __init__(self, *outcomes: BaseException | list[Lease]) -> None:
        self.outcomes = list(outcomes)
        self.beats = threading.Semaphore(0)
        self.meanwhile: Callable[[], object] = list

    def beat(self, leases: Sequence[Lease], expires_at: datetime) -> list[Lease]:
        outcome = self.outcomes.pop(0) if self.outcomes else []
        if outcome:
            self.meanwhile()
        try:
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome
        finally:
            self.beats.release()

    async def wait(self, beats: int) -> None:
        for _ in range(beats):
            assert await asyncio.to_thread(self.beats.acquire, timeout=10), "no beat came"


@pytest.fixture
def keepers() -> Iterator[list[LeaseKeeper]]:
    made: list[LeaseKeeper] = []
    yield made
    for keeper in made:
        keeper.close()


def keeper_of(storage: Any, keepers: list[LeaseKeeper]) -> LeaseKeeper:
    keepers.append(LeaseKeeper(storage, lease_seconds=0.03))
    return keepers[0]


def unexpected() -> None:
    raise AssertionError("nobody took it over")


async def test_a_failing_beat_is_tried_again(keepers: list[LeaseKeeper], caplog: pytest.LogCaptureFixture) -> None:
    storage = Beaten(OSError("canary"))
    keeper_of(storage, keepers).hold(ONE, unexpected)
    await storage.wait(3)
    assert [record.getMessage() for record in caplog.records] == [
        "Leases could not be extended (OSError); trying again."
    ]


async def test_a_loop_that_was_closed_takes_no_lease_but_its_own(keepers: list[LeaseKeeper]) -> None:
    storage = Beaten([], [], [ONE, OTHER])
    keeper = keeper_of(storage, keepers)
    lost = asyncio.Event()
    loop = asyncio.new_event_loop()

    async def hold() -> None:
        keeper.hold(ONE, unexpected)

    await asyncio.to_thread(loop.run_until_complete, hold())
    keeper.hold(OTHER, lost.set)
    storage.meanwhile = loop.close
    await asyncio.wait_for(lost.wait(), 10)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_thread_that_died_is_replaced_with_the_next_turn(keepers: list[LeaseKeeper]) -> None:
    storage = Beaten(SystemExit())
    keeper = keeper_of(storage, keepers)
    keeper.hold(ONE, unexpected)
    thread: Any = keeper._thread
    await storage.wait(1)
    await asyncio.to_thread(thread.join, 10)
    keeper.hold(OTHER, unexpected)
    await storage.wait(2)
