"""Streams that are held, shared or left, and what is opened without await."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from langswarm_sessions import (
    ConfigurationError,
    SessionManager,
    TurnState,
    create_session_manager,
    create_simple_session,
    session_context,
)
from langswarm_sessions.bridge import Bridge
from langswarm_sessions.providers.mock import MockConnection
from tests.session.kit import threads_left, until

HELD = {
    "a LangChain stream": """
from langswarm_sessions_langchain import SessionRunnable
held = SessionRunnable(manager=manager, provider="mock", model="m").stream(
    "held", {"configurable": {"session_id": "s"}}
)
""",
    "a stream of the live provider session": """
from langswarm_sessions.blocking import BlockingSessionManager
session = BlockingSessionManager(manager).create_session("user", "mock", "mock-model")
held = session.provider_session.send_message_stream("held")
""",
    "a stream of a session": """
from langswarm_sessions.blocking import BlockingSessionManager
held = BlockingSessionManager(manager).create_session("user", "mock", "mock-model").send_message_stream("held back")
""",
}


@pytest.mark.parametrize("held", HELD)
def test_a_held_stream_does_not_keep_the_interpreter(held: str) -> None:
    code = (
        f"from langswarm_sessions import SessionManager\nmanager = SessionManager('sqlite')\n{HELD[held]}\nnext(held)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr


async def test_two_readers_of_one_stream_both_come_to_its_end() -> None:
    async with SessionManager("memory", telemetry=False) as manager:
        session = await manager.create_session("user", "mock", "mock-model")
        stream = session.send_message_stream("a b c")

        async def read() -> list[str]:
            return [chunk async for chunk in stream]

        one, other = await asyncio.wait_for(asyncio.gather(read(), read()), timeout=10)
        assert set(one) | set(other) == {"Mock ", "response ", "to: ", "a ", "b ", "c"}


def test_a_blocking_stream_that_was_left_gives_way_to_the_next_turn() -> None:
    with create_session_manager(storage="memory", telemetry=False, blocking=True) as manager:
        session = manager.create_session("user", "mock", "mock-model")
        held = session.send_message_stream("left in the middle")
        assert next(held) == "Mock "
        started = time.monotonic()
        assert session.send_message("next").content == "Mock response to: next"
        assert time.monotonic() - started < 10, "it did not wait for the idle time of the stream"
        assert [message.status for message in session.get_messages()][:2] == [TurnState.INTERRUPTED] * 2


async def test_a_rerun_keeps_its_question_in_place() -> None:
    async with SessionManager("memory", telemetry=False) as manager:
        session = await manager.create_session("user", "mock", "mock-model")
        stream = session.send_message_stream("once more", idempotency_key="k")
        assert await anext(stream) == "Mock "
        await stream.aclose()
        await session.send_message("once more", idempotency_key="k")
        said = [(message.content, message.status) for message in await session.get_messages()]
        assert said == [
            ("once more", TurnState.COMPLETED),
            ("Mock ", TurnState.FAILED),
            ("Mock response to: once more", TurnState.COMPLETED),
        ]


async def test_events_of_a_closed_manager_have_ended() -> None:
    manager = SessionManager("memory", telemetry=False)
    await manager.close()
    async with asyncio.timeout(5):
        assert [event async for event in manager.session_events()] == []


def test_a_session_for_a_block_without_await() -> None:
    with create_session_manager(storage="memory", blocking=True) as manager:
        with session_context(manager, "user", "mock", "mock-model", session_id="kept") as session:
            assert session.send_message("hi").content == "Mock response to: hi"
        assert manager.get_session("kept").message_count == 2
    with (
        pytest.raises(ConfigurationError, match="async with"),
        session_context(SessionManager("memory"), "u", "mock", "m"),
    ):
        pass


def test_a_simple_session_without_await() -> None:
    with create_simple_session(storage="memory", blocking=True) as session:
        assert session.send_message("hi").content == "Mock response to: hi"


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"providers": ["openai"]}, "providers"),
        ({"middleware": 5}, "middleware"),
        ({"middleware": [5]}, "middleware"),
        ({"hooks": [5]}, "hooks"),
        ({"retry": 5}, "retry"),
    ],
)
def test_a_manager_is_not_made_of_anything(arguments: dict[str, object], field: str) -> None:
    with pytest.raises(ConfigurationError, match=field):
        SessionManager("memory", **arguments)  # type: ignore[arg-type]


def test_a_simple_session_that_was_refused_leaves_no_thread() -> None:
    with pytest.raises(ConfigurationError):
        create_simple_session(provider="nobody", storage="memory", blocking=True)
    assert not threads_left()


def test_a_simple_session_ends_its_loop_thread() -> None:
    session = create_simple_session(storage="memory", blocking=True)
    assert session.send_message("hi").content == "Mock response to: hi"
    assert threads_left()
    session.close()
    asyncio.run(until(lambda: not threads_left()))  # a thread told to end takes its moment


class CannotClose(MockConnection):
    name = "broken"

    async def aclose(self) -> None:
        raise RuntimeError("the socket is gone")


class Closed(MockConnection):
    name = "closed"
    is_closed = False

    async def aclose(self) -> None:
        self.is_closed = True


def test_a_part_that_cannot_be_closed_keeps_no_other_open() -> None:
    other = Closed()
    manager = create_session_manager("memory", providers={"broken": CannotClose(), "closed": other}, blocking=True)
    for name in ("broken", "closed"):
        manager.create_session("user", name, "m").send_message("hi")
    with pytest.raises(RuntimeError, match="the socket is gone"):
        manager.close()
    assert other.is_closed
    asyncio.run(until(lambda: not threads_left()))


def test_a_manager_has_one_bridge_from_the_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Bridge] = []
    init = Bridge.__init__

    def noting(self: Bridge) -> None:
        init(self)
        made.append(self)

    monkeypatch.setattr(Bridge, "__init__", noting)
    manager = SessionManager("memory")
    with ThreadPoolExecutor(4) as pool:
        found = {seen.result() for seen in [pool.submit(getattr, manager, "bridge") for _ in range(8)]}
    assert found == set(made)
    assert len(made) == 1
    assert not threads_left(), "it starts its thread with the first call"
