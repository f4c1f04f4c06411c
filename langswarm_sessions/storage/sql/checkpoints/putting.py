"""Storing checkpoints, and the writes of the tasks that run after them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from langswarm_sessions.ids import now
from langswarm_sessions.records.checkpoints import (
    CheckpointAddress,
    CheckpointOutcome,
    CheckpointWrite,
    NewCheckpoint,
    NewValue,
)
from langswarm_sessions.storage.sql.checkpoints.tables import (
    checkpoint_heads,
    checkpoint_values,
    checkpoint_writes,
    checkpoints,
)
from langswarm_sessions.storage.sql.checkpoints.threads import open_thread
from langswarm_sessions.storage.sql.prepared import Prepared
from langswarm_sessions.storage.sql.types import select_all

__all__ = ["put_checkpoint", "put_writes", "set_head"]

_HERE = (checkpoints.c.thread_key == bindparam("of_key"), checkpoints.c.namespace == bindparam("of_namespace"))
_FIND = Prepared(
    select(checkpoints.c.versions, checkpoints.c.renamed).where(
        *_HERE, checkpoints.c.checkpoint_id == bindparam("of_checkpoint")
    )
)
_INSERT = Prepared(
    insert(checkpoints),
    columns=[column.name for column in checkpoints.c if column.name not in ("hidden", "history_id")],
)
_REPLACE = Prepared(
    update(checkpoints)
    .where(*_HERE, checkpoints.c.checkpoint_id == bindparam("of_checkpoint"))
    .values(
        hidden=0,
        **{
            name: bindparam(f"new_{name}")
            for name in ("body_type", "body", "metadata_type", "metadata", "versions", "renamed", "run_id")
        },
    )
)
_HEAD = Prepared(
    select(checkpoint_heads.c.checkpoint_id).where(
        checkpoint_heads.c.thread_key == bindparam("of_key"),
        checkpoint_heads.c.namespace == bindparam("of_namespace"),
    )
)
_MOVE_HEAD = Prepared(
    update(checkpoint_heads)
    .where(
        checkpoint_heads.c.thread_key == bindparam("of_key"),
        checkpoint_heads.c.namespace == bindparam("of_namespace"),
    )
    .values(checkpoint_id=bindparam("new_checkpoint"))
)
_FIRST_HEAD = Prepared(insert(checkpoint_heads), columns=["thread_key", "namespace", "checkpoint_id"])

_OF_VALUE = (
    checkpoint_values.c.thread_key == bindparam("of_key"),
    checkpoint_values.c.namespace == bindparam("of_namespace"),
    checkpoint_values.c.channel == bindparam("of_channel"),
    checkpoint_values.c.version == bindparam("of_version"),
)
_VALUE = Prepared(
    select_all(
        *(checkpoint_values.c[name] for name in ("owner", "kind", "base", "kept", "type", "value", "length"))
    ).where(*_OF_VALUE)
)
_OWNER = Prepared(select(checkpoint_values.c.owner).where(*_OF_VALUE))
_INSERT_VALUE = Prepared(insert(checkpoint_values), columns=[column.name for column in checkpoint_values.c])

_OF_TASK = (
    checkpoint_writes.c.thread_key == bindparam("of_key"),
    checkpoint_writes.c.namespace == bindparam("of_namespace"),
    checkpoint_writes.c.checkpoint_id == bindparam("of_checkpoint"),
)
_INDEXES = Prepared(
    select(checkpoint_writes.c.idx).where(*_OF_TASK, checkpoint_writes.c.task_id == bindparam("of_task"))
)
_INSERT_WRITE = Prepared(insert(checkpoint_writes), columns=[column.name for column in checkpoint_writes.c])
_REPLACE_WRITE = Prepared(
    update(checkpoint_writes)
    .where(
        *_OF_TASK, checkpoint_writes.c.task_id == bindparam("of_task"), checkpoint_writes.c.idx == bindparam("of_idx")
    )
    .values(
        channel=bindparam("new_channel"),
        type=bindparam("new_type"),
        value=bindparam("new_value"),
        task_path=bindparam("new_task_path"),
    )
)
_DROP_WRITES = Prepared(delete(checkpoint_writes).where(*_OF_TASK))


def put_checkpoint(connection: Connection, new: NewCheckpoint) -> CheckpointOutcome:
    """Do what `CheckpointStore.put_checkpoint` says, within the transaction of `connection`."""
    address = new.address
    key = open_thread(connection, address.user_id, address.thread_id, new.now)
    here = {"of_key": key, "of_namespace": address.namespace}
    before = _FIND.first(connection, {**here, "of_checkpoint": new.checkpoint_id})
    if before is None and new.extends_head:
        head = _HEAD.first(connection, here)
        if (head and head[0]) != new.parent_id:
            _DROP_WRITES.write(connection, {**here, "of_checkpoint": new.checkpoint_id})
            return CheckpointOutcome(stored=False, head=head[0] if head else None)
    if not all(_has_base(connection, here, value) for value in new.values):
        return CheckpointOutcome(stored=False, lacks_base=True)
    named = _put_values(connection, here, new)
    renamed = {**_inherited(connection, here, new), **named}
    row = _row_of(new, renamed)
    if before is None:
        _INSERT.write(connection, {"thread_key": key, "namespace": address.namespace, **row})
        if new.moves_head or _HEAD.first(connection, here) is None:
            set_head(connection, key, address.namespace, new.checkpoint_id)
    else:
        _REPLACE.write(
            connection,
            {**here, "of_checkpoint": new.checkpoint_id, **{f"new_{name}": value for name, value in row.items()}},
        )
    return CheckpointOutcome(stored=True, renamed=frozenset(named))


def set_head(connection: Connection, key: int, namespace: str, checkpoint_id: str) -> None:
    """Make a checkpoint the newest of its namespace."""
    here = {"of_key": key, "of_namespace": namespace, "new_checkpoint": checkpoint_id}
    if not _MOVE_HEAD.write(connection, here):
        _FIRST_HEAD.write(connection, {"thread_key": key, "namespace": namespace, "checkpoint_id": checkpoint_id})


def put_writes(
    connection: Connection, address: CheckpointAddress, checkpoint_id: str, writes: Sequence[CheckpointWrite]
) -> None:
    """Do what `CheckpointStore.put_writes` says, within the transaction of `connection`."""
    key = open_thread(connection, address.user_id, address.thread_id, now())
    here = {"of_key": key, "of_namespace": address.namespace, "of_checkpoint": checkpoint_id}
    there = {
        task: {row[0] for row in _INDEXES.all(connection, {**here, "of_task": task})}
        for task in dict.fromkeys(write.task_id for write in writes)
    }
    new: dict[tuple[str, int], dict[str, Any]] = {}
    for write in writes:
        values = {"channel": write.channel, "type": write.value.type, "value": write.value.data}
        if write.index not in there[write.task_id]:
            place = {"namespace": address.namespace, "checkpoint_id": checkpoint_id, "task_path": write.task_path}
            row = {"thread_key": key, **place, "task_id": write.task_id, "idx": write.index, **values}
            if write.index < 0:
                new[write.task_id, write.index] = row
            else:
                new.setdefault((write.task_id, write.index), row)
        elif write.index < 0:
            changed = {f"new_{name}": value for name, value in values.items()}
            of_write = {"of_task": write.task_id, "of_idx": write.index, "new_task_path": write.task_path}
            _REPLACE_WRITE.write(connection, {**here, **of_write, **changed})
    if new:
        _INSERT_WRITE.write_each(connection, list(new.values()))


def _row_of(new: NewCheckpoint, renamed: Mapping[str, str]) -> dict[str, Any]:
    return {
        "checkpoint_id": new.checkpoint_id,
        "parent_id": new.parent_id,
        "run_id": new.run_id,
        "versions": dict(new.versions),
        "renamed": dict(renamed) or None,
        "body_type": new.body.type,
        "body": new.body.data,
        "metadata_type": new.metadata.type,
        "metadata": new.metadata.data,
    }


def _has_base(connection: Connection, here: Mapping[str, Any], value: NewValue) -> bool:
    if value.base is None:
        return True
    found = _OWNER.first(connection, {**here, "of_channel": value.channel, "of_version": value.base})
    return found is not None and found[0] == value.base_owner


def _put_values(connection: Connection, here: Mapping[str, Any], new: NewCheckpoint) -> dict[str, str]:
    """Store new versions; return the names of those whose own name belongs to another value already."""
    renamed: dict[str, str] = {}
    rows: list[dict[str, Any]] = []
    for value in new.values:
        version = value.version
        if value.channel not in new.versions:
            renamed[value.channel] = version
        place = {**here, "of_channel": value.channel, "of_version": version}
        found = _VALUE.first(connection, place)
        if found is not None and not _is_same(found, value, owner=new.checkpoint_id):
            version = renamed[value.channel] = f"{version}@{new.checkpoint_id}"
            found = _OWNER.first(connection, {**place, "of_version": version})
        if found is None:
            rows.append(
                {
                    "thread_key": here["of_key"],
                    "namespace": here["of_namespace"],
                    "channel": value.channel,
                    "version": version,
                    "owner": new.checkpoint_id,
                    "kind": value.kind,
                    "length": value.length,
                    "base": value.base,
                    "kept": value.kept,
                    "type": value.value.type,
                    "value": value.value.data,
                }
            )
    if rows:
        _INSERT_VALUE.write_each(connection, rows)
    return renamed


def _is_same(found: Sequence[Any], value: NewValue, *, owner: str) -> bool:
    """Whether what is stored under a version's name is this very value."""
    if found[0] == owner:
        return True
    mine = (value.kind, value.base, value.kept, value.value.type, value.value.data, value.length)
    return tuple(found[1:]) == mine


def _inherited(connection: Connection, here: Mapping[str, Any], new: NewCheckpoint) -> dict[str, str]:
    """Return the other names under which the parent has the versions that it shares with the new checkpoint."""
    if new.parent_id is None:
        return {}
    parent = _FIND.first(connection, {**here, "of_checkpoint": new.parent_id})
    if parent is None or not parent[1]:
        return {}
    versions, renamed = parent
    stored = {value.channel for value in new.values}
    return {
        channel: name
        for channel, name in renamed.items()
        if channel not in stored and channel in new.versions and versions.get(channel) == new.versions[channel]
    }
