"""Values to bytes and back: nothing is rebuilt that was not allowed, and nothing comes back as something else."""

from __future__ import annotations

from collections import Counter
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
from langswarm_sessions_langchain.checkpoints.classes import classes_in, is_known

__all__ = ["Codec", "strict_serializer"]

_refusals: ContextVar[_Refusals | None] = ContextVar("langswarm_sessions_refused_classes", default=None)

_ALLOW = "Pass SessionCheckpointSaver(allowed_classes=[...]) with the class, or keep plain data in the graph's state."
_PLAIN = "Keep plain data in the graph's state instead (a datetime, a list, a dict)."


class _Refusals:
    """What was not rebuilt: classes that were not allowed, and those that no allowance helps."""

    def __init__(self) -> None:
        self.classes: set[str] = set()
        self.methods: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self.classes or self.methods)

    def __str__(self) -> str:
        return ", ".join(sorted(self.classes | self.methods))

    @property
    def remedy(self) -> str:
        """What to do."""
        return _ALLOW if self.classes else _PLAIN


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
        is_strict: Whether what comes back as something else is refused, as with the built-in serializer.
    """

    __slots__ = ("_is_checked", "_is_strict", "_plain", "_serde")

    def __init__(self, serde: SerializerProtocol, *, is_strict: bool = True) -> None:
        self._serde = serde
        self._plain = serde.serde if isinstance(serde, EncryptedSerializer) else serde
        self._is_checked = isinstance(self._plain, JsonPlusSerializer)
        self._is_strict = is_strict

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
        return self.seal(value, self.check(self.dump_plain(value, what), what), what)

    def seal(self, value: object, plain: Encoded, what: str) -> Encoded:
        """Return a value as it is stored: `plain`, unless the serializer encrypts."""
        return plain if self._plain is self._serde else self._dumped(self._serde, value, what)

    def dump_plain(self, value: object, what: str) -> Encoded:
        """Encode a value without encryption, to compare it; `check` what is going to be stored."""
        return self._dumped(self._plain, value, what)

    def dump_each(self, values: Iterable[object], what: str) -> list[Encoded]:
        """Encode values one by one, as `dump_plain` does."""
        dumps = self._plain.dumps_typed
        with _named(what) as now:
            return [Encoded(*dumps(now.at(value))) for value in values]

    def check(self, plain: Encoded, what: str) -> Encoded:
        """Return what was encoded, if it can be rebuilt.

        Raises:
            InvalidInputError: It holds a class that may not be rebuilt, or would come back as something else; the
                message names it.
        """
        if not self._is_checked or plain.type != "msgpack":
            return plain
        classes = classes_in(plain.data)
        if all(map(is_known, classes)):
            return plain
        with _collected() as refused:
            rebuilt = self._plain.loads_typed((plain.type, plain.data))
        if refused:
            raise InvalidInputError(
                f"{what} holds {refused}, which may not be rebuilt from a checkpoint; nothing was stored. "
                f"{refused.remedy}"
            )
        if self._is_strict:
            again = self._dumped(self._plain, rebuilt, what)
            if changed := Counter(classes) - Counter(classes_in(again.data) if again.type == "msgpack" else ()):
                names = ", ".join(sorted({".".join(name) for name in changed}))
                raise InvalidInputError(
                    f"{what} holds {names}, which would come back as something else; nothing was stored. Define the "
                    "class at the top level of a module, so that it can be made of its fields, or keep plain data in "
                    "the graph's state."
                )
        return plain

    def load(self, encoded: Encoded) -> Any:
        """Decode a value.

        Raises:
            StorageError: It cannot be read, or holds a class that may not be rebuilt; the message names it.
        """
        return self.load_each((encoded,))[0]

    def load_each(self, encoded: Iterable[Encoded]) -> list[Any]:
        """Decode values, as `load` does."""
        loads = self._serde.loads_typed
        with _collected() as refused:
            try:
                values = [loads((one.type, one.data)) for one in encoded]
            except (ValueError, TypeError, KeyError, NotImplementedError) as error:
                raise StorageError(
                    f"A checkpoint cannot be read with this serializer ({type(error).__name__}). Use the serde (and "
                    "key) that it was stored with."
                ) from error
        if refused:
            raise StorageError(f"A checkpoint holds {refused}, which may not be rebuilt. {refused.remedy}")
        return values

    def _dumped(self, serde: SerializerProtocol, value: object, what: str) -> Encoded:
        with _named(what) as now:
            return Encoded(*serde.dumps_typed(now.at(value)))


class _Current:
    """The value that is encoded right now."""

    value: object = None

    def at(self, value: object) -> object:
        """Note a value and return it."""
        self.value = value
        return value


@contextmanager
def _named(what: str) -> Generator[_Current]:
    """Name in errors what is encoded within the block."""
    current = _Current()
    try:
        yield current
    except (ormsgpack.MsgpackEncodeError, TypeError, ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, ormsgpack.MsgpackEncodeError) else type(error).__name__
        raise InvalidInputError(
            f"{what}: {type(current.value).__name__}, or something in it, cannot be kept in a checkpoint ({reason}); "
            "nothing was stored. Keep messages, plain data, dataclasses or pydantic models in the graph's state."
        ) from error


@contextmanager
def _collected() -> Generator[_Refusals]:
    """Collect the classes that were not rebuilt within the block."""
    refused = _Refusals()
    token = _refusals.set(refused)
    try:
        yield refused
    finally:
        _refusals.reset(token)


def _note(event: SerdeEvent) -> None:
    refused = _refusals.get()
    if refused is None:
        return
    if event["kind"] == "msgpack_blocked":
        refused.classes.add(f"{event['module']}.{event['name']}")
    elif event["kind"] == "msgpack_method_blocked":
        refused.methods.add(f"{event['module']}.{event['name']}")


register_serde_event_listener(_note)
