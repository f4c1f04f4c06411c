"""Checks: long conversations. Cost is CPU time of this process, which other programs do not change."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
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
_SHORT, _LONG = 100, 1500
_CONSTANT = 4
"""Costs that differ by less than this factor are taken for the same: for a linear one it is over ten here."""
_TAIL = 20
_FLOOR_SECONDS = 0.0002


@check(GROUP, "A conversation that gets slower with every message ends as a support case.")
async def cost_of_adding(rig: Rig) -> str | None:
    """Adding a message to a long history costs no more than to a short one."""
    history = await rig.open()
    costs: list[float] = []
    for length in (_SHORT, _LONG):
        await _fill(rig, history, length - 5)
        costs.append(await _least_cost(lambda: rig.add(history, numbered(1))))
    ratio = costs[1] / costs[0]
    grown = f"{ratio:.0f} times the CPU at {_LONG} messages as at {_SHORT}"
    expect(ratio < _CONSTANT, f"one more message costs {grown}")
    return None


@check(GROUP, "The oldest messages hold the rules; whoever drops them must say so.")
async def ten_thousand_messages(rig: Rig) -> str | None:
    """More than 10,000 messages come back, all and in order, at a cost that grows with their number alone."""
    session_id = rig.new_session_id()
    history = await rig.open(session_id)
    await _fill(rig, history, _LONG)
    short = await _least_cost(lambda: rig.read(history), times=3)
    await _fill(rig, history, LARGE - _LONG, start=_LONG)
    started = time.process_time()
    said = await rig.said(await rig.open(session_id))
    ratio = (time.process_time() - started) / short
    expect(len(said) == LARGE, f"{LARGE:,} were added, {len(said):,} came back")
    expect(said == [str(at) for at in range(LARGE)], "not in the order in which they were added")
    expect(ratio < 3 * LARGE / _LONG, f"reading {LARGE:,} messages costs {ratio:.0f} times what {_LONG:,} do")
    return None


@check(GROUP, "A model is given the newest messages; the whole of a long conversation need not be read for that.")
async def cost_of_the_newest(rig: Rig) -> str | None:
    """The newest messages of a long history can be read alone, and cost what they cost in a short one."""
    opens = rig.subject.tail
    if opens is None:
        raise NotApplicable("it reads all or nothing")
    costs: list[float] = []
    for length in (_SHORT, _LONG * 2):
        session_id = rig.new_session_id()
        await _fill(rig, await rig.open(session_id), length)
        tail = await rig.open(session_id, by=lambda session: opens(session, _TAIL))
        said = await rig.said(tail)
        expect(said == [str(at) for at in range(length - _TAIL, length)], f"the newest {_TAIL} are not what it reads")
        costs.append(await _least_cost(partial(rig.read, tail)))
    expect(costs[1] < _CONSTANT * costs[0], f"they cost {costs[1] / costs[0]:.0f} times as much in a long history")
    return None


async def _fill(rig: Rig, history: BaseChatMessageHistory, count: int, *, start: int = 0) -> None:
    for at in range(start, start + count, _BATCH):
        await rig.add(history, numbered(min(_BATCH, start + count - at), start=at))


async def _least_cost(work: Callable[[], Awaitable[object]], *, times: int = 5) -> float:
    """Return the least CPU time in seconds that some work took, all threads together."""
    costs: list[float] = []
    for _ in range(times):
        started = time.process_time()
        await work()
        costs.append(time.process_time() - started)
    return max(min(costs), _FLOOR_SECONDS)
