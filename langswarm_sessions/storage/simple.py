"""A user's own storage of six methods, made fit for the turn engine."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar, TypeVar, cast

from langswarm_sessions.errors import ConfigurationError, SessionError, SessionExistsError, StorageError
from langswarm_sessions.ids import new_id, now
from langswarm_sessions.interfaces.storage import SessionStorage
from langswarm_sessions.messages import SessionMessage, TurnState
from langswarm_sessions.records import (
    BeginTurn,
    Begun,
    Busy,
    Finished,
    FinishTurn,
    HistoryQuery,
    Lease,
    MessageFilter,
    Page,
    Recorded,
    SessionRecord,
    SessionSummary,
    TurnRecord,
)
from langswarm_sessions.storage.plain import message_from_plain, message_to_plain, plain_list
from langswarm_sessions.storage.simple_memory import ConversationMemory
from langswarm_sessions.storage.simple_records import beyond_memory, config_to_plain, record_from_plain
from langswarm_sessions.storage.simple_refusals import SixMethodsOnly
from langswarm_sessions.storage.simple_use import OneByOne
from langswarm_sessions.storage.sql.message_rows import copy_of

__all__ = ["SimpleStorageAdapter"]

T = TypeVar("T")

_METHODS = ("create_session", "get_session", "add_message", "get_messages", "health_check", "close")
_logger = logging.getLogger("langswarm_sessions.storage")


class SimpleStorageAdapter(SixMethodsOnly):
    """Runs turns over a storage that can only create a session, append a message and read both.

    What was said is written to that storage, inputs before the provider is called, answers before the caller is
    answered. What it cannot hold (turns, leases, native state, counters) is kept in this process's memory, beside a
    copy of each conversation in use; after a restart, and once a conversation was not used for so long that it was
    forgotten, it is read off the messages as far as they tell.

    Args:
        storage: An object with the six methods of SessionStorage, a subclass of it or not.
        keep: How many conversations are kept in memory that nobody works on and no turn holds.
        closes_storage: Whether `close` closes the storage, too; else only what is kept in memory.

    Raises:
        ConfigurationError: A method is missing.
    """

    backend: ClassVar[str] = "custom"

    def __init__(self, storage: SessionStorage, *, keep: int = 256, closes_storage: bool = True) -> None:
        missing = [name for name in _METHODS if not callable(getattr(storage, name, None))]
        if missing:
            raise ConfigurationError(
                f"storage: {type(storage).__name__} lacks {', '.join(missing)}. A storage needs {', '.join(_METHODS)}."
            )
        self._storage = storage
        self._closes_storage = closes_storage
        self._memory = ConversationMemory(keep=keep)
        self._creations = OneByOne()
        self._unfinished: dict[asyncio.Task[Any], str] = {}
        _logger.warning(
            "Turns over %s are ordered within this process only: do not open one session from two processes.",
            type(storage).__name__,
        )

    def __repr__(self) -> str:
        return f"SimpleStorageAdapter({type(self._storage).__name__})"

    async def insert_session(self, record: SessionRecord) -> None:
        """Store a new session."""
        session_id = record.session_id
        async with self._creations.alone(session_id), self._at_hand(session_id) as found:
            if found is not None:
                raise SessionExistsError(
                    "A session with this id exists already. Use get_session or another id.", session_id=session_id
                )
            config, context = config_to_plain(record), dict(record.context)
            names = (session_id, record.user_id, record.provider, record.model)
            await self._call("create_session", *names, config, context)
            await self._memory.restore(record, [])

    async def load_session(self, session_id: str) -> SessionRecord | None:
        """Return the session, reading it from the storage when it is first used."""
        async with self._at_hand(session_id) as found:
            return found

    async def change_session(
        self, session_id: str, change: Callable[[SessionRecord], SessionRecord]
    ) -> SessionRecord | None:
        """Apply a change to what is kept in memory; a change to what the storage holds is refused."""

        def within_memory(record: SessionRecord) -> SessionRecord:
            changed = change(record)
            if (operation := beyond_memory(record, changed)) is not None:
                self._refuse(operation)
            return changed

        async with self._at_hand(session_id):
            return await self._memory.change_session(session_id, within_memory)

    async def begin_turn(self, begin: BeginTurn) -> Begun | Recorded | Busy:
        """Take the session's lease in memory and store the input."""
        await self._settled(begin.session_id)
        async with self._at_hand(begin.session_id):
            return await self._begin(begin)

    async def finish_turn(self, finish: FinishTurn) -> Finished:
        """Store the answer, then end the turn in memory; once called it is carried out."""
        return await self._surely(finish.lease.session_id, self._finish(finish))

    async def release_lease(self, lease: Lease) -> None:
        """Let go of a lease in memory."""
        await self._memory.release_lease(lease)

    async def leave_line(self, session_id: str, ticket: int) -> None:
        """Give up a place in the line of waiters."""
        await self._memory.leave_line(session_id, ticket)

    def beat(self, leases: Sequence[Lease], expires_at: datetime) -> list[Lease]:
        """Extend leases."""
        return self._memory.beat(leases, expires_at)

    async def load_history(self, session_id: str, query: HistoryQuery) -> tuple[SessionMessage, ...]:
        """Return the part of the transcript a model may be given."""
        async with self._at_hand(session_id):
            return await self._memory.load_history(session_id, query)

    async def append_messages(
        self,
        session_id: str,
        messages: Sequence[SessionMessage],
        *,
        held: Lease | None = None,
        after_seq: int | None = None,
    ) -> Finished:
        """Append messages outside any turn."""
        async with self._at_hand(session_id):
            if after_seq is not None:
                await self._memory.append_messages(session_id, [], after_seq=after_seq)
            identified = await self._memory.identified(messages, session_id)
            return await self._surely(session_id, self._append(session_id, identified, held))

    async def list_messages(self, session_id: str, wanted: MessageFilter) -> Page[SessionMessage]:
        """Return a page of the transcript."""
        async with self._at_hand(session_id):
            return await self._memory.list_messages(session_id, wanted)

    async def load_message(self, session_id: str, message_id: str) -> SessionMessage | None:
        """Return one message of the session."""
        async with self._at_hand(session_id):
            return await self._memory.load_message(session_id, message_id)

    async def load_summary(self, session_id: str) -> SessionSummary | None:
        """Return the newest summary, as long as it is kept in memory."""
        async with self._at_hand(session_id):
            return await self._memory.load_summary(session_id)

    async def save_summary(self, session_id: str, summary: SessionSummary) -> None:
        """Keep a summary in memory: the storage has no place for it, and it can be made again."""
        async with self._at_hand(session_id):
            await self._memory.save_summary(session_id, summary)

    async def load_turn(self, session_id: str, turn_id: str) -> TurnRecord | None:
        """Return one turn of the session."""
        async with self._at_hand(session_id):
            return await self._memory.load_turn(session_id, turn_id)

    async def check_health(self) -> Mapping[str, Any]:
        """Return what the storage says of itself."""
        started = now()
        answer = await self._call("health_check")
        if not answer:
            raise StorageError(f"{type(self._storage).__name__}.health_check says that the storage does not work.")
        latency = (now() - started).total_seconds() * 1000
        found = {"status": "healthy", "backend": self.backend, "latency_ms": latency, "schema_revision": None}
        return {**found, **cast("Mapping[str, Any]", answer)} if isinstance(answer, Mapping) else found

    async def close(self) -> None:
        """Close what is kept in memory, and the storage if that is wanted."""
        await self._memory.close()
        if self._closes_storage:
            await self._call("close")

    @asynccontextmanager
    async def _at_hand(self, session_id: str) -> AsyncGenerator[SessionRecord | None]:
        """Have a conversation in memory for as long as it is worked on, reading it from the storage if need be."""
        with self._memory.using(session_id):
            found = await self._memory.load_session(session_id)
            yield found if found is not None else await self._taken_in(session_id)

    async def _taken_in(self, session_id: str) -> SessionRecord | None:
        found = await self._call("get_session", session_id)
        if not found:
            return None
        raw = await self._call("get_messages", session_id, limit=None, role=None, since=None)
        said = [message_from_plain(item, session_id=session_id) for item in plain_list(raw, field="messages")]
        await self._memory.restore(record_from_plain(found, session_id=session_id, messages=said), said)
        return await self._memory.load_session(session_id)

    async def _begin(self, begin: BeginTurn) -> Begun | Recorded | Busy:
        if begin.instructions is not None and not begin.instructions.message_id:
            begin = replace(begin, instructions=copy_of(begin.instructions, message_id=new_id()))
        outcome = await self._memory.begin_turn(begin)
        if not isinstance(outcome, Begun):
            return outcome
        try:
            await self._surely(begin.session_id, self._write(begin.session_id, await self._fresh(begin, outcome)))
        except asyncio.CancelledError:
            await self._surely(begin.session_id, self._memory.abandon(outcome))
            raise
        except SessionError:
            await self._surely(begin.session_id, self._memory.forget(begin.session_id))
            raise
        return outcome

    async def _fresh(self, begin: BeginTurn, begun: Begun) -> list[SessionMessage]:
        """Return what the storage has not been given yet: a turn that is run again brings no new input."""
        inputs = begun.inputs if begun.turn.turn_id == begin.turn_id else ()
        if begin.instructions is None:
            return list(inputs)
        stored = await self._memory.load_message(begin.session_id, begin.instructions.message_id)
        return [*([stored] if stored is not None else ()), *inputs]

    async def _finish(self, finish: FinishTurn) -> Finished:
        lease = finish.lease
        answers = await self._memory.identified(
            finish.answers, lease.session_id, turn_id=lease.turn_id, status=finish.state
        )
        if await self._memory.is_held(lease):
            await self._write(lease.session_id, answers)
        return await self._memory.finish_turn(replace(finish, answers=answers))

    async def _append(self, session_id: str, messages: Sequence[SessionMessage], held: Lease | None) -> Finished:
        if held is None or await self._memory.is_held(held):
            await self._write(session_id, messages)
        return await self._memory.append_messages(session_id, messages, held=held)

    async def _write(self, session_id: str, messages: Iterable[SessionMessage]) -> None:
        for message in messages:
            plain = {**message_to_plain(message), "session_id": session_id}
            if message.status is TurnState.PENDING:
                del plain["status"]  # it could not be corrected when the turn ends; an answer will tell
            await self._call("add_message", session_id, plain)

    async def _call(self, name: str, *args: object, **kwargs: object) -> Any:
        """Call a method of the user's storage, a plain one or a coroutine; its failures are StorageErrors."""
        try:
            outcome = getattr(self._storage, name)(*args, **kwargs)
            return await cast("Awaitable[object]", outcome) if inspect.isawaitable(outcome) else outcome
        except SessionError:
            raise
        except Exception as error:
            raise StorageError(
                f"{type(self._storage).__name__}.{name} failed ({type(error).__name__}). See the cause of this error."
            ) from error

    async def _surely(self, session_id: str, work: Coroutine[Any, Any, T]) -> T:
        """Carry `work` out even if the caller is cancelled meanwhile."""
        task = asyncio.create_task(work)
        self._unfinished[task] = session_id
        use = ExitStack()
        use.enter_context(self._memory.using(session_id))
        task.add_done_callback(lambda done: self._unfinished.pop(done, None))
        task.add_done_callback(lambda _: use.close())
        return await asyncio.shield(task)

    async def _settled(self, session_id: str) -> None:
        """Wait for turns of this session that go on ending although nobody waits for them any more."""
        loop = asyncio.get_running_loop()
        ending = [task for task, session in list(self._unfinished.items()) if session == session_id]
        if here := [task for task in ending if task.get_loop() is loop]:
            await asyncio.wait(here)
