"""An answer as it can be stored and sent back, whatever the provider wrote.

Text is Unicode, counts are counts, and every tool call can be answered by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar, cast

from langswarm_sessions.errors import InvalidInputError, NativeStateLostError, ProviderUnavailableError, SessionError
from langswarm_sessions.interfaces.provider import Completed, ProviderEvent, ProviderRequest, TextDelta
from langswarm_sessions.messages import Part, ToolCall, part_from_json, part_to_json
from langswarm_sessions.records import ModelCall, NativeKind, Usage

__all__ = ["UsableEvents", "well_formed"]

T = TypeVar("T")

_MOST_TOKENS = 2**53
"""What JSON carries exactly; no answer has as many."""


class UsableEvents:
    """Passes the events of one answer on.

    JSON can write half a surrogate pair, which no database and no encoding takes. Halves that meet are joined, be it
    across two pieces of a stream; one that stays alone becomes U+FFFD. The pieces make the text of the whole.

    Args:
        provider: The provider's name, for errors.
        request: What is answered.
    """

    def __init__(self, provider: str, request: ProviderRequest) -> None:
        self._provider = provider
        self._native = request.native
        self._half = ""

    def take(self, event: ProviderEvent) -> Iterator[ProviderEvent]:
        """Yield what is passed on of an event.

        Raises:
            SessionError: The answer calls a tool without naming it, or holds something else where text belongs.
        """
        if isinstance(event, TextDelta):
            event = self._joined(event)
        elif isinstance(event, Completed):
            if not _is_shaped(event):
                raise self._unusable("the answer is not one of this API. Check base_url, or try again")
            if any(isinstance(part, ToolCall) and not part.name for part in event.parts):
                raise self._unusable("the model called a tool without naming it. Send the message again")
            if self._half:
                yield TextDelta(well_formed(self._half))
            event = _answerable(_storable(event))
        yield event

    def _joined(self, delta: TextDelta) -> TextDelta:
        if not self._half and _is_well_formed(delta.text):
            return delta
        text = self._half + delta.text
        self._half = text[-1:] if _is_first_half(text[-1:]) else ""
        return replace(delta, text=well_formed(text.removesuffix(self._half)))

    def _unusable(self, why: str) -> SessionError:
        """Return the error of an answer nobody can go on from: providers take no history that holds it."""
        told = f"{self._provider}: {why}."
        if self._native is not None and self._native.kind is NativeKind.LOG:  # holds that answer from now on
            return NativeStateLostError(told, provider=self._provider)
        return ProviderUnavailableError(told, provider=self._provider)


def well_formed(value: T) -> T:
    r"""Return text, parts or JSON with every half of a surrogate pair joined to its other half, or replaced.

    Example:
        >>> well_formed("\ud83d\ude00 \ud83d") == "\U0001f600 \ufffd"
        True
    """
    return cast(T, _mended(value))


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        if _is_well_formed(value):
            return value
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, dict):
        return {_mended(name): _mended(inner) for name, inner in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list):
        return [_mended(inner) for inner in value]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, tuple):
        return tuple(_mended(inner) for inner in value)  # pyright: ignore[reportUnknownVariableType]
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{item.name: _mended(getattr(value, item.name)) for item in fields(value)})
    return value


def _storable(completed: Completed) -> Completed:
    return replace(
        completed,
        parts=well_formed(completed.parts),
        model=well_formed(completed.model),
        usage=_counted(completed.usage),
        finish_reason=well_formed(completed.finish_reason),
        provider_message_id=well_formed(completed.provider_message_id),
        native_id=well_formed(completed.native_id),
        native_memo=well_formed(dict(completed.native_memo)),
        request_id=well_formed(completed.request_id),
        payload=well_formed(completed.payload),
        terms=well_formed(dict(completed.terms)),
        calls=tuple(map(_billable, completed.calls)),
    )


def _billable(call: ModelCall) -> ModelCall:
    return replace(call, model=well_formed(call.model), usage=_counted(call.usage))


def _is_shaped(completed: Completed) -> bool:
    """Whether everything is of the type it is declared with; SDKs let through what is not."""
    names = (completed.native_id, completed.provider_message_id, completed.finish_reason, completed.request_id)
    if not isinstance(completed.model, str) or not all(name is None or isinstance(name, str) for name in names):
        return False
    try:
        for part in completed.parts:
            part_from_json(part_to_json(part))
    except InvalidInputError:
        return False
    return True


def _counted(usage: Usage) -> Usage:
    """Return the tokens; what cannot be a count of them counts nothing."""
    told = usage.to_json()
    counted = {name: _count(number) for name, number in told.items()}
    return usage if counted == told else Usage(**counted)


def _count(number: object) -> int:
    return number if type(number) is int and 0 <= number < _MOST_TOKENS else 0


def _answerable(completed: Completed) -> Completed:
    """Give every call an id of its own.

    Providers refuse a history in which two calls have the same: neither what this one sent nor what it keeps of it can
    be used again, and the next request is built from the parts.
    """
    ids = [part.id for part in completed.parts if isinstance(part, ToolCall)]
    if all(ids) and len(set(ids)) == len(ids):
        return completed
    return replace(completed, parts=_with_own_ids(completed.parts), payload=None, native_id=None, native_memo={})


def _with_own_ids(parts: Sequence[Part]) -> tuple[Part, ...]:
    taken: set[str] = set()
    own: list[Part] = []
    for place, part in enumerate(parts):
        if isinstance(part, ToolCall):
            if not part.id or part.id in taken:
                part = replace(part, id=f"{part.id or 'call'}_{place}")
            taken.add(part.id)
        own.append(part)
    return tuple(own)


def _is_well_formed(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_first_half(character: str) -> bool:
    return "\ud800" <= character <= "\udbff"
