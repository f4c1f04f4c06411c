"""Where one operation is played: a session that is there already, and a telemetry that is the operation's alone."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from langswarm_sessions import (
    RetryPolicy,
    Session,
    SessionManager,
    SessionMessage,
    ToolCall,
)
from langswarm_sessions.storage import InMemorySessionStorage, SQLiteSessionStorage
from langswarm_sessions_otel import Telemetry

__all__ = ["CLOCK", "Act", "Stage"]

CLOCK = {"name": "clock", "parameters": {"type": "object"}}


class Stage:
    """A storage with one session in it, prepared by a manager that tells telemetry nothing.

    Args:
        telemetry: Hears of the operation.
        folder: For a database file.
        hooks: Of the manager that is heard.
        on_disk: Whether the storage is a file.
        strategy: Of the session.
    """

    def __init__(
        self, telemetry: Telemetry, folder: Path, *, hooks: Any = (), on_disk: bool = False, strategy: str = "client"
    ) -> None:
        self.path = folder / "sessions.db"
        self.storage = SQLiteSessionStorage(db_path=str(self.path)) if on_disk else InMemorySessionStorage()
        self._asked = asyncio.Event()
        self.is_to_wait = False
        self.is_to_fail = False
        options: dict[str, Any] = {
            "retry": RetryPolicy(max_attempts=2, initial_delay=0, jitter=0),
            "strategy": strategy,
            "turn_wait": 5,
        }
        self.quiet = SessionManager(self.storage, telemetry=False, **options)
        self.manager = SessionManager(
            self.storage, telemetry=telemetry, hooks=hooks, summarizer=self._summarise, **options
        )
        self.session: Session

    async def __aenter__(self) -> Stage:
        """Create the session."""
        before = await self.quiet.create_session("user", "mock", "mock-model", session_id="s")
        await before.send_message("before")
        self.session = await self.manager.get_session("s")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close everything."""
        await self.manager.close()
        await self.quiet.close()
        await self.storage.close()

    # What can be there before

    async def long_conversation(self) -> None:
        """Let the session have said more than its window takes."""
        before = await self.quiet.get_session("s")
        await before.update_config({"max_messages": 10})
        for number in range(5):
            await before.send_message(f"question {number}")
        self.session = await self.manager.get_session("s")

    async def calls_tool(self, name: str = "clock") -> None:
        """Let the last answer call a tool."""
        before = await self.quiet.get_session("s")
        before.provider_session.set_responses([[ToolCall(id="call_1", name=name)]])
        await before.send_message("what time is it?", tools=[{**CLOCK, "name": name}])
        self.session = await self.manager.get_session("s")

    async def archived(self) -> None:
        """Archive the session."""
        await self.quiet.archive_session("s")

    async def purged(self) -> None:
        """Destroy the session; whoever holds it does not know."""
        await self.quiet.delete_session("s")
        await self.quiet.cleanup_deleted_sessions(0)

    async def broken(self) -> None:
        """Take the sessions' table away."""
        with sqlite3.connect(self.path) as connection:
            connection.execute("ALTER TABLE sessions RENAME TO elsewhere")
        connection.close()

    async def silent_provider(self) -> None:
        """Let the provider say two words and no more."""
        self.session.provider_session.set_responses([self._two_words()])

    async def failing_provider(self) -> None:
        """Let the provider be down."""
        self.session.provider_session.fail_next("unavailable", times=9)

    async def failing_provider_after_loss(self) -> None:
        """Let the provider have forgotten the thread, and then be down."""
        self.session.provider_session.fail_next("lost")
        await self.failing_provider()

    def hold(self, method: str) -> None:
        """Let a method of the storage never come to its end."""
        setattr(self.storage, method, self.wait)

    async def wait(self, *_: object, **__: object) -> None:
        """Wait for ever."""
        self._asked.set()
        await asyncio.Event().wait()

    async def asked(self) -> None:
        """Return when somebody waits."""
        await self._asked.wait()

    async def _summarise(self, messages: Sequence[SessionMessage]) -> str:
        if self.is_to_wait:
            await self.wait()
        if self.is_to_fail:
            raise ValueError("not to be seen")
        return f"{len(messages)} messages"

    async def _two_words(self) -> AsyncIterator[str]:
        yield "one "
        yield "two "
        await self.wait()


class Act:
    """How one operation is played.

    Args:
        does: The operation.
        before: What is there before it.
        error: What makes it fail.
        error_type: What it then says.
        held: What lets it never come to its end; a name is a method of the storage.
        leaves: The operation, broken off by its reader.
        hooks: Of the manager.
        on_disk: Whether the storage is a file.
        strategy: Of the session.
    """

    def __init__(
        self,
        does: Callable[[Stage], Awaitable[Any]],
        *,
        before: Callable[[Stage], Awaitable[Any]] | None = None,
        error: Callable[[Stage], Awaitable[Any]] | None = None,
        error_type: str = "",
        held: str | Callable[[Stage], Awaitable[Any]] | None = None,
        leaves: Callable[[Stage], Awaitable[Any]] | None = None,
        hooks: Callable[[], Any] = tuple,
        on_disk: bool = False,
        strategy: str = "client",
    ) -> None:
        self.does = does
        self.before = before
        self.error = error
        self.error_type = error_type
        self.held = held
        self.leaves = leaves
        self.hooks = hooks
        self.on_disk = on_disk
        self.strategy = strategy

    def expected_error(self, outcome: str) -> str | None:
        """Return the error type that span and metric have to say."""
        return {
            "ok": None,
            "error": self.error_type,
            "cancelled": "cancelled",
            "abandoned": "abandoned",
        }[outcome]

    async def play(self, stage: Stage, outcome: str) -> None:
        """Do the operation, and see to it that it ends so."""
        if outcome == "abandoned":
            assert self.leaves is not None
            await self.leaves(stage)
        elif outcome == "cancelled":
            call = asyncio.ensure_future(self.does(stage))
            await stage.asked()
            call.cancel()
            await asyncio.wait({call})
        elif outcome == "error":
            try:
                await self.does(stage)
            except Exception as error:
                if not self.error_type.endswith(type(error).__name__):
                    raise
        else:
            await self.does(stage)

    async def prepare(self, stage: Stage, outcome: str) -> None:
        """Make the stage what it has to be before."""
        if self.before is not None:
            await self.before(stage)
        if outcome == "error" and self.error is not None:
            await self.error(stage)
        held = self.held if outcome == "cancelled" else None
        if isinstance(held, str):
            stage.hold(held)
        elif held is not None:
            await held(stage)
