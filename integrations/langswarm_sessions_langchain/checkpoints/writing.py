"""Storing checkpoints and the writes of tasks."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    get_serializable_checkpoint_metadata,
)

from langswarm_sessions.errors import TurnConflictError
from langswarm_sessions.ids import now
from langswarm_sessions.records.checkpoints import (
    CheckpointAddress,
    CheckpointOutcome,
    CheckpointWrite,
    Encoded,
    NewCheckpoint,
    NewValue,
)
from langswarm_sessions_langchain.checkpoints.addresses import Place, must_extend_head, run_key
from langswarm_sessions_langchain.checkpoints.backend import Backend
from langswarm_sessions_langchain.checkpoints.values import KnownValue, encode_value

__all__ = [
    "body_of",
    "encoded_values",
    "encoded_write",
    "next_version",
    "put_checkpoint",
    "put_writes",
    "remember",
    "run_of",
]

_UNVERSIONED = "@"

Encodings = list[tuple[NewValue, KnownValue | None]]


def next_version(current: int | float | str | None) -> int | float | str:
    """Return the version after `current`, of its kind.

    A random part tells apart the versions that two branches of a thread give to a channel.
    """
    if isinstance(current, int | float):
        return current + 1
    number = 0 if current is None else int(current.partition(".")[0])
    return f"{number + 1:010d}.{secrets.token_hex(4)}"


async def put_checkpoint(
    backend: Backend,
    place: Place,
    config: RunnableConfig,
    checkpoint: Checkpoint,
    metadata: CheckpointMetadata,
    new_versions: ChannelVersions,
) -> RunnableConfig:
    """Do what `SessionCheckpointSaver.aput` says."""
    details = cast("dict[str, Any]", get_serializable_checkpoint_metadata(config, metadata))
    extends_head = must_extend_head(config, cast("Mapping[str, Any]", metadata))
    outcome, encodings = CheckpointOutcome(stored=False, lacks_base=True), cast("Encodings", [])
    run = run_key(config) if extends_head else None
    with backend.span("append") as op, backend.runs.open(place.address, run) as refuse:
        for shares in (True, False):  # without sharing when what could be shared was removed meanwhile
            if not outcome.lacks_base:
                break
            encodings = encoded_values(backend, place.address, checkpoint, new_versions, shares=shares)
            new = NewCheckpoint(
                address=place.address,
                checkpoint_id=checkpoint["id"],
                parent_id=place.checkpoint_id,
                body=backend.codec.dump(body_of(checkpoint), "The checkpoint"),
                metadata=backend.codec.dump(details, "The checkpoint's metadata"),
                versions=checkpoint["channel_versions"],
                values=tuple(value for value, _ in encodings),
                run_id=run_of(details),
                now=now(),
                extends_head=extends_head,
            )
            outcome = await backend.store.put_checkpoint(new)
            op.done(count=1, size=_size_of(new))
        if not outcome.stored:
            refuse()
            raise _conflict(place, cast("Mapping[str, Any]", metadata))
    remember(backend, place.address, encodings, outcome)
    return place.config(checkpoint["id"])


async def put_writes(
    backend: Backend,
    place: Place,
    config: RunnableConfig,
    writes: Sequence[tuple[str, Any]],
    *,
    task_id: str,
    task_path: str,
) -> None:
    """Do what `SessionCheckpointSaver.aput_writes` says."""
    checkpoint_id = place.checkpoint_id or ""
    if await backend.runs.is_refused(place.address, run_key(config)):
        raise _conflict(place, {"source": "loop"})
    encoded = tuple(
        CheckpointWrite(
            task_id=task_id,
            index=WRITES_IDX_MAP.get(channel, index),
            channel=channel,
            value=encoded_write(backend, channel, value),
            task_path=task_path,
        )
        for index, (channel, value) in enumerate(writes)
    )
    with backend.span("append") as op:
        await backend.store.put_writes(place.address, checkpoint_id, encoded)
        op.done(count=len(encoded), size=sum(len(write.value.data) for write in encoded))


def encoded_write(backend: Backend, channel: str, value: object) -> Encoded:
    """Return what a task wrote to a channel, as it is stored.

    Raises:
        InvalidInputError: It cannot be stored.
    """
    return backend.codec.dump(value, f"What was written to channel {channel!r}")


def encoded_values(
    backend: Backend,
    address: CheckpointAddress,
    checkpoint: Checkpoint,
    new_versions: ChannelVersions,
    *,
    shares: bool = True,
) -> Encodings:
    """Return the values that are new with a checkpoint, and what is known of them. One without a version is its own.

    Args:
        backend: Encodes them.
        address: The namespace.
        checkpoint: The checkpoint.
        new_versions: The channels whose versions are new.
        shares: Whether lists build on versions that are known.

    Raises:
        InvalidInputError: A value cannot be stored.
    """
    encodings: Encodings = []
    for channel, value in checkpoint["channel_values"].items():
        version = new_versions.get(channel)
        if version is None:
            if channel in checkpoint["channel_versions"]:
                continue
            version = f"{_UNVERSIONED}{checkpoint['id']}"
        known = backend.known.get(address, channel) if shares else None
        encodings.append(
            encode_value(
                backend.codec,
                value,
                channel=channel,
                version=str(version),
                owner=checkpoint["id"],
                known=known,
            )
        )
    return encodings


def remember(backend: Backend, address: CheckpointAddress, encodings: Encodings, outcome: CheckpointOutcome) -> None:
    """Note what was stored, so that the next checkpoint stores only what it adds."""
    for value, known in encodings:
        backend.known.put(address, value.channel, None if value.channel in outcome.renamed else known)


def body_of(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return a checkpoint without what is kept beside it."""
    return {name: value for name, value in checkpoint.items() if name not in ("channel_values", "channel_versions")}


def run_of(details: Mapping[str, Any]) -> str | None:
    """Return the run that made a checkpoint."""
    run_id = details.get("run_id")
    return None if run_id is None else str(run_id)


def _size_of(new: NewCheckpoint) -> int:
    return len(new.body.data) + len(new.metadata.data) + sum(len(value.value.data) for value in new.values)


def _conflict(place: Place, metadata: Mapping[str, Any]) -> TurnConflictError:
    if metadata.get("source") in ("input", "update"):
        return TurnConflictError(
            "Another run has gone on with this thread since this one read it; nothing of this one was stored. Do it "
            "again, or let runs wait for each other: saver.ordered(graph).",
            session_id=place.address.thread_id,
            retryable=True,
        )
    return TurnConflictError(
        "Another run has gone on with this thread while this one ran; this one is stored up to its last checkpoint "
        "before that. Read the thread before you go on, and let runs wait for each other: saver.ordered(graph).",
        session_id=place.address.thread_id,
        retryable=False,
    )
