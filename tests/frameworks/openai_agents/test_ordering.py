"""Runs of one session at once, in one process and in several."""

from __future__ import annotations

import asyncio
import gc
import json
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from agents import Runner, RunState, SQLiteSession, function_tool

from langswarm_sessions import SessionBusyError, SessionManager, create_session_manager
from langswarm_sessions.turns import HeldTurn
from langswarm_sessions_frameworks import AgentsSession
from tests.frameworks.openai_agents.scripted import QUIET, Scripted, agent, calls, says
from tests.session.kit import until

ROOT = Path(__file__).parents[3]


def words(items: list[Any]) -> list[str]:
    contents = [item["content"] for item in items]
    return [content if isinstance(content, str) else content[0]["text"] for content in contents]


async def run(session: Any, number: int) -> None:
    async def others() -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    model = Scripted([says(f"a{number}", id=f"msg_{number}")], pause=others)
    await Runner.run(agent(model), f"u{number}", session=session, run_config=QUIET)


async def test_eight_runs_at_once_are_told_one_after_the_other(durable: SessionManager) -> None:
    sessions = [AgentsSession("s", manager=durable) for _ in range(4)]
    await asyncio.gather(*(run(sessions[number % 4], number) for number in range(8)))
    told = words(await sessions[0].get_items())
    assert sorted(told[::2]) == [f"u{number}" for number in range(8)]
    assert [f"a{question[1:]}" for question in told[::2]] == told[1::2]


async def test_the_sdks_own_session_interleaves_them() -> None:
    own = SQLiteSession("s")
    await asyncio.gather(*(run(own, number) for number in range(8)))
    told = words(await own.get_items())
    own.close()
    assert sorted(told) == sorted(f"{who}{n}" for n in range(8) for who in "ua")
    assert told != [f"{who}{n}" for n in range(8) for who in "ua"]


async def test_a_run_that_is_cancelled_lets_the_next_one_in(manager: SessionManager) -> None:
    reached, session = asyncio.Event(), AgentsSession("s", manager=manager)

    async def forever() -> None:
        reached.set()
        await asyncio.Event().wait()

    hangs = asyncio.create_task(Runner.run(agent(Scripted(pause=forever)), "hangs", session=session, run_config=QUIET))
    await reached.wait()
    hangs.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hangs
    await run(session, 1)
    assert words(await session.get_items()) == ["hangs", "u1", "a1"]


async def test_a_stream_that_is_left_lets_the_next_one_in(manager: SessionManager) -> None:
    session = AgentsSession("s", manager=manager)
    result = Runner.run_streamed(agent(Scripted([says("a0")])), "u0", session=session, run_config=QUIET)
    async for _ in result.stream_events():
        result.cancel()
        break
    await run(session, 1)
    assert words(await session.get_items())[-2:] == ["u1", "a1"]


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_a_run_that_pauses_for_an_approval_holds_nobody_up(is_streamed: bool) -> None:
    @function_tool(needs_approval=True)
    def book() -> str:
        return "booked"

    script = Scripted([says("Shall I?"), calls("book", call_id="c1")], [says("Done.", id="msg_2")])
    booking = agent(script, tools=[book])
    async with create_session_manager(storage="memory", turn_wait=0.5) as manager:
        session = AgentsSession("s", manager=manager)
        paused = await Runner.run(booking, "Book it.", session=session, run_config=QUIET)
        await asyncio.create_task(run(session, 1))
        state: RunState[Any] = await RunState.from_string(booking, paused.to_state().to_string())
        state.approve(state.get_interruptions()[0])
        if is_streamed:
            resumed = Runner.run_streamed(booking, state, session=session, run_config=QUIET)
            assert [event async for event in resumed.stream_events()]
        else:
            await Runner.run(booking, state, session=session, run_config=QUIET)
        roles = [message.role.value for message in await (await manager.get_session("s")).get_messages()]
    assert roles == ["user", "assistant", "user", "assistant", "tool", "assistant"]


