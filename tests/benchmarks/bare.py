"""The yardstick: the least a durable turn can cost, written by hand against sqlite3."""

from __future__ import annotations

import sqlite3
import uuid
from pathlib import Path

from tests.benchmarks.measure import Turn

__all__ = ["INPUT", "bare_turn", "mock_answer"]

INPUT = "x" * 200

_SCHEMA = """
CREATE TABLE sessions (session_id TEXT PRIMARY KEY, message_count INTEGER NOT NULL, last_activity REAL NOT NULL);
CREATE TABLE messages (message_id TEXT PRIMARY KEY, session_id TEXT NOT NULL, seq INTEGER NOT NULL, role TEXT NOT NULL,
                       content TEXT NOT NULL, timestamp REAL NOT NULL, UNIQUE (session_id, seq));
"""


def mock_answer(text: str) -> str:
    """Return what the mock provider says, so that every system stores the same."""
    return f"Mock response to: {text}"


def bare_turn(folder: Path, *, stored: int, window: int) -> Turn:
    """Return a turn of two transactions: input before the answer is known, then answer and counters.

    Args:
        folder: Where the database goes.
        stored: Messages in it beforehand.
        window: Messages read back before the answer (0: none, as with a native thread).
    """
    connection = sqlite3.connect(folder / f"bare-{stored}-{window}.db", isolation_level=None)
    connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;" + _SCHEMA)
    connection.execute("INSERT INTO sessions VALUES ('s', ?, 0)", (stored,))
    connection.execute("BEGIN")
    connection.executemany(
        "INSERT INTO messages VALUES (?, 's', ?, 'user', ?, 0)",
        ((str(uuid.uuid4()), seq, INPUT) for seq in range(stored)),
    )
    connection.execute("COMMIT")
    seq = stored

    def store(role: str, content: str) -> None:
        nonlocal seq
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO messages VALUES (?, 's', ?, ?, ?, 0)", (str(uuid.uuid4()), seq, role, content))
        connection.execute("UPDATE sessions SET message_count = message_count + 1, last_activity = ?", (seq,))
        connection.execute("COMMIT")
        seq += 1

    async def turn() -> None:
        store("user", INPUT)
        if window:
            connection.execute(
                "SELECT role, content FROM messages WHERE session_id = 's' ORDER BY seq DESC LIMIT ?", (window,)
            ).fetchall()
        store("assistant", mock_answer(INPUT))

    return turn
