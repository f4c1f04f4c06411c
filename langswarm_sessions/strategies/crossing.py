"""What of a conversation another provider can be given. Pure functions; the transcript itself is never changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from langswarm_sessions.interfaces.provider import ProviderProfile
from langswarm_sessions.messages import AudioPart, FilePart, Part, Role, SessionMessage, TextPart
from langswarm_sessions.providers.mapping import is_foreign_file, told_instead

__all__ = ["Crossing", "CrossingNote", "carried", "crossing_of"]

_MEDIA = frozenset({"image", "audio", "file"})
_INTERRUPTED = "given a result that says it was interrupted"
_OWN = {
    "reasoning": "only the model that thought it can be given it back",
    "other": "only the provider that made it knows what it is",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossingNote:
    """One content part that does not cross as it is.

    Args:
        message_id: Where it is.
        part: Its type.
        why: What is done about it, and why.
    """

    message_id: str
    part: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """How messages cross to a provider.

    Args:
        crossed: Content parts that cross as they are, by type.
        converted: Those that cross in another form.
        dropped: Those that cannot cross.
    """

    crossed: Mapping[str, int]
    converted: tuple[CrossingNote, ...]
    dropped: tuple[CrossingNote, ...]


def carried(messages: Iterable[SessionMessage], takes: frozenset[str]) -> tuple[SessionMessage, ...]:
    """Return messages fit for a provider: in place of a medium it does not take, a text says that there was one.

    A message without such a part comes back as it is, so that what is sent stays the same from turn to turn.

    Args:
        messages: What was said before, in order.
        takes: Types of content parts the provider takes.
    """
    return tuple(_fit(message, takes) for message in messages)


def crossing_of(messages: Sequence[SessionMessage], *, provider: str, model: str, profile: ProviderProfile) -> Crossing:
    """Return how a conversation crosses to a provider.

    Args:
        messages: What the provider would be given.
        provider: Its name.
        model: The model that would answer.
        profile: What it takes.
    """
    crossed: Counter[str] = Counter()
    converted: list[CrossingNote] = []
    dropped: list[CrossingNote] = []
    answered = {result.tool_call_id for message in messages for result in message.tool_results}
    for message in messages:
        is_own = _is_from(message, provider, model)
        for part in message.parts:
            kind = part.type
            if kind in _OWN and not is_own:
                dropped.append(_note(message, part, _OWN[kind]))
            elif kind in _MEDIA and kind not in profile.takes and isinstance(part, AudioPart) and part.transcript:
                converted.append(_note(message, part, "its words are told as text"))
            elif isinstance(part, FilePart) and is_foreign_file(part, provider=provider):
                dropped.append(_note(message, part, "its id means nothing to others; a text says that it was there"))
            elif kind in _MEDIA and kind not in profile.takes:
                dropped.append(_note(message, part, f"{provider} takes none; a text says that it was there"))
            elif kind == "refusal" and not is_own:
                converted.append(_note(message, part, "told as text"))
            else:
                crossed[kind] += 1
        converted += [_note(message, call, _INTERRUPTED) for call in message.tool_calls if call.id not in answered]
    return Crossing(crossed=dict(crossed), converted=tuple(converted), dropped=tuple(dropped))


def _is_from(message: SessionMessage, provider: str, model: str) -> bool:
    """Whether the provider and model themselves said it, so that their raw payload can be replayed."""
    payload = message.provider_payload or {}
    return message.role is Role.ASSISTANT and (payload.get("provider"), payload.get("model")) == (provider, model)


def _fit(message: SessionMessage, takes: frozenset[str]) -> SessionMessage:
    if all(part.type not in _MEDIA or part.type in takes for part in message.parts):
        return message
    parts = [_shown(part) if part.type in _MEDIA and part.type not in takes else part for part in message.parts]
    return replace(message, content="", parts=parts)


def _shown(part: Part) -> TextPart:
    return TextPart(told_instead(part))


def _note(message: SessionMessage, part: Part, why: str) -> CrossingNote:
    return CrossingNote(message_id=message.message_id, part=part.type, why=why)
