"""How old the oldest running turn is: a turn that hangs is seen, whatever it hangs in, and one that ended is not."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import sqlite3
from contextlib import closing
from contextvars import copy_context
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics.export import NumberDataPoint

from langswarm_sessions import AuthenticationError, Session, SessionManager
from langswarm_sessions.turns.send.foreign import HeldTurn
from langswarm_sessions_otel.process.running import RUNNING_TURNS
from tests.session.kit import Gate, OpenManager, until
from tests.support.recorded import Recorded

PAGE = Path(__file__).parents[2] / "docs" / "telemetry" / "operations.md"
OLDEST = "langswarm.session.turn.oldest_age"


@pytest.fixture(autouse=True)
def _no_turns_of_others() -> None:
    RUNNING_TURNS.start_over()


def age(recorded: Recorded) -> float:
    [point] = recorded.points(OLDEST)
    assert isinstance(point, NumberDataPoint)
    assert dict(point.attributes or {}) == {}
    return float(point.value)


@pytest.fixture
async def told(open_manager: OpenManager, recorded: Recorded) -> SessionManager:
    return open_manager(telemetry=recorded.telemetry(), lease_seconds=0.3)


@pytest.fixture
async def traced(told: SessionManager) -> Session:
    return await told.create_session("user", "mock", "m")


async def test_a_turn_that_hangs_grows_old_while_its_lease_is_kept(traced: Session, recorded: Recorded) -> None:
    assert age(recorded) == 0
    await traced.send_message("well")
    assert age(recorded) == 0
    gate = Gate("late")
    traced.provider_session.set_responses([gate])
    hanging = asyncio.ensure_future(traced.send_message("one"))
    await gate.asked.wait()
    younger = age(recorded)
    await until(lambda: age(recorded) > younger + 0.4)  # longer than a lease lives without its beat
    assert not hanging.done()
    assert younger > 0
    gate.let()
    await hanging
    assert age(recorded) == 0


async def test_the_runbook_finds_its_process(traced: Session, own_folder: Path) -> None:
    [query] = re.findall(r"```sql\n(.+?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    gate = Gate("late")
    traced.provider_session.set_responses([gate])
    hanging = asyncio.ensure_future(traced.send_message("one"))
    await gate.asked.wait()
    before = datetime.now(UTC) - timedelta(minutes=1)
    with closing(sqlite3.connect(own_folder / "sessions.db")) as database:
        [(session_id, host, process, started)] = database.execute(query).fetchall()
        gate.let()
        await hanging
        assert database.execute(query).fetchall() == []
    assert (session_id, host.split()[0], process) == (traced.session_id, socket.gethostname(), os.getpid())
    assert before < datetime.fromisoformat(f"{started}+00:00") <= datetime.now(UTC)


async def test_the_oldest_of_several_is_told(traced: Session, recorded: Recorded, open_manager: OpenManager) -> None:
    gate = Gate("late")
    traced.provider_session.set_responses([gate])
    hanging = asyncio.ensure_future(traced.send_message("one"))
    await gate.asked.wait()
    before = age(recorded)
    elsewhere = await open_manager(telemetry=recorded.telemetry()).create_session("user", "mock", "m")
    await elsewhere.send_message("short")
    assert age(recorded) > before
    gate.let()
    await hanging
    assert age(recorded) == 0


async def test_turns_that_fail_are_cancelled_or_left_run_no_more(traced: Session, recorded: Recorded) -> None:
    traced.provider_session.fail_next("auth")
    with pytest.raises(AuthenticationError):
        await traced.send_message("fails")
    assert age(recorded) == 0
    gate = Gate("never")
    traced.provider_session.set_responses([gate])
    hanging = asyncio.ensure_future(traced.send_message("one"))
    await gate.asked.wait()
    hanging.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hanging
    await until(lambda: age(recorded) == 0)
    stream = traced.send_message_stream("two")
    await anext(stream)
    assert age(recorded) > 0
    await stream.aclose()
    assert age(recorded) == 0


async def test_a_run_of_somebody_elses_is_one_until_it_is_released(
    told: SessionManager, traced: Session, recorded: Recorded
) -> None:
    engine: Any = told._runtime.engine
    turn: HeldTurn = engine.hold(traced.record)
    await turn.take()
    assert age(recorded) > 0
    turn.release()
    assert age(recorded) == 0  # though its loop has not yet come to storing its end
    await turn.end()
    assert age(recorded) == 0


def test_a_scope_that_is_dropped_is_no_running_turn(recorded: Recorded) -> None:
    scope = copy_context().run(_turn(recorded).__enter__)  # whose context is dropped with it
    assert age(recorded) > 0
    del scope
    assert age(recorded) == 0


def test_turns_of_the_parent_do_not_run_in_a_forked_child(recorded: Recorded) -> None:
    with _turn(recorded):
        reading, writing = os.pipe()
        process = os.fork()
        if process == 0:
            os.write(writing, repr(RUNNING_TURNS.oldest_age()).encode())
            os._exit(0)
        os.waitpid(process, 0)
        assert os.read(reading, 100) == b"0.0"
        assert RUNNING_TURNS.oldest_age() > 0
    os.close(reading)
    os.close(writing)


def test_telemetry_that_is_off_tells_nothing_of_turns(recorded: Recorded) -> None:
    recorded.telemetry(enabled=False)
    assert recorded.all_points() == {}


def _turn(recorded: Recorded) -> Any:
    return recorded.telemetry().turn(
        session_id="s", agent_name="a", operation="send", mode="native", provider="mock", model="m", stream=False
    )
