"""Reading checkpoints back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import Checkpoint, CheckpointMetadata, CheckpointTuple, DeltaChannelHistory, PendingWrite

from langswarm_sessions.ids import new_id
from langswarm_sessions.records.checkpoints import (
    CheckpointEntry,
    CheckpointQuery,
    CheckpointWrite,
    StoredCheckpoint,
    StoredHistory,
)
from langswarm_sessions_langchain.checkpoints.addresses import (
    BRANCH_KEY,
    DEFAULT_USER,
    HEAD_KEY,
    Place,
    config_of,
    place_of,
)
from langswarm_sessions_langchain.checkpoints.backend import Backend
from langswarm_sessions_langchain.checkpoints.values import decode_value, known_of

__all__ = ["entries_of", "get_tuple", "history_of", "list_tuples"]


async def get_tuple(backend: Backend, place: Place, config: RunnableConfig) -> CheckpointTuple | None:
    """Do what `SessionCheckpointSaver.aget_tuple` says."""
    with backend.span("load") as op:
        stored = await backend.store.load_checkpoint(place.address, place.checkpoint_id)
        op.done(count=0 if stored is None else 1, size=0 if stored is None else _size_of(stored))
    if stored is None:
        return None
    mark: dict[str, str | None] = dict.fromkeys({HEAD_KEY, BRANCH_KEY} & config.get("configurable", {}).keys())
    if place.checkpoint_id is None:
        mark[HEAD_KEY] = new_id()
        _remember(backend, stored)
    elif not stored.is_newest:
        mark[BRANCH_KEY] = place.checkpoint_id
    return _tuple_of(backend, stored, place.config(stored.entry.checkpoint_id, **mark), names_user=place.names_user)


async def list_tuples(
    backend: Backend,
    config: RunnableConfig | None,
    *,
    user_id: str | None,
    wanted: Mapping[str, Any],
    before: RunnableConfig | None,
    limit: int | None,
) -> AsyncIterator[CheckpointTuple]:
    """Do what `SessionCheckpointSaver.alist` says."""
    place = None if config is None else place_of(config, user_id=user_id)
    query = _query_of(place, config, user_id=user_id, before=before)
    left = limit
    if left is not None and left < query.limit and not wanted:
        query = replace(query, limit=max(1, left))
    async for entry in entries_of(backend, query):
        if left is not None and left <= 0:
            return
        if wanted:
            metadata = backend.codec.load(entry.metadata)
            if any(metadata.get(name) != value for name, value in wanted.items()):
                continue
        with backend.span("load") as op:
            stored = await backend.store.load_checkpoint(entry.address, entry.checkpoint_id)
            op.done(count=0 if stored is None else 1, size=0 if stored is None else _size_of(stored))
        if stored is None:  # removed meanwhile
            continue
        if left is not None:
            left -= 1
        names_user = place is not None and place.names_user
        found = config_of(entry.address, entry.checkpoint_id, names_user=names_user)
        yield _tuple_of(backend, stored, found, names_user=names_user)


async def entries_of(backend: Backend, query: CheckpointQuery) -> AsyncIterator[CheckpointEntry]:
    """Yield checkpoints without their values, newest first, as many at a time as the query's limit says."""
    while True:
        page = await backend.store.list_checkpoints(query)
        for entry in page:
            yield entry
        if len(page) < query.limit:
            return
        query = replace(query, after=page[-1])


async def history_of(backend: Backend, place: Place, channels: Sequence[str]) -> Mapping[str, DeltaChannelHistory]:
    """Do what `SessionCheckpointSaver.aget_delta_channel_history` says."""
    if not channels:
        return {}
    with backend.span("load") as op:
        found = await backend.store.load_history(place.address, place.checkpoint_id, tuple(channels))
        op.done(count=sum(len(history.writes) for history in found.values()))
    return {channel: _delta_of(backend, found[channel]) for channel in channels}


def _delta_of(backend: Backend, history: StoredHistory) -> DeltaChannelHistory:
    delta = DeltaChannelHistory(writes=[_write_of(backend, write) for write in history.writes])
    if history.seed is not None:
        delta["seed"] = decode_value(backend.codec, history.seed)
    return delta


def _query_of(
    place: Place | None, config: RunnableConfig | None, *, user_id: str | None, before: RunnableConfig | None
) -> CheckpointQuery:
    limit = None if before is None else before.get("configurable", {}).get("checkpoint_id")
    if place is None or config is None:
        return CheckpointQuery(user_id=user_id or DEFAULT_USER, before=limit)
    named = config.get("configurable", {}).get("checkpoint_ns")
    return CheckpointQuery(
        user_id=place.address.user_id,
        thread_id=place.address.thread_id,
        namespace=None if named is None else place.address.namespace,
        checkpoint_id=place.checkpoint_id,
        before=limit,
    )


def _remember(backend: Backend, stored: StoredCheckpoint) -> None:
    """Note what the newest checkpoint has, so that the next one stores only what it adds."""
    if backend.codec.is_repeatable:
        for value in stored.values:
            backend.known.put(stored.entry.address, value.channel, known_of(value))


def _tuple_of(
    backend: Backend, stored: StoredCheckpoint, config: RunnableConfig, *, names_user: bool
) -> CheckpointTuple:
    entry = stored.entry
    checkpoint = {
        **backend.codec.load(stored.body),
        "channel_versions": dict(stored.versions),
        "channel_values": {value.channel: decode_value(backend.codec, value) for value in stored.values},
    }
    parent = entry.parent_id
    return CheckpointTuple(
        config=config,
        checkpoint=cast("Checkpoint", checkpoint),
        metadata=cast("CheckpointMetadata", backend.codec.load(entry.metadata)),
        parent_config=None if parent is None else config_of(entry.address, parent, names_user=names_user),
        pending_writes=[_write_of(backend, write) for write in stored.writes],
    )


def _write_of(backend: Backend, write: CheckpointWrite) -> PendingWrite:
    return write.task_id, write.channel, backend.codec.load(write.value)


def _size_of(stored: StoredCheckpoint) -> int:
    values = sum(len(part.value.data) for value in stored.values for part in value.segments)
    return values + len(stored.body.data) + sum(len(write.value.data) for write in stored.writes)
