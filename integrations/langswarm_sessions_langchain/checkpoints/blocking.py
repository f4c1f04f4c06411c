"""The blocking twins of a saver's methods, over the manager's event loop thread."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
)

from langswarm_sessions_langchain.checkpoints.copying import CopyReport, OnProgress

if TYPE_CHECKING:
    from langswarm_sessions_langchain.checkpoints.saver import SessionCheckpointSaver

__all__ = ["BlockingFace"]


class BlockingFace:
    """Each method does what its async twin does."""

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return the checkpoint a config addresses."""
        saver = self._saver()
        return saver.manager.bridge.call(saver.aget_tuple, config)

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """Yield checkpoints, newest first."""
        saver = self._saver()
        return saver.manager.bridge.iterate(lambda: saver.alist(config, filter=filter, before=before, limit=limit))

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store a checkpoint."""
        saver = self._saver()
        return saver.manager.bridge.call(saver.aput, config, checkpoint, metadata, new_versions)

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Store what a task wrote."""
        saver = self._saver()
        saver.manager.bridge.call(saver.aput_writes, config, writes, task_id, task_path)

    def get_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """Return what led to the values of delta channels."""
        saver = self._saver()
        return saver.manager.bridge.call(saver.aget_delta_channel_history, config=config, channels=channels)

    def delete_thread(self, thread_id: str) -> None:
        """Remove a thread with all its checkpoints."""
        saver = self._saver()
        saver.manager.bridge.call(saver.adelete_thread, thread_id)

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Remove the checkpoints that runs made."""
        saver = self._saver()
        saver.manager.bridge.call(saver.adelete_for_runs, run_ids)

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy a thread with all its checkpoints."""
        saver = self._saver()
        saver.manager.bridge.call(saver.acopy_thread, source_thread_id, target_thread_id)

    def prune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Remove the checkpoints of threads."""
        saver = self._saver()
        saver.manager.bridge.call(saver.aprune, thread_ids, strategy=strategy)

    def delete_inactive_threads(self, days: float, *, all_users: bool = False) -> int:
        """Remove the threads in which nothing has happened for this many days."""
        saver = self._saver()
        return saver.manager.bridge.call(saver.adelete_inactive_threads, days, all_users=all_users)

    def copy_from(
        self,
        source: BaseCheckpointSaver[Any] | str | Path,
        *,
        on_progress: OnProgress | None = None,
        dry_run: bool = False,
    ) -> CopyReport:
        """Copy all threads of another saver into those of this saver's user; the source is only read."""
        saver = self._saver()
        return saver.manager.bridge.call(saver.acopy_from, source, on_progress=on_progress, dry_run=dry_run)

    def _saver(self) -> SessionCheckpointSaver:
        return cast("SessionCheckpointSaver", self)
