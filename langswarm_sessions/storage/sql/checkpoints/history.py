"""What led to the values of channels that keep only what was written to them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain, repeat
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, literal, select

from langswarm_sessions.records.checkpoints import CheckpointAddress, CheckpointWrite, StoredHistory, StoredValue
from langswarm_sessions.storage.sql.checkpoints.reading import (
    WRITE_COLUMNS,
    WRITE_ORDER,
    load_value,
    name_of_version,
    newest,
    write_of,
)
from langswarm_sessions.storage.sql.checkpoints.tables import checkpoint_values, checkpoint_writes, checkpoints
from langswarm_sessions.storage.sql.checkpoints.threads import find_thread
from langswarm_sessions.storage.sql.prepared import Prepared
from langswarm_sessions.storage.sql.types import select_all

__all__ = ["ancestors_needed", "load_history"]

_PAGES = (16, 64, 256)  # ancestors that are read at once: the value is often near, and else it is far
_HERE = (checkpoints.c.thread_key == bindparam("of_key"), checkpoints.c.namespace == bindparam("of_namespace"))


def _steps() -> Select[Any]:
    """Return the statement that goes from a checkpoint to its ancestors, as far as `of_depth`."""
    before = func.coalesce(checkpoints.c.parent_id, checkpoints.c.history_id)
    first = select_all(before.label("ancestor"), literal(1).label("depth")).where(
        *_HERE, checkpoints.c.checkpoint_id == bindparam("of_checkpoint")
    )
    steps = first.cte("steps", recursive=True)
    further = (
        select_all(before, steps.c.depth + 1)
        .select_from(steps.join(checkpoints, checkpoints.c.checkpoint_id == steps.c.ancestor))
        .where(*_HERE, steps.c.depth < bindparam("of_depth"))
    )
    steps = steps.union_all(further)
    return (
        select_all(*(checkpoints.c[name] for name in ("checkpoint_id", "versions", "renamed")))
        .select_from(steps.join(checkpoints, checkpoints.c.checkpoint_id == steps.c.ancestor))
        .where(*_HERE)
        .order_by(steps.c.depth)
    )


_ANCESTORS = Prepared(_steps())


def load_history(
    connection: Connection, address: CheckpointAddress, checkpoint_id: str | None, channels: Sequence[str]
) -> dict[str, StoredHistory]:
    """Do what `CheckpointStore.load_history` says, within the transaction of `connection`."""
    paths: dict[str, list[str]] = {channel: [] for channel in channels}
    seeds: dict[str, StoredValue | None] = {}
    writes: dict[tuple[str, str], list[CheckpointWrite]] = {}
    key = find_thread(connection, address.user_id, address.thread_id)
    if key is not None:
        here = {"of_key": key, "of_namespace": address.namespace}
        start = checkpoint_id or newest(connection, here)
        for ancestor, values in _ancestors(connection, here, start, channels):
            remaining = [channel for channel in paths if channel not in seeds]
            if not remaining:
                break
            for channel in remaining:
                paths[channel].append(ancestor)
                if channel in values:
                    seeds[channel] = load_value(connection, here, channel, values[channel])
        longest = max(paths.values(), key=len) if paths else []
        writes = _writes_to(connection, here, channels, longest)
    return {
        channel: StoredHistory(
            seed=seeds.get(channel),
            writes=tuple(write for ancestor in reversed(path) for write in writes.get((ancestor, channel), ())),
        )
        for channel, path in paths.items()
    }


def ancestors_needed(
    connection: Connection, here: Mapping[str, Any], checkpoint_id: str, channels: frozenset[str]
) -> set[str]:
    """Return the ancestors that a checkpoint's values of these channels are rebuilt from."""
    needed: set[str] = set()
    remaining = set(channels)
    for ancestor, values in _ancestors(connection, here, checkpoint_id, channels):
        if not remaining:
            break
        needed.add(ancestor)
        remaining -= values.keys()
    return needed


def _ancestors(
    connection: Connection, here: Mapping[str, Any], checkpoint_id: str | None, channels: Collection[str]
) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield a checkpoint's ancestors, the nearest first, each with the names of the values it has of the channels."""
    seen = {checkpoint_id}
    at = checkpoint_id
    for size in () if at is None else chain(_PAGES, repeat(_PAGES[-1])):
        page = _ANCESTORS.all(connection, {**here, "of_checkpoint": at, "of_depth": size})
        names = [
            {name: name_of_version(name, versions[name], renamed) for name in channels if name in versions}
            for _, versions, renamed in page
        ]
        stored = _stored(connection, here, {pair for found in names for pair in found.items()})
        for (at, *_), found in zip(page, names, strict=True):
            if at in seen:
                return
            seen.add(at)
            yield at, {channel: name for channel, name in found.items() if (channel, name) in stored}
        if len(page) < size:
            return


def _stored(connection: Connection, here: Mapping[str, Any], names: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return those of the named versions of channels that have a value."""
    table = checkpoint_values
    if not names:
        return set()
    found = connection.execute(
        select(table.c.channel, table.c.version).where(
            table.c.thread_key == here["of_key"],
            table.c.namespace == here["of_namespace"],
            table.c.channel.in_({channel for channel, _ in names}),
            table.c.version.in_({version for _, version in names}),
        )
    )
    return names & {(row[0], row[1]) for row in found}


def _writes_to(
    connection: Connection, here: Mapping[str, Any], channels: Sequence[str], ancestors: Sequence[str]
) -> dict[tuple[str, str], list[CheckpointWrite]]:
    """Return what tasks wrote to the channels, by checkpoint and channel, in the order in which it is applied."""
    table = checkpoint_writes
    writes: dict[tuple[str, str], list[CheckpointWrite]] = {}
    for at in range(0, len(ancestors), _PAGES[-1]):
        found = connection.execute(
            select_all(table.c.checkpoint_id, *WRITE_COLUMNS)
            .where(
                table.c.thread_key == here["of_key"],
                table.c.namespace == here["of_namespace"],
                table.c.checkpoint_id.in_(ancestors[at : at + _PAGES[-1]]),
                table.c.channel.in_(channels),
            )
            .order_by(*WRITE_ORDER)
        )
        for checkpoint_id, *row in found:
            write = write_of(row)
            writes.setdefault((checkpoint_id, write.channel), []).append(write)
    return writes
