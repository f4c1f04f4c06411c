"""Checks: what is read comes in the order in which it was added."""

from __future__ import annotations

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from langswarm_sessions_langchain.testing.clocks import clock_that
from langswarm_sessions_langchain.testing.kit import Rig, check, expect

__all__ = ["numbered"]

GROUP = "ordering"


def numbered(count: int, *, start: int = 0) -> list[BaseMessage]:
    """Return questions and answers by turns, each saying its number."""
    return [(HumanMessage if at % 2 == 0 else AIMessage)(str(at)) for at in range(start, start + count)]


@check(GROUP, "A model that is given a conversation in another order answers something else.")
async def one_by_one(rig: Rig) -> str | None:
    """Messages added one after the other."""
    history = await rig.open()
    for message in numbered(30):
        await rig.add(history, [message])
    _in_order(await rig.said(history), 30)
    return None


@check(GROUP, "A turn with tools is one list of many messages; a result before its call is refused by every provider.")
async def long_lists(rig: Rig) -> str | None:
    """Long lists, one after the other."""
    history = await rig.open()
    await rig.add(history, numbered(300))
    await rig.add(history, numbered(300, start=300))
    await rig.add(history, [])
    _in_order(await rig.said(history), 600)
    return None


@check(GROUP, "Messages written within one tick of a clock, or after it was set back, must not change places.")
async def clock_stands_or_goes_back(rig: Rig) -> str | None:
    """The clock stands still, then runs backwards; another opener reads."""
    session_id = rig.new_session_id()
    history = await rig.open(session_id)
    await rig.read(history)
    with clock_that(history, steps=0.0, also=rig.subject.clocks):
        for message in numbered(6):
            await rig.add(history, [message])
        await rig.add(history, numbered(6, start=6))
    with clock_that(history, steps=-1.0, also=rig.subject.clocks):
        for message in numbered(6, start=12):
            await rig.add(history, [message])
        await rig.add(history, numbered(6, start=18))
    _in_order(await rig.said(await rig.open(session_id)), 24)
    return None


def _in_order(said: list[str], count: int) -> None:
    expect(sorted(said, key=_number) == [str(at) for at in range(count)], f"{count} were added, {len(said)} came back")
    first = next((at for at, text in enumerate(said) if text != str(at)), None)
    expect(first is None, f"out of order from message {first} on")


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else -1
