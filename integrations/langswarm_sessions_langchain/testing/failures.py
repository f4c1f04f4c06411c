"""Checks: what fails is told, and leaves nothing half done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from langchain_core.messages import AIMessage, HumanMessage

from langswarm_sessions_langchain.testing.kit import Broken, NotApplicable, Rig, check, expect
from langswarm_sessions_langchain.testing.ordering import numbered
from langswarm_sessions_langchain.testing.subject import Face

if TYPE_CHECKING:
    from langchain_core.chat_history import BaseChatMessageHistory

GROUP = "failures"


@check(GROUP, "A turn that could not be stored is lost for good if nobody is told.")
async def failed_writes_raise(rig: Rig) -> str | None:
    """Adding to a backend that fails raises."""
    await _each_raises(rig, "adding", lambda history, face: rig.add(history, numbered(2), face=face))
    return None


@check(GROUP, "An empty history instead of an error lets the model forget everything, silently.")
async def failed_reads_raise(rig: Rig) -> str | None:
    """Reading from a backend that fails raises."""
    await _each_raises(rig, "reading", lambda history, face: rig.read(history, face=face))
    return None


@check(GROUP, "Who believes that a conversation is gone must be right.")
async def failed_clears_raise(rig: Rig) -> str | None:
    """Clearing a backend that fails raises."""
    await _each_raises(rig, "clearing", lambda history, face: rig.clear(history, face=face))
    return None


async def _each_raises(rig: Rig, doing: str, use: Callable[[BaseChatMessageHistory, Face], Awaitable[object]]) -> None:
    fails = rig.subject.failing
    if fails is None:
        raise NotApplicable("nothing that could fail was named")
    for face in sorted(rig.subject.faces):
        try:
            await use(await rig.open(by=fails), face)
        except Exception:  # noqa: BLE001 - told, whatever the error is
            continue
        raise Broken(f"{doing} raised nothing although the backend failed ({face})")


@check(GROUP, "Half a turn, a call without its result, is refused by every provider from then on.")
async def all_or_none(rig: Rig) -> str | None:
    """A list with a message that cannot be stored is stored whole or not at all."""
    session_id = rig.new_session_id()
    history = await rig.open(session_id)
    await rig.add(history, [HumanMessage("before")])
    unstorable = AIMessage("two", additional_kwargs={"connection": object()})
    try:
        await rig.add(history, [HumanMessage("one"), unstorable, HumanMessage("three")])
    except Exception:  # noqa: BLE001 - refusing it is fine
        refused = True
    else:
        refused = False
    said = await rig.said(await rig.open(session_id))
    expect(said[:1] == ["before"], "what was stored before is gone")
    expect(len(said) in (1, 4), f"{len(said) - 1} of 3 messages were stored")
    expect(
        refused == (len(said) == 1),
        "it raised, but stored them" if refused else "it stored nothing, and raised nothing",
    )
    await rig.add(history, [HumanMessage("after")])
    expect((await rig.said(history))[-1] == "after", "after a refused list nothing can be added")
    return None
