"""A cancellation that comes when a turn has ended already: its span and metrics say how it ended, as storage does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from opentelemetry.trace import StatusCode

from langswarm_sessions import ProviderUnavailableError, RetryPolicy, Session, SessionLifecycleHook, SessionManager
from langswarm_sessions.turns import HeldTurn
from tests.support.recorded import Recorded

TURN = "invoke_agent session"
DURATION = "langswarm.session.turn.duration"
FAILED = "langswarm_sessions.ProviderUnavailableError"
Cut = Callable[[Session, asyncio.Event], Awaitable[None]]
Ending = Callable[[HeldTurn], None]


def told(recorded: Recorded, metric: str = DURATION) -> list[tuple[str, object]]:
    """What went wrong with the turn, by its span and by its metric."""
    turn = (recorded.span(TURN).attributes or {}).get("error.type")
    return [
        ("span", turn),
        *(("metric", (point.attributes or {}).get("error.type")) for point in recorded.points(metric)),
    ]


# While a hook hears of a failure


async def is_cancelled(session: Session, hears: asyncio.Event) -> None:
    sending = asyncio.ensure_future(session.send_message("hi"))
    await hears.wait()
    sending.cancel()
    await asyncio.wait({sending})


async def is_left(session: Session, hears: asyncio.Event) -> None:
    stream = session.send_message_stream("hi")
    reading = asyncio.ensure_future(anext(stream))
    await hears.wait()
    reading.cancel()
    await asyncio.wait({reading})
    await stream.aclose()


async def ends_with_its_manager(session: Session, hears: asyncio.Event) -> None:
    turn = await session.start_turn("hi")
    await hears.wait()
    await session._runtime.engine.close()
    with suppress(BaseException):
        await turn.result()


@pytest.mark.parametrize("cut", [is_cancelled, is_left, ends_with_its_manager])
async def test_a_turn_whose_hook_is_cut_off_as_it_hears_of_a_failure_has_failed(recorded: Recorded, cut: Cut) -> None:
    hears = asyncio.Event()

    class Slow(SessionLifecycleHook):
        async def on_session_error(self, session_id: str, error: Exception) -> None:
            hears.set()
            await asyncio.Event().wait()

    at_once = RetryPolicy(max_attempts=1)
    async with SessionManager("memory", telemetry=recorded.telemetry(), hooks=[Slow()], retry=at_once) as manager:
        session = await manager.create_session("user", "mock", "mock-model")
        session.provider_session.fail_next(ProviderUnavailableError("It is down."))
        await cut(session, hears)
        assert [str(message.status) for message in await session.get_messages()] == ["failed"]
    assert told(recorded) == [("span", FAILED), ("metric", FAILED)]
    hook = recorded.span("langswarm.hook Slow.on_session_error")
    assert (hook.attributes or {})["error.type"] == "cancelled"


# After somebody else's run was let go of


ENDINGS: dict[str, tuple[Ending, object, StatusCode]] = {
    "released": (lambda turn: turn.release(), None, StatusCode.UNSET),
    "paused": (lambda turn: turn.pause(), None, StatusCode.UNSET),
    "aborted": (lambda turn: turn.abort(ValueError("no")), "ValueError", StatusCode.ERROR),
    "left": (lambda turn: turn.abort(), "abandoned", StatusCode.ERROR),
}


@pytest.mark.parametrize(("ending", "error_type", "status"), ENDINGS.values(), ids=ENDINGS)
def test_a_run_that_was_let_go_of_as_its_loop_ends_is_told_as_it_ended(
    recorded: Recorded, ending: Ending, error_type: object, status: StatusCode
) -> None:
    manager = SessionManager("memory", telemetry=recorded.telemetry())

    async def run() -> None:
        session = await manager.create_session("user", "mock", "mock-model")
        turn = session.hold_turn()
        await turn.take()
        ending(turn)  # and nobody waits until that is stored

    asyncio.run(run())
    assert recorded.span(TURN).status.status_code is status
    assert told(recorded) == [("span", error_type), ("metric", error_type)]


async def test_a_run_that_is_cancelled_as_its_end_is_stored_is_told_as_it_ended(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with SessionManager("memory", telemetry=recorded.telemetry()) as manager:
        session = await manager.create_session("user", "mock", "mock-model")
        recorded.exporter.clear()
        storage = manager._services.storage
        finish_turn, begun, may_end = storage.finish_turn, asyncio.Event(), asyncio.Event()

        async def slow(finish: Any) -> Any:
            begun.set()
            await may_end.wait()
            return await finish_turn(finish)

        monkeypatch.setattr(storage, "finish_turn", slow)
        turn = session.hold_turn()
        await turn.take()
        turn.release()
        await begun.wait()
        interrupted = turn.interrupt()
        assert interrupted is not None
        await asyncio.sleep(0)
        may_end.set()
        await asyncio.wrap_future(interrupted)
    assert {span.name: span.status.status_code for span in recorded.spans} == {
        "langswarm.storage.load": StatusCode.UNSET,
        "langswarm.storage.append": StatusCode.UNSET,
        TURN: StatusCode.UNSET,
    }
    assert told(recorded) == [("span", None), ("metric", None)]


async def test_a_run_whose_manager_is_closed_while_it_is_held_is_cancelled(recorded: Recorded) -> None:
    async with SessionManager("memory", telemetry=recorded.telemetry()) as manager:
        session = await manager.create_session("user", "mock", "mock-model")
        await session.hold_turn().take()
    assert told(recorded) == [("span", "cancelled"), ("metric", "cancelled")]
