"""A session's step took place once it was stored, and is told as what it was, whatever comes after and beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from langswarm_sessions import SessionLifecycleHook, SessionManager, SessionStatus
from langswarm_sessions.records import SessionRecord
from tests.support.recorded import Recorded


class Hangs(SessionLifecycleHook):
    """Is called, and never comes to its end."""

    def __init__(self) -> None:
        self.called = asyncio.Event()

    async def hang(self) -> None:
        self.called.set()
        await asyncio.Event().wait()

    async def on_session_created(self, session_id: str, user_id: str, provider: str, model: str) -> None:
        await self.hang()

    async def on_session_archived(self, session_id: str) -> None:
        await self.hang()

    async def on_session_handoff(self, session_id: str, provider: str, model: str) -> None:
        await self.hang()


STEPS: dict[str, Callable[[SessionManager], Awaitable[Any]]] = {
    "create": lambda manager: manager.create_session("user", "mock", "mock-model", session_id="new"),
    "archive": lambda manager: manager.archive_session("s"),
    "handoff": lambda manager: manager.handoff("s", "mock", "other-model"),
}


@pytest.mark.parametrize("step", STEPS)
async def test_a_step_whose_hook_is_cancelled_took_place(recorded: Recorded, step: str) -> None:
    async with SessionManager("memory", telemetry=recorded.telemetry()) as manager:
        await manager.create_session("user", "mock", "mock-model", session_id="s")
        hook = Hangs()
        manager.add_lifecycle_hook(hook)
        taking = asyncio.ensure_future(STEPS[step](manager))
        await hook.called.wait()
        taking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await taking
    span = [span for span in recorded.spans if span.name == f"langswarm.session.{step}"][-1]
    assert "error.type" not in (span.attributes or {})
    [hooked] = [span for span in recorded.spans if span.name.startswith("langswarm.hook")]
    assert (hooked.attributes or {})["error.type"] == "cancelled"
    counted = [dict(point.attributes or {}) for point in recorded.points("langswarm.session.transitions")]
    assert next(each for each in counted if each["langswarm.session.transition"] == step).keys() == {
        "langswarm.session.transition",
        "langswarm.session.mode",
    }


async def test_a_handoff_whose_hook_is_cancelled_tells_what_the_other_is_given(recorded: Recorded) -> None:
    async with SessionManager("memory", telemetry=recorded.telemetry()) as manager:
        session = await manager.create_session("user", "mock", "mock-model", session_id="s")
        await session.send_message("one")
        hook = Hangs()
        manager.add_lifecycle_hook(hook)
        taking = asyncio.ensure_future(session.handoff("mock", "other-model"))
        await hook.called.wait()
        taking.cancel()
        await asyncio.wait({taking})
    span = recorded.span("langswarm.session.handoff")
    told = {name: value for name, value in (span.attributes or {}).items() if name.startswith("langswarm.handoff.")}
    assert told == {
        "langswarm.handoff.from.provider": "mock",
        "langswarm.handoff.from.model": "mock-model",
        "langswarm.handoff.from.mode": "native",
        "langswarm.handoff.to.provider": "mock",
        "langswarm.handoff.to.model": "other-model",
        "langswarm.handoff.to.mode": "native",
        "langswarm.handoff.messages": 2,
    }
    assert [(link.attributes or {})["langswarm.link.kind"] for link in span.links] == ["source_turn"]


async def test_a_step_that_somebody_else_took_meanwhile_is_none_of_ours(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with SessionManager("memory", telemetry=recorded.telemetry()) as manager:
        session = await manager.create_session("user", "mock", "mock-model", session_id="s")
        storage = manager._services.storage
        change_session = storage.change_session

        async def twice(session_id: str, change: Callable[[SessionRecord], SessionRecord]) -> SessionRecord | None:
            """Ask what to change as a storage does that finds another row when it comes to writing."""
            change(session._record)
            await change_session(session_id, lambda record: replace(record, status=SessionStatus.ARCHIVED))
            return await change_session(session_id, change)

        monkeypatch.setattr(storage, "change_session", twice)
        await manager.archive_session("s")
    counted = [
        (point.attributes or {})["langswarm.session.transition"]
        for point in recorded.points("langswarm.session.transitions")
    ]
    assert counted == ["create"]
