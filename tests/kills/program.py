"""What a talker does: real storage, real SDK; it stands still where the task says, to be killed there."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self

from langswarm_sessions import RetryPolicy, Session, SessionManager
from langswarm_sessions.records import BeginTurn, Begun, Busy, Finished, FinishTurn, Recorded
from langswarm_sessions.storage import SQLiteSessionStorage

__all__ = ["SESSION_ID", "Stop", "Task", "run", "tell"]

SESSION_ID = "s"

Stop = Literal["begin commit", "begun", "finish commit", "finished"]
"""Just before the input is committed, just after; the same with the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What to say to whom.

    Args:
        path: The database file.
        provider: The provider's name.
        credential: What `providers={...}` holds for it.
        config: The session's provider_config.
        says: Text and idempotency key of each turn.
        streamed: Whether the answers are read as streams.
        asks: Whether leave to speak is asked for first, and awaited on standard input.
        stop: Where its first turn stands still.
    """

    path: str
    provider: str
    credential: dict[str, Any] | None
    config: dict[str, Any]
    says: list[tuple[str, str | None]]
    streamed: bool = False
    asks: bool = False
    stop: Stop | None = None

    @classmethod
    def of(cls, line: str) -> Self:
        """Read a task from its line."""
        return cls(**json.loads(line))

    def line(self) -> str:
        """Return the task as a line."""
        return json.dumps(asdict(self)) + "\n"


def tell(**facts: object) -> None:
    """Tell the test something, in a line of its own."""
    os.write(1, json.dumps(facts).encode() + b"\n")


@dataclass(slots=True)
class Watch:
    """Knows in which unit of work the storage is, and stands still where it is told to."""

    stop: Stop | None = None
    unit: Literal["begin", "finish"] | None = None
    begun: list[str] = field(default_factory=list[str])

    def at(self, stop: Stop) -> None:
        """Stand still here for ever, if this is the place."""
        if self.stop == stop:
            tell(reached=stop)
            while True:
                signal.pause()

    def statement(self, sql: str) -> None:
        """See a statement that is about to run."""
        if sql == "COMMIT" and self.unit is not None:
            self.at("begin commit" if self.unit == "begin" else "finish commit")


class WatchedStorage(SQLiteSessionStorage):
    """The real storage; a watch sees its transactions."""

    def __init__(self, path: str, watch: Watch) -> None:
        super().__init__(db_path=path)
        self._watch = watch
        connect = self._database._connect

        def connect_watched() -> sqlite3.Connection:
            raw = connect()
            raw.set_trace_callback(watch.statement)
            return raw

        setattr(self._database, "_connect", connect_watched)  # noqa: B010 - an instance's own way to connect

    async def begin_turn(self, begin: BeginTurn) -> Begun | Recorded | Busy:
        self._watch.unit = "begin"
        outcome = await super().begin_turn(begin)
        self._watch.unit = None
        took_over = isinstance(outcome, Begun) and outcome.took_over
        self._watch.begun.append("took over" if took_over else type(outcome).__name__.lower())
        self._watch.at("begun")
        return outcome

    async def finish_turn(self, finish: FinishTurn) -> Finished:
        self._watch.unit = "finish"
        finished = await super().finish_turn(finish)
        self._watch.unit = None
        self._watch.at("finished")
        return finished


def run(task: Task, line: Callable[[], str]) -> None:
    """Do a task; `line` returns the next line of standard input."""
    asyncio.run(_talk(task, line))


async def _talk(task: Task, line: Callable[[], str]) -> None:
    watch = Watch(task.stop)
    manager = SessionManager(
        WatchedStorage(task.path, watch),
        providers={task.provider: task.credential},
        retry=RetryPolicy(max_attempts=3, initial_delay=0, jitter=0),
    )
    async with manager:
        session = await _opened(manager, task)
        tell(opened=[[message.content, message.status] for message in await session.get_messages()])
        if task.asks:
            tell(ready=os.getpid())
            line()
        for text, key in task.says:
            watch.begun.clear()
            answer = await _said(session, text, key=key, streamed=task.streamed)
            stored = [[message.content, message.status] for message in await session.get_messages()]
            tell(said=text, answer=answer, begun=list(watch.begun), stored=stored)


async def _opened(manager: SessionManager, task: Task) -> Session:
    if os.path.exists(task.path):  # noqa: ASYNC240 - nothing runs beside it yet
        return await manager.get_session(SESSION_ID)
    return await manager.create_session("user", task.provider, "m", session_id=SESSION_ID, provider_config=task.config)


async def _said(session: Session, text: str, *, key: str | None, streamed: bool) -> str:
    if not streamed:
        return (await session.send_message(text, idempotency_key=key)).content
    stream = session.send_message_stream(text, idempotency_key=key)
    read = "".join([chunk async for chunk in stream])
    assert read == stream.message.content
    return read
