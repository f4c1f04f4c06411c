"""What the acceptance tests run in processes of their own: talkers that are killed, talkers that share a session."""

from __future__ import annotations

import asyncio
from itertools import count, cycle
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from langswarm_sessions import RetryPolicy, SessionManager
from langswarm_sessions.storage import SQLiteSessionStorage
from tests.accept.log_files import OutlivingMock

__all__ = ["PRELOAD", "open_manager", "share", "talk_until_killed"]

PRELOAD = ["tests.accept.programs", "langswarm_sessions.providers.mock", "alembic.migration", "tenacity"]
"""Modules the fork server loads once, so that a process starts in milliseconds."""


def open_manager(path: str, logs: str | None = None) -> SessionManager:
    """Return a manager over a database file; its mock provider keeps its logs in a folder, if one is named."""
    return SessionManager(
        SQLiteSessionStorage(db_path=path),
        providers={"mock": None if logs is None else OutlivingMock(Path(logs))},
        retry=RetryPolicy(initial_delay=0, jitter=0),
        turn_wait=120,
    )


def talk_until_killed(path: str, logs: str | None, prefix: str, streamed: bool, warm: bool, said: Connection) -> None:
    """Send turns without end; tell of each once it is acknowledged. Where logs are kept, answers get lost as well."""
    asyncio.run(_talk(path, logs, prefix, streamed, warm, said))


async def _talk(path: str, logs: str | None, prefix: str, streamed: bool, warm: bool, said: Connection) -> None:
    session = await open_manager(path, logs).get_session("s")
    if not warm:
        said.send("open")
    losses = cycle((None, "answer", "nothing", None, "later", "input"))
    for number in count():
        text = f"{prefix}-{number}"
        if logs is not None and (stored := next(losses)):
            session.provider_session.fail_next("timeout", stored=stored)
        if streamed:
            stream = session.send_message_stream(text)
            async for _ in stream:
                pass
            reply = stream.message
        else:
            reply = await session.send_message(text)
        if warm and number == 0:  # the first turn of a process takes long: death comes after it
            said.send("open")
        said.send((text, reply.message_id))


def share(path: str, process: int, tasks: int, turns: int, said: Connection) -> None:
    """Send turns of one session from several tasks at once; tell of all at the end."""
    said.send(asyncio.run(_share(path, process, tasks, turns)))
    said.close()


async def _share(path: str, process: int, tasks: int, turns: int) -> list[Any]:
    async with open_manager(path) as manager:
        session = await manager.open_session("s", user_id="user", provider="mock", model="m")

        async def talk(task: int) -> list[tuple[str, str]]:
            acknowledged: list[tuple[str, str]] = []
            for number in range(turns):
                text = f"{process}-{task}-{number}"
                acknowledged.append((text, (await session.send_message(text)).message_id))
            return acknowledged

        return [entry for entries in await asyncio.gather(*map(talk, range(tasks))) for entry in entries]
