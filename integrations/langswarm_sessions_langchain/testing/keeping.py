"""Checks: sessions apart, clearing, copies, opening again, both faces."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from langchain_core.messages import AIMessage, HumanMessage

from langswarm_sessions_langchain.testing.kit import Broken, Rig, check, error_of, expect, in_thread, texts
from langswarm_sessions_langchain.testing.ordering import numbered
from langswarm_sessions_langchain.testing.subject import Face

if TYPE_CHECKING:
    from langchain_core.chat_history import BaseChatMessageHistory

SESSIONS, CLEARING, COPIES, FACES = "sessions", "clearing", "copies", "faces"


# ---------------------------------------------------------------- sessions


@check(SESSIONS, "The next request, and the next process, open the history anew.")
async def opened_again(rig: Rig) -> str | None:
    """Another opener reads what was written, and goes on from there."""
    session_id = rig.new_session_id()
    await rig.add(await rig.open(session_id), numbered(2))
    second = await rig.open(session_id)
    expect(await rig.said(second) == ["0", "1"], "another opener does not see what was added")
    await rig.add(second, numbered(2, start=2))
    expect(await rig.said(await rig.open(session_id)) == ["0", "1", "2", "3"], "another opener does not go on")
    return None


@check(SESSIONS, "Nobody may read what somebody else said.")
async def apart(rig: Rig) -> str | None:
    """Sessions whose ids look alike do not see each other; ids it does not take are refused."""
    base = rig.new_session_id()
    alike = [
        base,
        f"{base}:1",
        f"{base} ",
        f"{base}%",
        f"{base}*",
        f"{base[:-1]}_",
        f"{base}-a",
        f"{base}-A",
        f"{base}-ü🙂",
    ]
    taken: list[str] = []
    for session_id in dict.fromkeys(alike):
        if await error_of(_say_in(rig, session_id, f"in {session_id}")) is None:  # of refused ones nobody reads
            taken.append(session_id)
    expect(base in taken, "a new session cannot be written to")
    for session_id in taken:
        said = await rig.said(await rig.open(session_id))
        expect(said == [f"in {session_id}"], f"a session reads {len(said)} messages instead of its own 1")
    return None


@check(SESSIONS, "Code that forgets the id must not put all users into one conversation.")
async def empty_id_refused(rig: Rig) -> str | None:
    """An empty session id is refused."""
    refused = await error_of(_say_in(rig, "", "whose?"))
    expect(refused is not None, "it takes an empty session id, and all without an id share it")
    return None


async def _say_in(rig: Rig, session_id: str, text: str) -> None:
    await rig.add(await rig.open(session_id), [HumanMessage(text)])


# ---------------------------------------------------------------- clearing


@check(CLEARING, "Users ask for it, and it is meant.")
async def cleared(rig: Rig) -> str | None:
    """Clearing empties this session for all its openers, and no other; the session goes on."""
    session_id, other = rig.new_session_id(), await rig.open()
    history, second = await rig.open(session_id), await rig.open(session_id)
    await rig.clear(history)
    for at in range(2):
        await rig.add(history, numbered(2))
        await rig.add(other, [HumanMessage(str(at))])
        await rig.read(second)
        await rig.clear(history)
        expect(await rig.said(history) == [], "messages are left after clearing")
        expect(await rig.said(second) == [], "another opener still reads what was cleared")
    await rig.add(second, numbered(1))
    expect(await rig.said(history) == ["0"], "what is added after clearing is not there")
    expect(await rig.said(other) == ["0", "1"], "clearing reached another session")
    return None


# ---------------------------------------------------------------- copies


@check(COPIES, "Callers trim and extend the list they were given; that must not change what was said.")
async def lists_are_copies(rig: Rig) -> str | None:
    """A list that was read is the reader's own."""
    history = await rig.open()
    await rig.add(history, numbered(2))
    found = await rig.read(history)
    found.append(HumanMessage("never said"))
    del found[0]
    expect(await rig.said(history) == ["0", "1"], "changing the list that was read changes the history")
    return None


@check(COPIES, "Callers edit messages before they send them: redact, shorten, add instructions.")
async def messages_are_copies(rig: Rig) -> str | None:
    """Messages that were added or read are the caller's own."""
    history = await rig.open()
    given = [HumanMessage("question", additional_kwargs={"tags": ["a"]}), AIMessage("answer")]
    await rig.add(history, given)
    given[0].content = "edited"
    given[0].additional_kwargs["tags"].append("b")
    given.clear()
    found = await rig.read(history)
    expect(texts(found) == ["question", "answer"], "editing a message that was added changes the history")
    expect(found[0].additional_kwargs == {"tags": ["a"]}, "editing a message that was added changes the history")
    found[1].content = "edited"
    expect(await rig.said(history) == ["question", "answer"], "editing a message that was read changes the history")
    return None


# ---------------------------------------------------------------- faces


@check(FACES, "Scripts, notebooks and web servers read the same conversation.")
async def blocking_and_async(rig: Rig) -> str | None:
    """What one face writes, the other one reads, on one history."""
    history = await rig.open()
    error = await error_of(_by_turns(rig, history))
    if error is not None and not isinstance(error, Broken):
        raise Broken(f"one of its faces is missing: {type(error).__name__}: {error}") from error
    if error is not None:
        raise error
    return None


async def _by_turns(rig: Rig, history: BaseChatMessageHistory) -> None:
    await rig.add(history, numbered(1), face=Face.BLOCKING)
    await rig.add(history, numbered(1, start=1), face=Face.ASYNC)
    await in_thread(lambda: history.add_user_message("2"))
    await in_thread(lambda: history.add_ai_message("3"))
    both = [texts(await rig.read(history, face=face)) for face in Face]
    expect(both == [["0", "1", "2", "3"]] * 2, "the two faces do not read the same")
    for face in Face:
        await rig.add(history, numbered(1), face=face)
        await rig.clear(history, face=face)
        expect(texts(await rig.read(history, face=face)) == [], f"messages are left after clearing ({face})")


@check(FACES, "Notebooks, and sync callbacks of async servers, call it where a loop runs already.")
async def blocking_inside_a_loop(rig: Rig) -> str | None:
    """The blocking methods in a thread whose event loop is running."""
    rig.needs(Face.BLOCKING)
    history = await rig.open()

    async def use() -> list[str]:
        history.add_messages(numbered(2))
        return texts(history.messages)

    said = await in_thread(lambda: asyncio.run(use()))
    expect(said == ["0", "1"], "what was written inside a running loop is not there")
    return None


@check(FACES, "Workers and tests run one event loop after the other.")
async def one_loop_after_the_other(rig: Rig) -> str | None:
    """The async methods in several event loops, one after the other, on one history."""
    rig.needs(Face.ASYNC)
    history = await rig.open()
    for at in range(3):
        await in_thread(partial(_add_in_a_loop_of_its_own, history, at))
    expect(await rig.said(history) == ["0", "1", "2"], "messages of other event loops are not there")
    return None


def _add_in_a_loop_of_its_own(history: BaseChatMessageHistory, at: int) -> None:
    asyncio.run(history.aadd_messages(numbered(1, start=at)))
