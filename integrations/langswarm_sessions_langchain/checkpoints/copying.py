"""Copying the threads of other savers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver

from langswarm_sessions.ids import now
from langswarm_sessions.records.checkpoints import (
    CheckpointAddress,
    CheckpointQuery,
    CheckpointWrite,
    NewCheckpoint,
    Version,
)
from langswarm_sessions_langchain.checkpoints.backend import Backend
from langswarm_sessions_langchain.checkpoints.reading import entries_of
from langswarm_sessions_langchain.checkpoints.sources import (
    CheckpointSource,
    GivenCheckpoint,
    SourceId,
    opened_source,
)
from langswarm_sessions_langchain.checkpoints.writing import body_of, encoded_values, encoded_write, remember, run_of

__all__ = ["CopyProgress", "CopyReport", "OnProgress", "copy_all"]


@dataclass(frozen=True, slots=True)
class CopyProgress:
    """How far a copy is.

    Args:
        done: Checkpoints that were looked at.
        total: Checkpoints of the source.
    """

    done: int
    total: int


OnProgress = Callable[[CopyProgress], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyReport:
    """What a copy did, or with `dry_run` would do: `checkpoints == copied + already_there`.

    A thread that went on here after an earlier copy, and in the source as well, has two ends. Neither is lost: its
    newest checkpoint stays the one from here, and what is copied can be reached by its checkpoint ids.

    Args:
        threads: Threads of the source.
        checkpoints: Checkpoints of the source.
        copied: Those that were stored.
        already_there: Those that were there before.
        writes: What tasks had written after the checkpoints that were stored.
        diverged: Threads with two ends, of which something was copied.
        dry_run: Whether nothing was stored.
    """

    threads: int
    checkpoints: int
    copied: int
    already_there: int
    writes: int
    diverged: int
    dry_run: bool


async def copy_all(
    backend: Backend,
    source: BaseCheckpointSaver[Any] | str | Path,
    *,
    user_id: str,
    on_progress: OnProgress | None,
    dry_run: bool,
) -> CopyReport:
    """Do what `SessionCheckpointSaver.acopy_from` says."""
    async with opened_source(source, codec=backend.codec) as opened:
        found = await opened.ids()
        copy = _Copy(backend, opened, frozenset(found), user_id=user_id, dry_run=dry_run)
        for done, one in enumerate(found, start=1):
            await copy.take(one)
            if on_progress is not None:
                on_progress(CopyProgress(done, len(found)))
    return copy.report(threads=len({one.thread_id for one in found}), checkpoints=len(found))


class _Copy:
    """One copy on its way; checkpoints come thread by thread, oldest first."""

    def __init__(
        self,
        backend: Backend,
        source: CheckpointSource,
        found: frozenset[SourceId],
        *,
        user_id: str,
        dry_run: bool,
    ) -> None:
        self._backend = backend
        self._source = source
        self._found = found
        self._user_id = user_id
        self._dry_run = dry_run
        self._counts: Counter[str] = Counter()
        self._thread: str | None = None
        self._there: set[tuple[str, str]] = set()
        self._gone_on: set[str] = set()
        self._diverged: set[str] = set()
        self._versions: dict[tuple[str, str], Mapping[str, Version]] = {}

    async def take(self, found: SourceId) -> None:
        """Copy one checkpoint, unless it is there."""
        if found.thread_id != self._thread:
            await self._begin_thread(found.thread_id)
        place = (found.namespace, found.checkpoint_id)
        if place in self._there:
            self._counts["already_there"] += 1
            return
        given = await self._source.load(found)
        self._counts["copied"] += 1
        if found.namespace in self._gone_on:
            self._diverged.add(found.thread_id)
        self._counts["writes"] += len(given.writes)
        if not self._dry_run:
            await self._store(found, given)
        self._versions[place] = given.checkpoint["channel_versions"]

    def report(self, *, threads: int, checkpoints: int) -> CopyReport:
        """Return what was done."""
        return CopyReport(
            threads=threads,
            checkpoints=checkpoints,
            copied=self._counts["copied"],
            already_there=self._counts["already_there"],
            writes=self._counts["writes"],
            diverged=len(self._diverged),
            dry_run=self._dry_run,
        )

    async def _begin_thread(self, thread_id: str) -> None:
        self._thread = thread_id
        self._versions.clear()
        query = CheckpointQuery(user_id=self._user_id, thread_id=thread_id)
        self._there = {
            (entry.address.namespace, entry.checkpoint_id) async for entry in entries_of(self._backend, query)
        }
        namespaces = {namespace for namespace, _ in self._there}
        self._gone_on = {namespace for namespace in namespaces if await self._has_gone_on(thread_id, namespace)}

    async def _has_gone_on(self, thread_id: str, namespace: str) -> bool:
        """Whether the newest checkpoint of a namespace is one that the source does not have."""
        address = CheckpointAddress(user_id=self._user_id, thread_id=thread_id, namespace=namespace)
        newest = await self._backend.store.load_checkpoint(address, None)
        return newest is not None and SourceId(thread_id, newest.entry.checkpoint_id, namespace) not in self._found

    async def _store(self, found: SourceId, given: GivenCheckpoint) -> None:
        """Store the writes, then the checkpoint: one that is there has all its writes."""
        backend, codec = self._backend, self._backend.codec
        address = CheckpointAddress(user_id=self._user_id, thread_id=found.thread_id, namespace=found.namespace)
        writes = [
            CheckpointWrite(
                task_id=write.task_id,
                index=write.index,
                channel=write.channel,
                value=encoded_write(backend, write.channel, write.value),
                task_path=write.task_path,
            )
            for write in given.writes
        ]
        before = await self._versions_of(address, given.parent_id)
        versions = given.checkpoint["channel_versions"]
        fresh = {channel: version for channel, version in versions.items() if before.get(channel) != version}
        encodings = encoded_values(backend, address, given.checkpoint, fresh)
        new = NewCheckpoint(
            address=address,
            checkpoint_id=found.checkpoint_id,
            parent_id=given.parent_id,
            body=codec.dump(body_of(given.checkpoint), "The checkpoint"),
            metadata=codec.dump(given.metadata, "The checkpoint's metadata"),
            versions=versions,
            values=tuple(value for value, _ in encodings),
            run_id=run_of(given.metadata),
            now=now(),
            moves_head=found.namespace not in self._gone_on,
        )
        if writes:
            await backend.store.put_writes(address, found.checkpoint_id, writes)
        outcome = await backend.store.put_checkpoint(new)
        if outcome.lacks_base:  # removed by somebody meanwhile
            encodings = encoded_values(backend, address, given.checkpoint, fresh, shares=False)
            outcome = await backend.store.put_checkpoint(replace(new, values=tuple(value for value, _ in encodings)))
        remember(backend, address, encodings, outcome)

    async def _versions_of(self, address: CheckpointAddress, parent_id: str | None) -> Mapping[str, Version]:
        """Return the versions a checkpoint's parent had: their values are stored."""
        if parent_id is None:
            return {}
        known: Mapping[str, Version] | None = self._versions.get((address.namespace, parent_id))
        if known is None:
            stored = await self._backend.store.load_checkpoint(address, parent_id)
            return {} if stored is None else stored.versions
        return known
