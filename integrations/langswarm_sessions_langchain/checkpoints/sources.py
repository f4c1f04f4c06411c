"""Where checkpoints are copied from: any saver, or the database of one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import WRITES_IDX_MAP, BaseCheckpointSaver, Checkpoint, CheckpointTuple, PendingWrite

from langswarm_sessions.errors import InvalidInputError, StorageError
from langswarm_sessions_langchain.checkpoints.serializing import Codec

__all__ = ["CheckpointSource", "GivenCheckpoint", "GivenWrite", "SourceId", "opened_source"]


@dataclass(frozen=True, slots=True, order=True)
class SourceId:
    """Names a checkpoint of a source. They sort thread by thread, oldest first."""

    thread_id: str
    checkpoint_id: str
    namespace: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenWrite:
    """What a task had written."""

    task_id: str
    index: int
    channel: str
    value: Any = field(repr=False)
    task_path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenCheckpoint:
    """A checkpoint as a source has it."""

    checkpoint: Checkpoint = field(repr=False)
    metadata: dict[str, Any] = field(repr=False)
    parent_id: str | None
    writes: tuple[GivenWrite, ...]


class CheckpointSource(Protocol):
    """Reads checkpoints, and changes nothing."""

    async def ids(self) -> list[SourceId]:
        """Return the ids of all checkpoints, in order."""
        ...

    async def load(self, found: SourceId) -> GivenCheckpoint:
        """Return one checkpoint."""
        ...


@asynccontextmanager
async def opened_source(
    source: BaseCheckpointSaver[Any] | str | Path, *, codec: Codec
) -> AsyncGenerator[CheckpointSource]:
    """Open a source for the length of the block.

    Args:
        source: A saver, the path of a SqliteSaver's database, or the URL of a PostgresSaver's.
        codec: Decodes what a database holds.

    Raises:
        InvalidInputError: It is none of them.
    """
    if isinstance(source, BaseCheckpointSaver):
        yield SaverSource(source)
        return
    if not isinstance(source, str | Path) or not str(source):
        raise InvalidInputError(
            "copy_from takes a checkpoint saver, the path of a SqliteSaver's database, or a postgresql:// URL."
        )
    from langswarm_sessions_langchain.checkpoints import databases

    scheme, is_url, rest = str(source).partition("://")
    if is_url and scheme.partition("+")[0] in ("postgresql", "postgres"):
        opened: databases.DatabaseSource = await asyncio.to_thread(
            databases.PostgresSource, f"postgresql://{rest}", codec
        )
    else:
        opened = await asyncio.to_thread(databases.SqliteSource, source, codec)
    try:
        yield opened
    finally:
        await asyncio.to_thread(opened.close)


class SaverSource:
    """Reads what a saver lists.

    Args:
        saver: Any saver, sync or async.
    """

    def __init__(self, saver: BaseCheckpointSaver[Any]) -> None:
        self._saver = saver

    async def ids(self) -> list[SourceId]:
        """Return the ids of all checkpoints, in order."""
        try:
            return sorted([_id_of(found.config) async for found in self._saver.alist(None)])
        except NotImplementedError:  # a saver without async methods
            return await asyncio.to_thread(lambda: sorted(_id_of(found.config) for found in self._saver.list(None)))

    async def load(self, found: SourceId) -> GivenCheckpoint:
        """Return one checkpoint."""
        config: RunnableConfig = {
            "configurable": {
                "thread_id": found.thread_id,
                "checkpoint_ns": found.namespace,
                "checkpoint_id": found.checkpoint_id,
            }
        }
        try:
            given = await self._saver.aget_tuple(config)
        except NotImplementedError:
            given = await asyncio.to_thread(self._saver.get_tuple, config)
        if given is None:
            raise StorageError("A checkpoint was removed from the source while it was copied. Copy again.")
        return _given(given)


def _id_of(config: RunnableConfig) -> SourceId:
    names = config.get("configurable", {})
    return SourceId(str(names["thread_id"]), str(names["checkpoint_id"]), str(names.get("checkpoint_ns", "")))


def _given(found: CheckpointTuple) -> GivenCheckpoint:
    parent = None if found.parent_config is None else found.parent_config.get("configurable", {}).get("checkpoint_id")
    return GivenCheckpoint(
        checkpoint=found.checkpoint,
        metadata=dict(cast("dict[str, Any]", found.metadata)),
        parent_id=parent,
        writes=_writes_of(found.pending_writes or []),
    )


def _writes_of(pending: Sequence[PendingWrite]) -> tuple[GivenWrite, ...]:
    """Number writes as they were, and keep the order of tasks, which a saver does not tell the paths of."""
    tasks = list(dict.fromkeys(task for task, _, _ in pending))
    paths = {task: "" if tasks == sorted(tasks) else f"{place:08d}" for place, task in enumerate(tasks)}
    counts = dict.fromkeys(tasks, 0)
    writes: list[GivenWrite] = []
    for task, channel, value in pending:
        index = WRITES_IDX_MAP.get(channel, counts[task])
        counts[task] += index >= 0
        writes.append(GivenWrite(task_id=task, index=index, channel=channel, value=value, task_path=paths[task]))
    return tuple(writes)
