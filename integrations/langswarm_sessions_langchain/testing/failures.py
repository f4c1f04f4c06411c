"""Checks: what fails is told, and leaves nothing half done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from langchain_core.messages import AIMessage, HumanMessage

from langswarm_sessions_langchain.testing.kit import Broken, NotApplicable, Rig, check, error_of, expect
from langswarm_sessions_langchain.testing.ordering import numbered
from langswarm_sessions_langchain.testing.subject import Face, OpenHistory

if TYPE_CHECKING:
    from langchain_core.chat_history import BaseChatMessageHistory

GROUP = "failures"


@check(GROUP, "A turn that could not be stored is lost for good if nobody is told.")
async def failed_writes_raise(rig: Rig) -> str | None:
    """Adding to a backend that fails raises."""
    return await _each_raises(rig, "adding", lambda history, face: rig.add(history, numbered(2), face=face))


@check(GROUP, "An empty history instead of an error lets the model forget everything, silently.")
async def failed_reads_raise(rig: Rig) -> str | None:
    """Reading from a backend that fails raises."""
    return await _each_raises(rig, "reading", lambda history, face: rig.read(history, face=face))


@check(GROUP, "Who believes that a conversation is gone must be right.")
async def failed_clears_raise(rig: Rig) -> str | None:
    """Clearing a backend that fails raises."""
    return await _each_raises(rig, "clearing", lambda history, face: rig.clear(history, face=face))


async def _each_raises(rig: Rig, doing: str, use: Callable[[BaseChatMessageHistory, Face], Awaitable[object]]) -> str:
    fails = rig.subject.failing
    if fails is None:
        raise NotApplicable("nothing that could fail was named")
    raised: list[str] = []
    for face in sorted(rig.subject.faces):
        history = await _opened_to_fail(rig, fails)
        error = await error_of(use(history, face))
        expect(error is not None, f"{doing} raised nothing although the backend failed ({face})")
        raised.append(type(error).__name__)
    return f"raises {' and '.join(dict.fromkeys(raised))}"


async def _opened_to_fail(rig: Rig, fails: OpenHistory) -> BaseChatMessageHistory:
    """Open the history whose backend fails; it is using it that must raise."""
    opened: list[BaseChatMessageHistory] = []

    async def open_it() -> None:
        opened.append(await rig.open(by=fails))

    error = await error_of(open_it())
    if error is not None:
        raise Broken("`failing` itself raised: it must open the history, and break its backend then") from error
    return opened[0]


@check(GROUP, "Half a turn, a call without its result, is refused by every provider from then on.")
async def all_or_none(rig: Rig) -> str | None:
    """A list with a message that cannot be stored is stored whole or not at all."""
    session_id = rig.new_session_id()
    history = await rig.open(session_id)
    await rig.add(history, [HumanMessage("before")])
    unstorable = AIMessage("two", additional_kwargs={"connection": object()})
    error = await error_of(rig.add(history, [HumanMessage("one"), unstorable, HumanMessage("three")]))
    refused = error is not None
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
