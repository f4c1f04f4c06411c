"""SIGKILL at random points of turns: what was acknowledged is there once, in order, and the session goes on at once."""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import time
from pathlib import Path

import pytest

from langswarm_sessions import SessionManager, SessionMessage
from tests.accept.log_files import logs_in
from tests.accept.programs import PRELOAD, open_manager, talk_until_killed
from tests.session.kit import in_database

PACE_SECONDS = 0.002  # five pieces an answer: most kills land inside a turn
LONGEST_LIFE_SECONDS = 0.06
USABLE_WITHIN_SECONDS = 1.0


@pytest.mark.accept
@pytest.mark.parametrize("native", ["node", "log"])
def test_killed_at_two_hundred_points(own_folder: Path, native: str) -> None:
    path = own_folder / "sessions.db"
    inside = _kill_again_and_again(path, kills=200, native=native)
    assert inside > 100, "most kills should land inside a turn"
    [row] = in_database(path, "SELECT retries FROM sessions")
    assert (row["retries"] > 0) is (native == "log"), "answers should have got lost where logs are kept"


@pytest.mark.parametrize("native", ["node", "log"])
def test_killed_at_some_points(own_folder: Path, native: str) -> None:
    _kill_again_and_again(own_folder / "sessions.db", kills=6, native=native)


def _kill_again_and_again(path: Path, *, kills: int, native: str) -> int:
    """Return how many kills hit a turn. The provider's logs, unlike its nodes, live on when the talker is killed."""
    chance = random.Random(4711)
    asyncio.run(_create(path, native))
    logs = path.parent / "logs" if native == "log" else None
    acknowledged: list[tuple[str, str]] = []
    inside = 0
    for kill in range(kills):
        acknowledged += _killed_talker(
            path,
            logs,
            f"{kill}",
            streamed=bool(kill % 2),
            warm=bool(kill % 5),
            after=chance.uniform(0, LONGEST_LIFE_SECONDS),
        )
        inside += len(in_database(path, "SELECT turn_id FROM turns WHERE state = 'pending'"))
        acknowledged.append(asyncio.run(_goes_on(path, logs, f"after {kill}")))
        states = in_database(path, "SELECT state, COUNT(*) AS n FROM turns GROUP BY state")
        assert {row["state"]: row["n"] for row in states}.get("interrupted", 0) == inside
        assert "pending" not in {row["state"] for row in states}
    asyncio.run(_compare(path, acknowledged, kills=kills))
    if logs is not None:
        asyncio.run(_compare_with_provider(path, logs))
    return inside


def _killed_talker(
    path: Path, logs: Path | None, prefix: str, *, streamed: bool, warm: bool, after: float
) -> list[tuple[str, str]]:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    heard, said = context.Pipe(duplex=False)
    process = context.Process(target=talk_until_killed, args=(str(path), _text(logs), prefix, streamed, warm, said))
    process.start()
    said.close()
    acknowledged: list[tuple[str, str]] = []
    with heard:
        assert heard.poll(30)
        assert heard.recv() == "open"
        time.sleep(after)  # the moment of death is what is drawn by lot
        process.kill()
        process.join()
        while True:
            try:
                acknowledged.append(heard.recv())
            except EOFError:
                return acknowledged


async def _create(path: Path, native: str) -> None:
    async with SessionManager("sqlite", storage_config={"db_path": str(path)}) as manager:
        config = {"pace": PACE_SECONDS, "native": native}
        await manager.create_session(
            "user", "mock", "m", session_id="s", provider_config=config, session_config={"max_messages": 20}
        )


async def _goes_on(path: Path, logs: Path | None, text: str) -> tuple[str, str]:
    started = time.monotonic()
    async with open_manager(str(path), _text(logs)) as manager:
        session = await manager.get_session("s")
        reply = await session.send_message(text)
    assert time.monotonic() - started < USABLE_WITHIN_SECONDS
    return text, reply.message_id


async def _compare(path: Path, acknowledged: list[tuple[str, str]], *, kills: int) -> None:
    async with SessionManager("sqlite", storage_config={"db_path": str(path)}) as manager:
        messages = await (await manager.get_session("s")).get_messages()
    answered = _answered(messages)
    assert len(set(answered)) == len(answered), "nothing is doubled"
    assert [pair for pair in answered if pair in set(acknowledged)] == acknowledged, "nothing is lost, all is in order"
    assert len(answered) - len(acknowledged) <= kills, "a kill loses at most the word of one stored answer"
    texts = [message.content for message in messages if message.role == "user"]
    assert len(set(texts)) == len(texts)
    assert [message.seq for message in messages] == list(range(1, len(messages) + 1))


async def _compare_with_provider(path: Path, logs: Path) -> None:
    """The log in use is the end of the transcript; none of those given up holds anything twice either."""
    async with open_manager(str(path), str(logs)) as manager:
        session = await manager.get_session("s")
        held: list[tuple[str, str]] = session.provider_session.seen
        said = [(str(message.role), message.content) for message in await session.get_messages()]
    assert held == said[-len(held) :]
    for lines in logs_in(logs):
        assert len(set(lines)) == len(lines), "nothing is doubled"


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _answered(messages: list[SessionMessage]) -> list[tuple[str, str]]:
    """Return input text and answer id of each completed turn; its two messages must follow each other."""
    pairs: list[tuple[str, str]] = []
    done = [message for message in messages if message.status == "completed"]
    for question, answer in zip(done[::2], done[1::2], strict=True):
        assert (question.role, answer.role) == ("user", "assistant")
        assert answer.content == f"Mock response to: {question.content}"
        assert question.turn_id == answer.turn_id
        pairs.append((question.content, answer.message_id))
    return pairs