async def test_a_run_waits_for_turns_of_send_message_and_they_for_it(manager: SessionManager) -> None:
    opened = await manager.create_session("user", "mock", "mock-model", session_id="s")
    session = AgentsSession("s", manager=manager)
    await asyncio.gather(run(session, 0), opened.send_message("hello"), run(session, 1))
    told = [message.content for message in await opened.get_messages()]
    pairs = {tuple(told[at : at + 2]) for at in range(0, 6, 2)}
    assert pairs == {("u0", "a0"), ("hello", "Mock response to: hello"), ("u1", "a1")}


async def test_who_waits_in_vain_is_told_so_and_nothing_is_stored(tmp_path: Path) -> None:
    config = {"db_path": str(tmp_path / "chat.db")}
    async with create_session_manager(storage="sqlite", storage_config=config, turn_wait=0.05) as manager:
        opened = await manager.create_session("user", "mock", "mock-model", session_id="s")
        session = AgentsSession("s", manager=manager)
        async with opened.hold_turn():
            with pytest.raises(SessionBusyError):
                await run(session, 0)
        assert await session.get_items() == []


CHILD = """
import asyncio, sys
from agents import Runner
from langswarm_sessions import create_session_manager
from langswarm_sessions_frameworks import AgentsSession
from tests.frameworks.openai_agents.scripted import QUIET, Scripted, agent, calls, says
from agents import function_tool

@function_tool
async def slow() -> str:
    print("reached", flush=True)
    await asyncio.Event().wait()
    return "never"

async def main(path, kind):
    async with create_session_manager(storage="sqlite", storage_config={"db_path": path}) as manager:
        session = AgentsSession("s", manager=manager)
        if kind == "hang":
            model = Scripted([calls("slow", call_id="c1")])
            await Runner.run(agent(model, tools=[slow]), "hangs", session=session, run_config=QUIET)
        for n in range(4):
            name = f"{kind}{n}"
            await Runner.run(agent(Scripted([says("a" + name)])), "u" + name, session=session, run_config=QUIET)

asyncio.run(main(*sys.argv[1:]))
"""


def child(path: Path, kind: str) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", textwrap.dedent(CHILD), str(path), kind]
    return subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True)


@pytest.mark.accept
async def test_two_processes_take_turns(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    async with create_session_manager(storage="sqlite", storage_config={"db_path": str(path)}) as manager:
        session = AgentsSession("s", manager=manager)
        await session.get_items()
        with child(path, "x") as one, child(path, "y") as other:
            assert (one.wait(60), other.wait(60)) == (0, 0)
        told = words(await session.get_items())
    assert len(told) == 16
    assert all(answer == f"a{question[1:]}" for question, answer in zip(told[::2], told[1::2], strict=True))


async def test_a_run_that_was_killed_is_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    with child(path, "hang") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "reached\n"
        process.send_signal(signal.SIGKILL)
    async with create_session_manager(storage="sqlite", storage_config={"db_path": str(path)}) as manager:
        session = AgentsSession("s", manager=manager)
        model = Scripted([says("Yes.")])
        await Runner.run(agent(model), "still there?", session=session, run_config=QUIET)
        assert words(await session.get_items()) == ["hangs", "still there?", "Yes."]
        assert json.dumps(model.asked[0]).count("hangs") == 1


async def test_a_run_that_failed_holds_nobody_up_whatever_its_task_keeps() -> None:
    async with create_session_manager(storage="memory", turn_wait=5) as manager:
        session = AgentsSession("s", manager=manager)
        with pytest.raises(ConnectionError) as kept:
            await Runner.run(agent(Scripted(ConnectionError())), "fails", session=session, run_config=QUIET)
        await asyncio.create_task(run(AgentsSession("s", manager=manager), 1))
        assert words(await session.get_items()) == ["fails", "u1", "a1"]
        assert kept.value.__traceback__ is not None


async def test_a_task_keeps_nothing_of_the_runs_it_has_ended(manager: SessionManager) -> None:
    def held() -> set[int]:
        gc.collect()
        return {id(found) for found in gc.get_objects() if type(found) is HeldTurn}

    before = held()
    for number in range(5):
        await run(AgentsSession(f"s{number}", manager=manager), number)
    await until(lambda: len(held()) <= len(before))  # the loop's next rounds still have the last one to look after
