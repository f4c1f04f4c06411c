"""Check: the async methods leave the event loop to others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from langswarm_sessions_langchain.testing.kit import Rig, check, expect
from langswarm_sessions_langchain.testing.loop_watch import blocking_calls
from langswarm_sessions_langchain.testing.ordering import numbered
from langswarm_sessions_langchain.testing.subject import Face

GROUP = "async purity"


@check(GROUP, "One blocking call in an async server stops all of its users.")
async def loop_is_left_free(rig: Rig) -> str | None:
    """The async methods make no blocking call on the loop's thread, and let the loop turn while they wait."""
    rig.needs(Face.ASYNC)
    history = await rig.open()
    await rig.add(history, numbered(2), face=Face.ASYNC)  # what is made once, pools and tables, is made now
    await rig.read(history, face=Face.ASYNC)
    with blocking_calls() as calls:
        async with _turns() as turns:
            before = len(turns)
            await history.aadd_messages(numbered(20, start=2))
            while_writing = len(turns) - before
            await history.aget_messages()
            await history.aclear()
    expect(not calls, f"it blocks the event loop: {', '.join(sorted(calls)[:3])}")
    # What other processes can read was written outside of this one, and that must be waited for.
    outside = rig.subject.elsewhere is not None
    expect(bool(while_writing) or not outside, "the event loop stood still from the beginning of a write to its end")
    return None if outside else "nothing outside of the process is waited for"


@asynccontextmanager
async def _turns() -> AsyncGenerator[list[None]]:
    """Count the turns of the event loop."""
    turns: list[None] = []

    async def beat() -> None:
        while True:
            turns.append(None)
            await asyncio.sleep(0)

    beating = asyncio.create_task(beat())
    await asyncio.sleep(0)
    try:
        yield turns
    finally:
        beating.cancel()
        with suppress(asyncio.CancelledError):
            await beating
