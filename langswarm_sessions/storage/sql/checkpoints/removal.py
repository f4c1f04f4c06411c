"""Removing checkpoints, and what only they had."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select, update

from langswarm_sessions.records.checkpoints import CheckpointRemoval
from langswarm_sessions.storage.sql.checkpoints.history import ancestors_needed
from langswarm_sessions.storage.sql.checkpoints.putting import set_head
from langswarm_sessions.storage.sql.checkpoints.reading import name_of_version
from langswarm_sessions.storage.sql.checkpoints.tables import (
    checkpoint_heads,
    checkpoint_values,
    checkpoint_writes,
    checkpoints,
)
from langswarm_sessions.storage.sql.checkpoints.threads import find_thread
from langswarm_sessions.storage.sql.prepared import Prepared
from langswarm_sessions.storage.sql.types import select_all

__all__ = ["remove_checkpoints"]

_HERE = (checkpoints.c.thread_key == bindparam("of_key"), checkpoints.c.namespace == bindparam("of_namespace"))
_THIS = (*_HERE, checkpoints.c.checkpoint_id == bindparam("of_checkpoint"))
_WRITES = (
    checkpoint_writes.c.thread_key == bindparam("of_key"),
    checkpoint_writes.c.namespace == bindparam("of_namespace"),
    checkpoint_writes.c.checkpoint_id == bindparam("of_checkpoint"),
)
_VALUES = (
    checkpoint_values.c.thread_key == bindparam("of_key"),
    checkpoint_values.c.namespace == bindparam("of_namespace"),
)
_HEADS = (
    checkpoint_heads.c.thread_key == bindparam("of_key"),
    checkpoint_heads.c.namespace == bindparam("of_namespace"),
)
_DELETE = Prepared(delete(checkpoints).where(*_THIS))
_HIDE = Prepared(update(checkpoints).where(*_THIS).values(hidden=1))
_DELETE_WRITES = Prepared(delete(checkpoint_writes).where(*_WRITES))
# What a checkpoint whose parent is out of sight, or gone, says of its parent; its history goes on where it went on.
_PART = Prepared(update(checkpoints).where(*_THIS).values(parent_id=None, history_id=bindparam("new_history")))
_ALL = Prepared(
    select_all(
        *(checkpoints.c[name] for name in ("checkpoint_id", "parent_id", "history_id", "hidden", "versions", "renamed"))
    )
    .where(*_HERE)
    .order_by(checkpoints.c.checkpoint_id)
)
_VERSIONS = Prepared(
    select_all(checkpoint_values.c.channel, checkpoint_values.c.version, checkpoint_values.c.base).where(*_VALUES)
)
_DELETE_VALUE = Prepared(
    delete(checkpoint_values).where(
        *_VALUES,
        checkpoint_values.c.channel == bindparam("of_channel"),
        checkpoint_values.c.version == bindparam("of_version"),
    )
)
_NO_HEAD = Prepared(delete(checkpoint_heads).where(*_HEADS))
_HEAD = Prepared(select(checkpoint_heads.c.checkpoint_id).where(*_HEADS))


def remove_checkpoints(connection: Connection, removal: CheckpointRemoval) -> None:
    """Do what `CheckpointStore.remove_checkpoints` says, within the transaction of `connection`."""
    address = removal.address
    key = find_thread(connection, address.user_id, address.thread_id)
    if key is None:
        return
    here = {"of_key": key, "of_namespace": address.namespace}
    stay = {row[0] for row in _ALL.all(connection, here) if row[0] not in removal.checkpoint_ids and not row[3]}
    needed: set[str] = set()
    for checkpoint_id, channels in removal.needed.items():
        if checkpoint_id in stay:
            needed |= ancestors_needed(connection, here, checkpoint_id, channels)
    for row in _ALL.all(connection, here):
        checkpoint_id = row[0]
        if checkpoint_id in stay:
            continue
        place = {**here, "of_checkpoint": checkpoint_id}
        if checkpoint_id in needed:
            _HIDE.write(connection, place)
        else:
            _DELETE.write(connection, place)
            _DELETE_WRITES.write(connection, place)
    _part_from_parents(connection, here, stay)
    _remove_values(connection, here)
    _move_head(connection, here, stay)


def _part_from_parents(connection: Connection, here: Mapping[str, Any], stay: set[str]) -> None:
    rows = _ALL.all(connection, here)
    there = {row[0] for row in rows}
    for checkpoint_id, parent, history, *_ in rows:
        ancestor = parent or history
        if ancestor is not None and ancestor not in stay:
            place = {**here, "of_checkpoint": checkpoint_id}
            _PART.write(connection, {**place, "new_history": ancestor if ancestor in there else None})


def _remove_values(connection: Connection, here: Mapping[str, Any]) -> None:
    """Remove the versions that no checkpoint has and no other version builds on."""
    bases = {(channel, version): base for channel, version, base in _VERSIONS.all(connection, here)}
    used: set[tuple[str, str]] = set()
    for *_, versions, renamed in _ALL.all(connection, here):
        names: dict[str, str] = {**(renamed or {})}
        names.update({channel: name_of_version(channel, version, renamed) for channel, version in versions.items()})
        for channel, name in names.items():
            version: str | None = name
            while version is not None and (channel, version) not in used and (channel, version) in bases:
                used.add((channel, version))
                version = bases[channel, version]
    for channel, name in bases.keys() - used:
        _DELETE_VALUE.write(connection, {**here, "of_channel": channel, "of_version": name})


def _move_head(connection: Connection, here: Mapping[str, Any], stay: set[str]) -> None:
    head = _HEAD.first(connection, here)
    if head is None or head[0] in stay:
        return
    if stay:
        set_head(connection, here["of_key"], here["of_namespace"], max(stay))
    else:
        _NO_HEAD.write(connection, here)
