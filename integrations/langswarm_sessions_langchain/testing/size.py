"""Checks: long conversations. Cost is CPU time of this process, which other programs do not change."""

from __future__ import annotations

import gc
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from langswarm_sessions_langchain.testing.kit import NotApplicable, Rig, check, expect
from langswarm_sessions_langchain.testing.ordering import numbered

if TYPE_CHECKING:
    from langchain_core.chat_history import BaseChatMessageHistory

GROUP = "large histories"
LARGE = 10_050
"""More than 10,000, where some stop reading."""
_BATCH = 150
_SHORT, _LONG = 50, 1500
_EARLY = 400
"""What grows with the conversation shows here already, before it takes hours to make it long."""
_CONSTANT = 4
"""Costs that differ by less than this factor are taken for the same: for linear ones it is 8 and 30 here."""
_TAIL = 20
_FLOOR_SECONDS = 0.0002


@check(GROUP, "A conversation that gets slower with every message ends as a support case.")
async def cost_of_adding(rig: Rig) -> str | None:
    """Adding a message to a long history costs no more than to a short one."""
    await _Growing(rig, await rig.open()).expect_cheap_adding()
    return None


@check(GROUP, "The oldest messages hold the rules; whoever drops them must say so.")
async def ten_thousand_messages(rig: Rig) -> str | None:
    """More than 10,000 messages come back, all and in order, at a cost that grows with their number alone."""
    session_id = rig.new_session_id()
    history = await rig.open(session_id)
    growing = _Growing(rig, history)
    await growing.expect_cheap_adding(f"; {LARGE:,} messages are out of its reach")
    short = await _least_cost(lambda: rig.read(history), times=3)
    await growing.fill(LARGE)
    with _cpu_time() as costs:
        said = await rig.said(await rig.open(session_id))
    expect(len(said) == LARGE, f"{LARGE:,} were added, {len(said):,} came back")
    expect(said == [str(at) for at in range(LARGE)], "not in the order in which they were added")
    dear = f"reading {LARGE:,} messages costs over {3 * LARGE / _LONG:.0f} times what {_LONG:,} do"
    expect(costs[0] < 3 * short * LARGE / _LONG, dear)
    return None


@check(GROUP, "A model is given the newest messages; the whole of a long conversation need not be read for that.")
async def cost_of_the_newest(rig: Rig) -> str | None:
    """The newest messages of a long history can be read alone, and cost what they cost in a short one."""
    opens = rig.subject.tail
    if opens is None:
        raise NotApplicable("it reads all or nothing")
    costs: list[float] = []
    for length in (_SHORT, _LONG):
        session_id = rig.new_session_id()
        await _Growing(rig, await rig.open(session_id)).fill(length)
        tail = await rig.open(session_id, by=lambda session: opens(session, _TAIL))
        said = await rig.said(tail)
        expect(said == [str(at) for at in range(length - _TAIL, length)], f"the newest {_TAIL} are not what it reads")
        costs.append(await _least_cost(partial(rig.read, tail)))
    dear = f"they cost over {_CONSTANT} times as much CPU in a history of {_LONG:,} messages as in one of {_SHORT}"
    expect(costs[1] < _CONSTANT * costs[0], dear)
    return None


@dataclass(slots=True)
class _Growing:
    """A history that is made longer and longer: its messages say their numbers."""

    rig: Rig
    history: BaseChatMessageHistory
    length: int = 0

    async def fill(self, length: int) -> None:
        """Add messages until there are so many."""
        while self.length < length:
            count = min(_BATCH, length - self.length)
            await self.rig.add(self.history, numbered(count, start=self.length))
            self.length += count

    async def expect_cheap_adding(self, otherwise: str = "") -> None:
        """Make it long, and check that one more message costs what it costs in a short history."""
        await self.fill(_SHORT)
        at_first = await _least_cost(self._add_one)
        dear = f"one more message costs over {_CONSTANT} times as much CPU in a long history as in a short one"
        for length in (_EARLY, _LONG):
            await self.fill(length)
            expect(await _least_cost(self._add_one) < _CONSTANT * at_first, dear + otherwise)

    async def _add_one(self) -> None:
        await self.fill(self.length + 1)


async def _least_cost(work: Callable[[], Awaitable[object]], *, times: int = 5) -> float:
    """Return the least CPU time in seconds that some work took, all threads together."""
    least: list[float] = []
    for _ in range(times):
        with _cpu_time() as costs:
            await work()
        least += costs
    return max(min(least), _FLOOR_SECONDS)


@contextmanager
def _cpu_time() -> Generator[list[float]]:
    """Measure CPU time in seconds, without that of collecting other code's garbage.

    Yields:
        A list that the seconds are put into at the end.
    """
    costs: list[float] = []
    collects = gc.isenabled()
    gc.disable()
    started = time.process_time()
    try:
        yield costs
    finally:
        costs.append(time.process_time() - started)
        if collects:
            gc.enable()
