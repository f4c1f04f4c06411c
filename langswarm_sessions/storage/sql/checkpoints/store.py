"""The checkpoint store over SQL: each operation is one unit of work, given to a runner."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from langswarm_sessions.interfaces.checkpoints import CheckpointStore
from langswarm_sessions.records.checkpoints import (
    CheckpointAddress,
    CheckpointEntry,
    CheckpointOutcome,
    CheckpointQuery,
    CheckpointRemoval,
    CheckpointWrite,
    NewCheckpoint,
    StoredCheckpoint,
    StoredHistory,
)
from langswarm_sessions.storage.sql.checkpoints import history, putting, reading, threads
from langswarm_sessions.storage.sql.checkpoints.removal import remove_checkpoints
from langswarm_sessions.storage.sql.checkpoints.tables import (
    checkpoint_threads,
    checkpoint_values,
    checkpoint_writes,
    checkpoints,
)
from langswarm_sessions.storage.sql.runner import Runner

__all__ = ["SqlCheckpoints"]


class SqlCheckpoints(CheckpointStore):
    """Checkpoints in the database that a storage's runner runs on."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    async def put_checkpoint(self, new: NewCheckpoint) -> CheckpointOutcome:
        """Store a checkpoint and the new versions of its channels, or nothing at all."""
        return await self._runner.write(putting.put_checkpoint, new)

    async def put_writes(
        self, address: CheckpointAddress, checkpoint_id: str, writes: Sequence[CheckpointWrite]
    ) -> None:
        """Append what a task wrote, all or none."""
        await self._runner.write(putting.put_writes, address, checkpoint_id, writes)

    async def load_checkpoint(self, address: CheckpointAddress, checkpoint_id: str | None) -> StoredCheckpoint | None:
        """Return one checkpoint, or the newest."""
        return await self._runner.read(reading.load_checkpoint, address, checkpoint_id)

    async def list_checkpoints(self, query: CheckpointQuery) -> list[CheckpointEntry]:
        """Return checkpoints in descending order of their ids."""
        return await self._runner.read(reading.list_checkpoints, query)

    async def load_history(
        self, address: CheckpointAddress, checkpoint_id: str | None, channels: Sequence[str]
    ) -> dict[str, StoredHistory]:
        """Return what led to the values of channels."""
        return await self._runner.read(history.load_history, address, checkpoint_id, channels)

    async def remove_checkpoints(self, removal: CheckpointRemoval) -> None:
        """Remove checkpoints with their writes, and the values that no other checkpoint has."""
        await self._runner.write(remove_checkpoints, removal)

    async def delete_thread(self, user_id: str, thread_id: str) -> None:
        """Remove a thread with all its checkpoints."""
        await self._runner.write(threads.delete_thread, user_id, thread_id)

    async def delete_inactive_threads(self, inactive_since: datetime, *, user_id: str | None = None) -> int:
        """Remove threads in which nothing has happened since a time."""
        count = 0
        while batch := await self._runner.write(threads.delete_inactive_batch, user_id, inactive_since):
            count += batch
        return count

    async def copy_thread(self, user_id: str, source: str, target: str) -> None:
        """Copy a thread with all its checkpoints."""
        await self._runner.write(threads.copy_thread, user_id, source, target)

    async def forget_turn(self, session_id: str) -> None:
        """Remove a session that only was there to be waited for."""
        await self._runner.write_surely(threads.forget_turn, session_id)

    async def statistics(self) -> dict[str, Any]:
        """Return counts of rows and the bytes of what is kept."""
        return await self._runner.read(_statistics)


def _statistics(connection: Connection) -> dict[str, Any]:
    def count(table: Any, *what: Any) -> int:
        return int(connection.execute(select(*what or (func.count(),)).select_from(table)).scalar_one() or 0)

    return {
        "threads": count(checkpoint_threads),
        "checkpoints": count(checkpoints),
        "values": count(checkpoint_values),
        "writes": count(checkpoint_writes),
        "value_bytes": count(checkpoint_values, func.sum(func.length(checkpoint_values.c.value))),
        "write_bytes": count(checkpoint_writes, func.sum(func.length(checkpoint_writes.c.value))),
        "checkpoint_bytes": count(
            checkpoints, func.sum(func.length(checkpoints.c.body) + func.length(checkpoints.c.metadata))
        ),
    }
