"""What the tests of tools run in processes of their own."""

from __future__ import annotations

import asyncio
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from langswarm_sessions import RetryPolicy, SessionManager
from langswarm_sessions.storage import SQLiteSessionStorage
from tests.accept.log_files import OutlivingMock

__all__ = ["PRELOAD", "Noting", "die_between_call_and_result", "open_manager", "run_tools_in_turn"]

PRELOAD = [
    "tests.tool_calls.programs",
    "langswarm_sessions.providers.mock",
    "alembic.migration",
    "pydantic",
    "tenacity",
]


class Noting:
    """Two tools that write each run into a file; the second can be made to hang."""

    def __init__(self, file: Path, *, hangs: bool = False) -> None:
        self._file = file
        self._hangs = hangs

    @property
    def all(self) -> list[Any]:
        """The tools, as `send_message` takes them."""
        return [self.pay, self.ship]

    @property
    def runs(self) -> list[str]:
        """What ran so far, in whatever process."""
        return self._file.read_text().splitlines() if self._file.exists() else []

    def pay(self) -> str:
        """Pay: not to be done twice."""
        self._note("pay")
        return "paid"

    async def ship(self) -> str:
        """Ship."""
        self._note("ship")
        if self._hangs:
            await asyncio.Event().wait()
        return "shipped"

    def _note(self, name: str) -> None:
        with self._file.open("a") as file:
            file.write(f"{name}\n")


def open_manager(folder: Path, providers: dict[str, Any]) -> SessionManager:
    """Return a manager over the folder's database; the mock's logs outlive its process there."""
    return SessionManager(
        SQLiteSessionStorage(db_path=str(folder / "sessions.db")),
        providers={"mock": OutlivingMock(folder / "logs"), **providers},
        retry=RetryPolicy(initial_delay=0, jitter=0),
        turn_wait=60,
    )


def die_between_call_and_result(
    folder: Path, providers: dict[str, Any], script: list[Any], key: str | None, said: Connection
) -> None:
    """Send, and tell once one tool's result is stored while the other tool runs; then wait to be killed."""
    asyncio.run(_die(folder, providers, script, key, said))


async def _die(folder: Path, providers: dict[str, Any], script: list[Any], key: str | None, said: Connection) -> None:
    session = await open_manager(folder, providers).get_session("s")
    if script:
        session.provider_session.set_responses(script)
    tools = Noting(folder / "runs", hangs=True)
    send = asyncio.ensure_future(session.send_message("buy it", tools=tools.all, run_tools=True, idempotency_key=key))
    while not (len(tools.runs) == 2 and await session.get_messages(role="tool")):
        assert not send.done(), send
        await asyncio.sleep(0.005)
    said.send("one is stored, the other runs")
    await send


def run_tools_in_turn(folder: Path, process: int, sends: int, said: Connection) -> None:
    """Send again and again with a tool; tell the texts that were answered."""
    said.send(asyncio.run(_run_tools_in_turn(folder, process, sends)))
    said.close()


async def _run_tools_in_turn(folder: Path, process: int, sends: int) -> list[str]:
    from langswarm_sessions import ToolCall

    async with open_manager(folder, {}) as manager:
        session = await manager.open_session("s", user_id="user", provider="mock", model="m")
        answered: list[str] = []

        async def pause() -> str:
            """Let others try."""
            await asyncio.sleep(0.02)
            return "paused"

        for number in range(sends):
            text = f"{process}-{number}"
            session.provider_session.set_responses([[ToolCall(id="c1", name="pause")], f"answer to {text}"])
            reply = await session.send_message(text, tools=[pause], run_tools=True)
            assert reply.content == f"answer to {text}"
            answered.append(text)
        return answered
