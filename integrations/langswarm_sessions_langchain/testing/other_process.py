"""A writer in another process: told what to write over its standard input."""

from __future__ import annotations

import asyncio
import os
import pickle
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Self

from langchain_core.messages import AIMessage, HumanMessage

from langswarm_sessions_langchain.testing.kit import Rig
from langswarm_sessions_langchain.testing.subject import Face, HistorySubject, OpenHistory

__all__ = ["WRITES", "Writer", "pair"]

WRITES = 15
"""Turns that each writer adds."""
_PROGRAM = "import sys; sys.path[:] = {path!r}; from {module} import serve; serve()"


def pair(writer: str, at: int) -> tuple[str, str]:
    """Return question and answer of one turn of one writer."""
    return f"{writer}:q{at}", f"{writer}:a{at}"


@dataclass(frozen=True, slots=True)
class Writer:
    """A process that has opened a history and waits for the word to write."""

    process: asyncio.subprocess.Process

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
        try:
            job = pickle.dumps((opens, session_id, name, face))
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise ValueError("elsewhere must be a function of a module, or a partial of one") from error
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            _PROGRAM.format(path=[entry or os.getcwd() for entry in sys.path], module=__name__),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        writer = cls(process)
        try:
            await writer._tell(len(job).to_bytes(8) + job)
            await writer._expect(b"ready\n")
            yield writer
            await writer._end()
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def write_turn(self) -> None:
        """Let it add one turn, and wait until it has.

        Raises:
            RuntimeError: It failed.
        """
        await self._tell(b"go\n")
        await self._expect(b"done\n")

    async def _end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        await self.process.communicate()

    async def _tell(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        await self.process.stdin.drain()

    async def _expect(self, line: bytes) -> None:
        assert self.process.stdout is not None
        if await self.process.stdout.readline() != line:
            _, said = await self.process.communicate()
            last = said.decode(errors="replace").strip().splitlines()[-1:]
            raise RuntimeError(f"another process failed: {''.join(last)}")


def serve() -> None:
    """Be the other process: open, wait for the word, write."""
    size = int.from_bytes(sys.stdin.buffer.read(8))
    opens, session_id, name, face = pickle.loads(sys.stdin.buffer.read(size))
    asyncio.run(_write(opens, session_id, name, face))


async def _write(opens: OpenHistory, session_id: str, name: str, face: Face) -> None:
    rig = Rig(HistorySubject(open=opens, faces=frozenset({face})))
    history = await rig.open(session_id)
    await rig.read(history)
    _say("ready")
    at = 0
    while await asyncio.to_thread(sys.stdin.buffer.readline):
        question, answer = pair(name, at)
        await rig.add(history, [HumanMessage(question), AIMessage(answer)])
        at += 1
        _say("done")


def _say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()
