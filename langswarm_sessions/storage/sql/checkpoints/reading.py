"""Reading checkpoints with the values of their channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Select, bindparam, literal, select, tuple_

from langswarm_sessions.records.checkpoints import (
    CheckpointAddress,
    CheckpointEntry,
    CheckpointQuery,
    CheckpointWrite,
    Encoded,
    StoredCheckpoint,
    StoredValue,
    ValueSegment,
    Version,
)
from langswarm_sessions.storage.sql.checkpoints.tables import (
    checkpoint_heads,
    checkpoint_threads,
    checkpoint_values,
    checkpoint_writes,
    checkpoints,
)
from langswarm_sessions.storage.sql.checkpoints.threads import find_thread
from langswarm_sessions.storage.sql.prepared import Prepared
from langswarm_sessions.storage.sql.types import select_all

__all__ = [
    "WRITE_COLUMNS",
    "WRITE_ORDER",
    "list_checkpoints",
    "load_checkpoint",
    "load_value",
    "name_of_version",
    "newest",
    "write_of",
]

WRITE_COLUMNS = tuple(checkpoint_writes.c[name] for name in ("task_id", "idx", "channel", "type", "value", "task_path"))
WRITE_ORDER = tuple(checkpoint_writes.c[name] for name in ("task_path", "task_id", "idx"))

_HERE = (checkpoints.c.thread_key == bindparam("of_key"), checkpoints.c.namespace == bindparam("of_namespace"))
_CONTENTS = tuple(
    checkpoints.c[name]
    for name in (
        "checkpoint_id",
        "parent_id",
        "metadata_type",
        "metadata",
        "body_type",
        "body",
        "versions",
        "renamed",
    )
)
_ONE = Prepared(
    select_all(*_CONTENTS).where(
        *_HERE, checkpoints.c.checkpoint_id == bindparam("of_checkpoint"), checkpoints.c.hidden == 0
    )
)
_HEAD = Prepared(
    select(checkpoint_heads.c.checkpoint_id).where(
        checkpoint_heads.c.thread_key == bindparam("of_key"),
        checkpoint_heads.c.namespace == bindparam("of_namespace"),
    )
)
_SEGMENT = tuple(checkpoint_values.c[name] for name in ("version", "owner", "kind", "length", "kept", "type", "value"))
_OF_CHANNEL = (
    checkpoint_values.c.thread_key == bindparam("of_key"),
    checkpoint_values.c.namespace == bindparam("of_namespace"),
    checkpoint_values.c.channel == bindparam("of_channel"),
)
_VALUE = Prepared(
    select_all(*_SEGMENT, checkpoint_values.c.base).where(
        *_OF_CHANNEL, checkpoint_values.c.version == bindparam("of_version")
    )
)
_WRITES = Prepared(
    select_all(*WRITE_COLUMNS)
    .where(
        checkpoint_writes.c.thread_key == bindparam("of_key"),
        checkpoint_writes.c.namespace == bindparam("of_namespace"),
        checkpoint_writes.c.checkpoint_id == bindparam("of_checkpoint"),
    )
    .order_by(*WRITE_ORDER)
)


def _chain() -> Select[Any]:
    """Return the statement that follows a version to those that it builds on."""
    first = select_all(checkpoint_values.c.base, literal(0).label("depth")).where(
        *_OF_CHANNEL, checkpoint_values.c.version == bindparam("of_version")
    )
    steps = first.cte("steps", recursive=True)
    further = (
        select_all(checkpoint_values.c.base, steps.c.depth + 1)
        .select_from(steps.join(checkpoint_values, checkpoint_values.c.version == steps.c.base))
        .where(*_OF_CHANNEL)
    )
    steps = steps.union_all(further)
    return (
        select_all(*_SEGMENT)
        .select_from(steps.join(checkpoint_values, checkpoint_values.c.version == steps.c.base))
        .where(*_OF_CHANNEL)
        .order_by(steps.c.depth.desc())
    )


_BASES = Prepared(_chain())


def load_checkpoint(
    connection: Connection, address: CheckpointAddress, checkpoint_id: str | None
) -> StoredCheckpoint | None:
    """Do what `CheckpointStore.load_checkpoint` says, within the transaction of `connection`."""
    key = find_thread(connection, address.user_id, address.thread_id)
    if key is None:
        return None
    here = {"of_key": key, "of_namespace": address.namespace}
    wanted = checkpoint_id or newest(connection, here)
    row = None if wanted is None else _ONE.first(connection, {**here, "of_checkpoint": wanted})
    if row is None:
        return None
    found, parent, metadata_type, metadata, body_type, body, versions, renamed = row
    entry = CheckpointEntry(
        address=address, checkpoint_id=found, parent_id=parent, metadata=Encoded(metadata_type, metadata)
    )
    values = [
        load_value(connection, here, channel, name_of_version(channel, version, renamed))
        for channel, version in versions.items()
    ]
    loose = [load_value(connection, here, channel, name) for channel, name in _loose(versions, renamed)]
    return StoredCheckpoint(
        entry=entry,
        body=Encoded(body_type, body),
        versions=versions,
        values=tuple(value for value in (*values, *loose) if value is not None),
        writes=tuple(map(write_of, _WRITES.all(connection, {**here, "of_checkpoint": found}))),
        is_newest=checkpoint_id is None or found == newest(connection, here),
    )


def newest(connection: Connection, here: Mapping[str, Any]) -> str | None:
    """Return the id of the newest checkpoint of a namespace."""
    head = _HEAD.first(connection, here)
    return None if head is None else str(head[0])


def name_of_version(channel: str, version: Version, renamed: Mapping[str, str] | None) -> str:
    """Return the name under which a checkpoint's version of a channel is stored."""
    return (renamed or {}).get(channel, str(version))


