"""Turns of this library, on sessions that already hold many messages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from langswarm_sessions import SessionManager
from langswarm_sessions.messages import Role, SessionMessage
from langswarm_sessions.session import Session
from tests.benchmarks.bare import INPUT, mock_answer
from tests.benchmarks.measure import Turn

__all__ = ["fill", "manager_on", "our_turn"]

_BATCH = 1000


def manager_on(folder: Path, name: str, **arguments: Any) -> SessionManager:
    """Return a manager on a database of its own."""
    return SessionManager("sqlite", storage_config={"db_path": str(folder / f"{name}.db")}, **arguments)


async def fill(manager: SessionManager, session: Session, *, stored: int) -> None:
    """Store messages in pairs, as if they had been said."""
    for start in range(0, stored, _BATCH):
        pairs = range(start, min(start + _BATCH, stored), 2)
        await manager.append_messages(session.session_id, [message for _ in pairs for message in _pair()])


async def our_turn(manager: SessionManager, *, stored: int, strategy: str, window: int | None) -> Turn:
    """Return a turn on a session that holds `stored` messages."""
    session = await manager.create_session(
        "user", "mock", "mock-model", strategy=strategy, session_config={"max_messages": window}
    )
    await fill(manager, session, stored=stored)
    # The mock keeps what it was sent; a scripted answer keeps its own work out of the figures.
    await session.send_message("warm up")

    async def turn() -> None:
        await session.send_message(INPUT)

    return turn


def _pair() -> list[SessionMessage]:
    return [
        SessionMessage(role=Role.USER, content=INPUT),
        SessionMessage(role=Role.ASSISTANT, content=mock_answer(INPUT)),
    ]
