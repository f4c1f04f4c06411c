"""Values of channels: a list is stored as the items that no earlier version has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, cast

import ormsgpack
from langgraph.checkpoint.serde import types as serde_types

from langswarm_sessions.records.checkpoints import Encoded, NewValue, StoredValue, ValueKind, ValueSegment
from langswarm_sessions_langchain.checkpoints.serializing import Codec

__all__ = ["KnownValue", "decode_value", "encode_value", "known_of"]

_FINGERPRINT = 16
_WORTH_SHARING = 256  # bytes; less costs more to find again than to store again
_LONGEST_CHAIN = 1_000  # versions to read for one value
_ITEMS = "items"

_Snapshot: type[Any] = serde_types._DeltaSnapshot  # pyright: ignore[reportPrivateUsage]


@dataclass(frozen=True, slots=True)
class KnownValue:
    """What is known of the newest version of a list: a fingerprint of each item, and which version stored which.

    `outline` has version, owner and first item of each segment, oldest first.
    """

    fingerprints: bytes
    outline: tuple[tuple[str, str, int], ...]


def encode_value(
    codec: Codec, value: object, *, channel: str, version: str, owner: str, known: KnownValue | None
) -> tuple[NewValue, KnownValue | None]:
    """Return a new version of a channel's value as it is stored, and what is known of it from then on.

    Args:
        codec: Encodes values.
        value: The value.
        channel: Its channel.
        version: The name of its version.
        owner: The checkpoint that stores it.
        known: An earlier version of the same channel.

    Raises:
        InvalidInputError: It cannot be stored.
    """
    what = f"The value of channel {channel!r}"
    found = _items_of(value)
    if found is None:
        return NewValue(channel=channel, version=version, kind="whole", value=codec.dump(value, what)), None
    kind, items = found
    plain = codec.dump_each(items, what)
    fingerprints = b"".join(map(_fingerprint, plain))
    kept, outline = _shared(plain, fingerprints, known)
    encoded = [
        codec.seal(item, codec.check(form, what), what) for item, form in zip(items[kept:], plain[kept:], strict=True)
    ]
    base, base_owner, _ = outline[-1] if outline else (None, None, 0)
    new = NewValue(
        channel=channel,
        version=version,
        kind=kind,
        value=Encoded(_ITEMS, ormsgpack.packb([part for item in encoded for part in (item.type, item.data)])),
        length=len(items),
        kept=kept,
        base=base,
        base_owner=base_owner,
    )
    return new, KnownValue(fingerprints, (*outline, (version, owner, kept)))


def decode_value(codec: Codec, stored: StoredValue) -> Any:
    """Return the value that was stored.

    Raises:
        StorageError: It cannot be read.
    """
    if stored.kind == "whole":
        return codec.load(stored.segments[-1].value)
    items = codec.load_each(_encoded_items(stored.segments))
    return items if stored.kind == "items" else _Snapshot(items)


def known_of(stored: StoredValue) -> KnownValue | None:
    """Return what is known of a stored value, encoded by a serializer that always does the same."""
    if stored.kind == "whole":
        return None
    fingerprints = b"".join(map(_fingerprint, _encoded_items(stored.segments)))
    return KnownValue(fingerprints, tuple((part.version, part.owner, part.start) for part in stored.segments))


def _items_of(value: object) -> tuple[ValueKind, list[object]] | None:
    """Return a list's items, if they are worth to be stored one by one."""
    kind: ValueKind = "items"
    if isinstance(value, _Snapshot):
        kind, value = "snapshot", cast("Any", value).value
    if type(value) is not list:
        return None
    items = cast("list[object]", value)
    return None if not items or isinstance(items[0], int | float | None) else (kind, items)


def _shared(
    plain: Sequence[Encoded], fingerprints: bytes, known: KnownValue | None
) -> tuple[int, tuple[tuple[str, str, int], ...]]:
    """Return how many items an earlier version has already, and the segments that they are in."""
    if known is None:
        return 0, ()
    kept = _common(fingerprints, known.fingerprints)
    outline = tuple(segment for segment in known.outline if segment[2] < kept)
    if len(outline) >= _LONGEST_CHAIN or sum(len(item.data) for item in plain[:kept]) < _WORTH_SHARING:
        return 0, ()
    return kept, outline


def _common(one: bytes, other: bytes) -> int:
    """Return how many fingerprints two rows of them begin with in common."""
    length = min(len(one), len(other))
    if one[:length] == other[:length]:
        return length // _FINGERPRINT
    places = range(0, length, _FINGERPRINT)
    return next(at for at in places if one[at : at + _FINGERPRINT] != other[at : at + _FINGERPRINT]) // _FINGERPRINT


def _fingerprint(item: Encoded) -> bytes:
    return blake2b(item.data, digest_size=_FINGERPRINT, person=item.type.encode()[:16]).digest()


def _encoded_items(segments: Sequence[ValueSegment]) -> list[Encoded]:
    parts: list[Encoded] = []
    for segment in segments:
        flat: list[Any] = ormsgpack.unpackb(segment.value.data)
        parts[segment.start :] = [Encoded(flat[at], flat[at + 1]) for at in range(0, len(flat), 2)]
    return parts
