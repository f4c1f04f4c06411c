"""What led to the values of channels that keep only what was written to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam

from langswarm_sessions.records.checkpoints import CheckpointAddress, CheckpointWrite, StoredHistory, StoredValue
from langswarm_sessions.storage.sql.checkpoints.reading import load_value, name_of_version, newest, writes_of
from langswarm_sessions.storage.sql.checkpoints.tables import checkpoints
from langswarm_sessions.storage.sql.checkpoints.threads import find_thread
from langswarm_sessions.storage.sql.prepared import Prepared
from langswarm_sessions.storage.sql.types import select_all

__all__ = ["ancestors_needed", "load_history"]

_STEP = Prepared(
    select_all(*(checkpoints.c[name] for name in ("parent_id", "history_id", "versions", "renamed"))).where(
        checkpoints.c.thread_key == bindparam("of_key"),
        checkpoints.c.namespace == bindparam("of_namespace"),
        checkpoints.c.checkpoint_id == bindparam("of_checkpoint"),
    )
)


def load_history(
    connection: Connection, address: CheckpointAddress, checkpoint_id: str | None, channels: Sequence[str]
) -> dict[str, StoredHistory]:
    """Do what `CheckpointStore.load_history` says, within the transaction of `connection`."""
    written: dict[str, list[tuple[CheckpointWrite, ...]]] = {channel: [] for channel in channels}
    seeds: dict[str, StoredValue] = {}
    key = find_thread(connection, address.user_id, address.thread_id)
    if key is not None:
        here = {"of_key": key, "of_namespace": address.namespace}
        start = checkpoint_id or newest(connection, here)
        for ancestor, row in _ancestors(connection, here, start):
            remaining = [channel for channel in written if channel not in seeds]
            if not remaining:
                break
            writes = writes_of(connection, here, ancestor)
            for channel in remaining:
                written[channel].append(tuple(write for write in writes if write.channel == channel))
                seed = _value_at(connection, here, row, channel)
                if seed is not None:
                    seeds[channel] = seed
    return {
        channel: StoredHistory(
            seed=seeds.get(channel), writes=tuple(write for found in reversed(steps) for write in found)
        )
        for channel, steps in written.items()
    }


def ancestors_needed(
    connection: Connection, here: Mapping[str, Any], checkpoint_id: str, channels: frozenset[str]
) -> set[str]:
    """Return the ancestors that a checkpoint's values of these channels are rebuilt from."""
    needed: set[str] = set()
    remaining = set(channels)
    for ancestor, row in _ancestors(connection, here, checkpoint_id):
        if not remaining:
            break
        needed.add(ancestor)
        remaining = {name for name in remaining if _value_at(connection, here, row, name) is None}
    return needed


def _ancestors(
    connection: Connection, here: Mapping[str, Any], checkpoint_id: str | None
) -> Iterator[tuple[str, Sequence[Any]]]:
    """Yield the ids and rows of a checkpoint's ancestors, the nearest first."""
    seen: set[str | None] = {checkpoint_id}
    row = None if checkpoint_id is None else _STEP.first(connection, {**here, "of_checkpoint": checkpoint_id})
    while row is not None:
        ancestor = row[0] or row[1]
        if ancestor is None or ancestor in seen:
            return
        seen.add(ancestor)
        row = _STEP.first(connection, {**here, "of_checkpoint": ancestor})
        if row is not None:
            yield ancestor, row


def _value_at(connection: Connection, here: Mapping[str, Any], row: Sequence[Any], channel: str) -> StoredValue | None:
    _, _, versions, renamed = row
    if channel not in versions:
        return None
    return load_value(connection, here, channel, name_of_version(channel, versions[channel], renamed))
