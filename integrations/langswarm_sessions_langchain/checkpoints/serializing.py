"""Values to bytes and back, with nothing rebuilt that was not allowed."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, cast

import ormsgpack
from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.serde.event_hooks import SerdeEvent, register_serde_event_listener
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from langswarm_sessions.errors import InvalidInputError, StorageError
from langswarm_sessions.records.checkpoints import Encoded

__all__ = ["Codec", "strict_serializer"]

_blocked: ContextVar[set[str] | None] = ContextVar("langswarm_sessions_blocked_classes", default=None)

_REMEDY = "Pass SessionCheckpointSaver(allowed_classes=[...]) with the class, or keep plain data in the graph's state."


def strict_serializer(allowed_classes: Iterable[type | tuple[str, str]]) -> JsonPlusSerializer:
    """Return LangGraph's serializer without pickle, rebuilding no classes but LangChain's own and those given."""
    allowed = tuple(allowed_classes)
    return JsonPlusSerializer(
        pickle_fallback=False, allowed_json_modules=None, allowed_msgpack_modules=cast("Any", allowed or None)
    )


class Codec:
    """Encodes and decodes with one serializer.

    Args:
        serde: The serializer.
    """

    __slots__ = ("_is_checked", "_plain", "_serde")

    def __init__(self, serde: SerializerProtocol) -> None:
        self._serde = serde
        self._plain = serde.serde if isinstance(serde, EncryptedSerializer) else serde
        self._is_checked = isinstance(self._plain, JsonPlusSerializer)

    @property
    def is_repeatable(self) -> bool:
        """Whether the same value is always encoded as the same bytes."""
        return type(self._serde) is JsonPlusSerializer

    def dump(self, value: object, what: str) -> Encoded:
        """Encode a value.

        Args:
            value: Any value of a graph's state.
            what: What it is, for errors.

        Raises:
            InvalidInputError: It cannot be stored, or could not be rebuilt.
        """
        return self.check(self._dumped(self._serde, value, what), what)

    def dump_unchecked(self, value: object, what: str) -> Encoded:
        """Encode a value; `check` what is going to be stored."""
        return self._dumped(self._serde, value, what)

    def dump_plain(self, value: object, what: str) -> Encoded:
        """Encode a value without encryption, to compare it."""
        return self._dumped(self._plain, value, what)

    def check(self, encoded: Encoded, what: str) -> Encoded:
        """Return what was encoded, if it can be rebuilt.

        Raises:
            InvalidInputError: It holds a class that may not be rebuilt; the message names it.
        """
        if self._is_checked:
            with _collected() as refused:
                self._serde.loads_typed((encoded.type, encoded.data))
            if refused:
                names = ", ".join(sorted(refused))
                raise InvalidInputError(
                    f"{what} holds {names}, which may not be rebuilt from a checkpoint; nothing was stored. {_REMEDY}"
                )
        return encoded

    def load(self, encoded: Encoded) -> Any:
        """Decode a value.

        Raises:
            StorageError: It cannot be read, or holds a class that may not be rebuilt; the message names it.
        """
        with _collected() as refused:
            try:
                value = self._serde.loads_typed((encoded.type, encoded.data))
            except (ValueError, TypeError, KeyError, NotImplementedError) as error:
                raise StorageError(
                    f"A checkpoint cannot be read with this serializer ({type(error).__name__}). Use the serde (and "
                    "key) that it was stored with."
                ) from error
        if refused:
            names = ", ".join(sorted(refused))
            raise StorageError(f"A checkpoint holds {names}, which may not be rebuilt. {_REMEDY}")
        return value

    def _dumped(self, serde: SerializerProtocol, value: object, what: str) -> Encoded:
        try:
            return Encoded(*serde.dumps_typed(value))
        except ormsgpack.MsgpackEncodeError as error:
            raise InvalidInputError(
                f"{what}: a {type(value).__name__} cannot be kept in a checkpoint ({error}); nothing was stored. "
                "Keep messages, plain data, dataclasses or pydantic models in the graph's state."
            ) from error
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidInputError(
                f"{what}: a {type(value).__name__} cannot be kept in a checkpoint ({type(error).__name__}); nothing "
                "was stored."
            ) from error


@contextmanager
def _collected() -> Generator[set[str]]:
    """Collect the classes that were not rebuilt within the block."""
    refused: set[str] = set()
    token = _blocked.set(refused)
    try:
        yield refused
    finally:
        _blocked.reset(token)


def _note(event: SerdeEvent) -> None:
    refused = _blocked.get()
    if refused is not None and event["kind"] in ("msgpack_blocked", "msgpack_method_blocked"):
        refused.add(f"{event['module']}.{event['name']}")


register_serde_event_listener(_note)
