"""A writer in another process: told what to write over its standard input."""

from __future__ import annotations

import asyncio
import os
import pickle
import sys
import tempfile
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import IO, TYPE_CHECKING, Any, Self

from langchain_core.messages import BaseMessage

from langswarm_sessions_langchain.testing.holding import GRACE_SECONDS, HaltingList, halting_at
from langswarm_sessions_langchain.testing.kit import Rig, in_thread
from langswarm_sessions_langchain.testing.lists import ROUNDS, list_of
from langswarm_sessions_langchain.testing.subject import Face, HistorySubject, OpenHistory

__all__ = ["Writer", "add_halting", "held_list", "stop_in"]

if TYPE_CHECKING:
    from langchain_core.chat_history import BaseChatMessageHistory

_PROGRAM = "import sys; sys.path[:] = {path!r}; from {module} import serve; serve()"


@dataclass(frozen=True, slots=True)
class Writer:
    """A process that has opened a history and waits for the word to write.

    Args:
        process: What runs there. Its standard input and output are the line to it, whatever the history prints.
        errors: What it says on its standard error.
    """

    process: asyncio.subprocess.Process
    errors: IO[bytes]

    @classmethod
    @asynccontextmanager
    async def started(cls, opens: OpenHistory, session_id: str, *, name: str, face: Face) -> AsyncGenerator[Self]:
        """Start the process, and yield when it has opened the history; end it afterwards, whatever happened.

        Args:
            opens: Opens the history there.
            session_id: Of which session.
            name: What its messages begin with.
            face: How it writes.

        Raises:
            ValueError: `opens` cannot be told to another process.
            RuntimeError: The history could not be opened there.
        """
        job = _pickled(opens, session_id, name, face)
        with tempfile.TemporaryFile() as errors:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                _PROGRAM.format(path=[entry or os.getcwd() for entry in sys.path], module=__name__),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
            )
            writer = cls(process, errors)
            try:
                await writer._tell(len(job).to_bytes(8) + job)
                await writer._expect("ready")
                yield writer
                await writer._end()
            finally:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()

    async def write(self) -> None:
        """Let it add one list, and wait until it has.

        Raises:
            RuntimeError: It failed.
        """
        await self._tell(b"write\n")
        await self._expect("written")

    async def write_while(self, others: Coroutine[Any, Any, object]) -> None:
        """Let it add one list, and hold it in the middle of that until others have written theirs.

        Args:
            others: Their writing. It is held no longer where that is what they wait for.

        Raises:
            RuntimeError: It failed.
        """
        await self._tell(b"hold\n")
        heard = await self._hear()
        meanwhile = asyncio.ensure_future(others)
        try:
            if heard == "halted":
                await asyncio.wait({meanwhile}, timeout=GRACE_SECONDS)
                await self._tell(b"go on\n")
                heard = await self._hear()
        finally:
            await meanwhile
        await self._expect("written", heard)

    async def _end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        await self.process.communicate()

    async def _tell(self, data: bytes) -> None:
        assert self.process.stdin is not None
        with suppress(ConnectionError):  # it ended; what it said last is heard next
            self.process.stdin.write(data)
            await self.process.stdin.drain()

    async def _hear(self) -> str:
        assert self.process.stdout is not None
        return (await self.process.stdout.readline()).decode().strip()

    async def _expect(self, word: str, heard: str | None = None) -> None:
        if (await self._hear() if heard is None else heard) != word:
            await self.process.wait()
            self.errors.seek(0)
            last = self.errors.read().decode(errors="replace").strip().splitlines()[-1:]
            raise RuntimeError(f"another process failed: {''.join(last)}")


def _pickled(opens: OpenHistory, session_id: str, name: str, face: Face) -> bytes:
    try:
        job = pickle.dumps((opens, session_id, name, face))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ValueError("elsewhere must be a function of a module, or a partial of one") from error
    return job


def serve() -> None:
    """Be the other process: open, wait for the word, write."""
    with os.fdopen(os.dup(1), "w") as line:
        os.dup2(2, 1)  # what the history prints goes where errors go
        size = int.from_bytes(sys.stdin.buffer.read(8))
        try:
            opens, session_id, name, face = pickle.loads(sys.stdin.buffer.read(size))
        except (ImportError, AttributeError) as error:
            sys.exit(f"elsewhere must stand in a module that another process can import: {error}")
        asyncio.run(_write(line, opens, session_id, name, face))


async def _write(line: IO[str], opens: OpenHistory, session_id: str, name: str, face: Face) -> None:
    def say(word: str) -> None:
        line.write(f"{word}\n")
        line.flush()

    def halt() -> None:
        say("halted")
        sys.stdin.buffer.readline()

    rig = Rig(HistorySubject(open=opens, faces=frozenset({face})))
    history = await rig.open(session_id)
    await rig.read(history)
    say("ready")
    at = calls = 0
    while word := await asyncio.to_thread(sys.stdin.buffer.readline):
        held = word == b"hold\n"
        messages = held_list(name, at, halt, on_loops=True) if held else list_of(name, at)
        stop = stop_in(at, calls) if held else None
        if face is Face.ASYNC:
            with halting_at(stop, halt) as made:
                await history.aadd_messages(messages)
            calls = made[0]
        else:
            calls = await in_thread(partial(add_halting, history, messages, stop, halt))
        at += 1
        say("written")


def held_list(writer: str, at: int, halt: Callable[[], object], *, on_loops: bool = False) -> list[BaseMessage]:
    """Return the list of a writer that is held in this round, where it is its list that holds it."""
    messages, passes = list_of(writer, at), ROUNDS[at].passes
    return messages if passes is None else HaltingList(messages, halt, passes=passes, on_loops=on_loops)


def stop_in(at: int, calls: int) -> int | None:
    """Return at which of its calls a writer is held in this round, if it is, when it made so many for its last list."""
    part = ROUNDS[at].part
    return None if part is None else int(calls * part)


def add_halting(
    history: BaseChatMessageHistory, messages: Sequence[BaseMessage], stop: int | None, halt: Callable[[], object]
) -> int:
    """Add messages, be held at one of the calls that takes, and return how many it took."""
    with halting_at(stop, halt) as made:
        history.add_messages(messages)
    return made[0]
