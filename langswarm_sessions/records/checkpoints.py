"""Checkpoints of graphs, as a storage is given them and returns them: addresses, bytes and the order of versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

__all__ = [
    "THREAD_TURNS",
    "CheckpointAddress",
    "CheckpointEntry",
    "CheckpointOutcome",
    "CheckpointQuery",
    "CheckpointRemoval",
    "CheckpointWrite",
    "Encoded",
    "NewCheckpoint",
    "NewValue",
    "StoredCheckpoint",
    "StoredHistory",
    "StoredValue",
    "ValueKind",
    "ValueSegment",
    "Version",
]

THREAD_TURNS = "\x1fthread-turns"
"""The user of the sessions that are held in place of threads; no name that is taken from outside can be this one."""

Version = int | float | str
ValueKind = Literal["whole", "items", "snapshot"]


@dataclass(frozen=True, slots=True)
class Encoded:
    """What a serializer made of a value: a type only it understands, and bytes."""

    type: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointAddress:
    """One namespace of one thread of one user. The same thread id of two users is two threads."""

    user_id: str
    thread_id: str
    namespace: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewValue:
    """A channel's value as a version of it is stored.

    A list is stored as its items, and of those only what an earlier version does not have already: `kept` items come
    from the version `base`, which the checkpoint `base_owner` stored. `length` counts all of them.
    """

    channel: str
    version: str
    kind: ValueKind
    value: Encoded
    length: int = 0
    kept: int = 0
    base: str | None = None
    base_owner: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueSegment:
    """What one version added to a value: the items from `start` on, as the checkpoint `owner` stored them."""

    version: str
    owner: str
    start: int
    value: Encoded


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredValue:
    """A channel's value: its segments, oldest first; one alone unless it is a list."""

    channel: str
    kind: ValueKind
    length: int
    segments: tuple[ValueSegment, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCheckpoint:
    """A checkpoint to store.

    With `extends_head` it is refused unless its parent is the newest checkpoint of the namespace. It becomes the
    newest one itself, but with `moves_head` False only if there is none yet.
    """

    address: CheckpointAddress
    checkpoint_id: str
    parent_id: str | None
    body: Encoded
    metadata: Encoded
    versions: Mapping[str, Version]
    values: tuple[NewValue, ...]
    run_id: str | None
    now: datetime
    extends_head: bool = False
    moves_head: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointOutcome:
    """What became of a checkpoint.

    `stored` is False when it was refused: because another one is the newest (`head`), or because versions that values
    build on are gone (`lacks_base`). `renamed` are channels whose version was taken by another value; theirs is kept
    beside it.
    """

    stored: bool
    head: str | None = None
    lacks_base: bool = False
    renamed: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointWrite:
    """What a task wrote to a channel; the index is negative for errors, interrupts and the like."""

    task_id: str
    index: int
    channel: str
    value: Encoded
    task_path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointEntry:
    """A checkpoint without its values."""

    address: CheckpointAddress
    checkpoint_id: str
    parent_id: str | None
    metadata: Encoded


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCheckpoint:
    """A checkpoint with the values of its channels and the writes of the tasks that ran after it.

    `is_newest` says whether it is the newest one of its namespace.
    """

    entry: CheckpointEntry
    body: Encoded
    versions: Mapping[str, Version]
    values: tuple[StoredValue, ...]
    writes: tuple[CheckpointWrite, ...]
    is_newest: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredHistory:
    """What led to a channel's value: the value of the nearest ancestor that has one, and the writes since."""

    seed: StoredValue | None
    writes: tuple[CheckpointWrite, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointQuery:
    """Which checkpoints of a user to list, newest first.

    Args:
        user_id: Whose threads.
        thread_id: One thread, or None for all.
        namespace: One namespace, or None for all.
        checkpoint_id: One checkpoint, or None for all.
        before: Only those with a lower id.
        run_ids: Only those that these runs made (None: whoever did).
        after: Where the page before ended.
        limit: How many at most.
    """

    user_id: str
    thread_id: str | None = None
    namespace: str | None = None
    checkpoint_id: str | None = None
    before: str | None = None
    run_ids: tuple[str, ...] | None = None
    after: CheckpointEntry | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointRemoval:
    """Checkpoints of a namespace to remove.

    Args:
        address: The namespace.
        checkpoint_ids: Which.
        needed: Checkpoints that stay, to the channels whose values are rebuilt from the writes of their ancestors.
            Ancestors that are needed for it stay out of sight instead of being removed.
    """

    address: CheckpointAddress
    checkpoint_ids: frozenset[str]
    needed: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
