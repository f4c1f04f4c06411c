"""Removing checkpoints without taking from others what they are rebuilt from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from langswarm_sessions.records.checkpoints import (
    CheckpointAddress,
    CheckpointEntry,
    CheckpointQuery,
    CheckpointRemoval,
)
from langswarm_sessions_langchain.checkpoints.backend import Backend
from langswarm_sessions_langchain.checkpoints.reading import entries_of

__all__ = ["delete_for_runs", "prune_threads"]

_COUNTERS = "counters_since_delta_snapshot"


async def prune_threads(backend: Backend, user_id: str, thread_ids: Sequence[str]) -> None:
    """Keep the newest checkpoint of each namespace of threads."""
    for thread_id in dict.fromkeys(thread_ids):
        query = CheckpointQuery(user_id=user_id, thread_id=thread_id)
        by_namespace: dict[CheckpointAddress, list[CheckpointEntry]] = {}
        async for entry in entries_of(backend, query):
            by_namespace.setdefault(entry.address, []).append(entry)
        for address, entries in by_namespace.items():
            newest = await backend.store.load_checkpoint(address, None)
            if newest is not None:
                kept = newest.entry.checkpoint_id
                gone = {entry.checkpoint_id for entry in entries} - {kept}
                await _remove(backend, address, gone, stays=[newest.entry])


async def delete_for_runs(backend: Backend, user_id: str, run_ids: Sequence[str]) -> None:
    """Remove the checkpoints that runs made."""
    if not run_ids:
        return
    by_namespace: dict[CheckpointAddress, set[str]] = {}
    query = CheckpointQuery(user_id=user_id, run_ids=tuple(dict.fromkeys(map(str, run_ids))))
    async for entry in entries_of(backend, query):
        by_namespace.setdefault(entry.address, set()).add(entry.checkpoint_id)
    for address, gone in by_namespace.items():
        rest = CheckpointQuery(user_id=user_id, thread_id=address.thread_id, namespace=address.namespace)
        stays = [entry async for entry in entries_of(backend, rest) if entry.checkpoint_id not in gone]
        await _remove(backend, address, gone, stays=stays)


async def _remove(
    backend: Backend, address: CheckpointAddress, gone: Iterable[str], *, stays: Iterable[CheckpointEntry]
) -> None:
    needed: dict[str, frozenset[str]] = {}
    for entry in stays:
        # A delta channel that was written to since its last snapshot is rebuilt from the writes of ancestors.
        counters = backend.codec.load(entry.metadata).get(_COUNTERS)
        if counters:
            needed[entry.checkpoint_id] = frozenset(counters)
    with backend.span("delete") as op:
        removal = CheckpointRemoval(address=address, checkpoint_ids=frozenset(gone), needed=needed)
        await backend.store.remove_checkpoints(removal)
        op.done(count=len(removal.checkpoint_ids))
