"""What a storage that keeps checkpoints of graphs can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import Any

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

__all__ = ["CheckpointStore"]


class CheckpointStore(ABC):
    """Checkpoints of graphs, beside the sessions of the same database. Every method is one transaction.

    A storage has one in `EngineStorage.checkpoints`. It understands nothing of what it keeps: values are bytes. When
    it purges a session it removes the thread of the same user and id as well.
    """

    @abstractmethod
    async def put_checkpoint(self, new: NewCheckpoint) -> CheckpointOutcome:
        """Store a checkpoint and the new versions of its channels, or nothing at all.

        A checkpoint that is there already is replaced, but for its values. Writes that came before a checkpoint which
        is refused are removed.
        """

    @abstractmethod
    async def put_writes(
        self, address: CheckpointAddress, checkpoint_id: str, writes: Sequence[CheckpointWrite]
    ) -> None:
        """Append what a task wrote, all or none. Of the same task and index the first write stays.

        Those with a negative index replace the one before. The checkpoint may come later.
        """

    @abstractmethod
    async def load_checkpoint(self, address: CheckpointAddress, checkpoint_id: str | None) -> StoredCheckpoint | None:
        """Return one checkpoint, the newest when `checkpoint_id` is None; None when there is none."""

    @abstractmethod
    async def list_checkpoints(self, query: CheckpointQuery) -> list[CheckpointEntry]:
        """Return checkpoints in descending order of their ids."""

    @abstractmethod
    async def load_history(
        self, address: CheckpointAddress, checkpoint_id: str | None, channels: Sequence[str]
    ) -> dict[str, StoredHistory]:
        """Return what led to channels that keep only what was written to them, up to the given (or newest) one."""

    @abstractmethod
    async def remove_checkpoints(self, removal: CheckpointRemoval) -> None:
        """Remove checkpoints with their writes, and the values that no other checkpoint has."""

    @abstractmethod
    async def delete_thread(self, user_id: str, thread_id: str) -> None:
        """Remove a thread with all its checkpoints; nothing happens when there is none."""

    @abstractmethod
    async def delete_inactive_threads(self, inactive_since: datetime, *, user_id: str | None = None) -> int:
        """Remove threads in which nothing has happened since a time, some in each transaction; return how many.

        Args:
            inactive_since: The time.
            user_id: Whose; None for everybody's.
        """

    @abstractmethod
    async def copy_thread(self, user_id: str, source: str, target: str) -> None:
        """Copy a thread with all its checkpoints.

        Raises:
            SessionNotFoundError: There is no such thread.
            SessionExistsError: The target is there already.
        """

    @abstractmethod
    async def forget_turn(self, session_id: str) -> None:
        """Remove a session that only was there to be waited for, unless a turn holds it or anybody waits."""

    @abstractmethod
    async def statistics(self) -> dict[str, Any]:
        """Return counts of rows and the bytes of what is kept."""
