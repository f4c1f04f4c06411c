"""What the acceptance tests run in processes of their own: talkers that are killed, talkers that share a session."""

from __future__ import annotations

import asyncio
from multiprocessing.connection import Connection
from typing import Any

from langswarm_sessions import SessionManager
from langswarm_sessions.storage import SQLiteSessionStorage

__all__ = ["PRELOAD", "share", "talk_until_killed"]

PRELOAD = ["tests.accept.programs", "langswarm_sessions.providers.mock", "alembic.migration", "tenacity"]
"""Modules the fork server loads once, so that a process starts in milliseconds."""


def open_manager(path: str) -> SessionManager:
    """Return a manager over a database file."""
    return SessionManager(SQLiteSessionStorage(db_path=path), turn_wait=120)


def talk_until_killed(path: str, prefix: str, streamed: bool, said: Connection) -> None:
    """Send turns without end; tell of each once it is acknowledged."""
    asyncio.run(_talk(path, prefix, streamed, said))


async def _talk(path: str, prefix: str, streamed: bool, said: Connection) -> None:
    session = await open_manager(path).get_session("s")
    said.send("open")
    number = 0
    while True:
        text = f"{prefix}-{number}"
        if streamed:
            stream = session.send_message_stream(text)
            async for _ in stream:
                pass
            reply = stream.message
        else:
            reply = await session.send_message(text)
        said.send((text, reply.message_id))
        number += 1


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