def load_value(connection: Connection, here: Mapping[str, Any], channel: str, version: str) -> StoredValue | None:
    """Return the value that a version of a channel has; None when it has none."""
    place = {**here, "of_channel": channel, "of_version": version}
    row = _VALUE.first(connection, place)
    if row is None:
        return None
    *own, base = row
    rows = [own] if base is None else [*_BASES.all(connection, place), own]
    segments = [
        ValueSegment(version=name, owner=owner, start=kept, value=Encoded(kind_of_bytes, value))
        for name, owner, _, _, kept, kind_of_bytes, value in rows
    ]
    return StoredValue(channel=channel, kind=own[2], length=own[3], segments=tuple(segments))


def write_of(row: Sequence[Any]) -> CheckpointWrite:
    """Return what a row of `WRITE_COLUMNS` says."""
    task, index, channel, form, value, path = row
    return CheckpointWrite(task_id=task, index=index, channel=channel, value=Encoded(form, value), task_path=path)


def list_checkpoints(connection: Connection, query: CheckpointQuery) -> list[CheckpointEntry]:
    """Do what `CheckpointStore.list_checkpoints` says, within the transaction of `connection`."""
    rows: Sequence[Any] = connection.execute(_listing(query)).all()
    return [
        CheckpointEntry(
            address=CheckpointAddress(user_id=query.user_id, thread_id=thread, namespace=namespace),
            checkpoint_id=found,
            parent_id=parent,
            metadata=Encoded(metadata_type, metadata),
        )
        for thread, namespace, found, parent, metadata_type, metadata in rows
    ]


def _listing(query: CheckpointQuery) -> Select[Any]:
    threads = checkpoint_threads
    order = (checkpoints.c.checkpoint_id, threads.c.thread_id, checkpoints.c.namespace)
    listing = (
        select_all(
            threads.c.thread_id,
            checkpoints.c.namespace,
            *(checkpoints.c[name] for name in ("checkpoint_id", "parent_id", "metadata_type", "metadata")),
        )
        .select_from(checkpoints.join(threads, threads.c.thread_key == checkpoints.c.thread_key))
        .where(threads.c.user_id == query.user_id, checkpoints.c.hidden == 0)
        .order_by(*(column.desc() for column in order))
        .limit(query.limit)
    )
    wanted = (
        (threads.c.thread_id, query.thread_id),
        (checkpoints.c.namespace, query.namespace),
        (checkpoints.c.checkpoint_id, query.checkpoint_id),
    )
    listing = listing.where(*(column == value for column, value in wanted if value is not None))
    if query.before is not None:
        listing = listing.where(checkpoints.c.checkpoint_id < query.before)
    if query.run_ids is not None:
        listing = listing.where(checkpoints.c.run_id.in_(query.run_ids))
    if query.after is not None:
        last = query.after
        place = (last.checkpoint_id, last.address.thread_id, last.address.namespace)
        listing = listing.where(tuple_(*order) < place)
    return listing


def _loose(versions: Mapping[str, Version], renamed: Mapping[str, str] | None) -> Sequence[tuple[str, str]]:
    """Return the values of channels that have no version."""
    return [(channel, name) for channel, name in (renamed or {}).items() if channel not in versions]
