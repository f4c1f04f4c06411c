"""What of a conversation another provider can be given. Pure functions; the transcript itself is never changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from langswarm_sessions.interfaces.provider import Crosses, ProviderProfile
from langswarm_sessions.messages import AudioPart, Part, Role, SessionMessage
from langswarm_sessions.providers.media import Medium, is_foreign_file, noted, told_instead

__all__ = ["Crossing", "CrossingNote", "carried", "crossing_of"]

_INTERRUPTED = "given a result that says it was interrupted"
_AS_TEXT = {"audio": "its words are told as text", "refusal": "told as text"}
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
    crosses = profile.crosses or _crossing_to(provider)
    for message, as_they_are in zip(messages, crosses(messages, model), strict=True):
        for part in message.parts:
            is_told_of = isinstance(part, Medium) and part.type not in profile.takes
            if part in as_they_are and not is_told_of:
                crossed[part.type] += 1
            elif part.type == "refusal" or (isinstance(part, AudioPart) and (part.transcript or "").strip()):
                converted.append(_note(message, part, _AS_TEXT[part.type]))
            else:
                dropped.append(_note(message, part, _why(part, provider, profile)))
        converted += [_note(message, call, _INTERRUPTED) for call in message.tool_calls if call.id not in answered]
    return Crossing(crossed=dict(crossed), converted=tuple(converted), dropped=tuple(dropped))


def _why(part: Part, provider: str, profile: ProviderProfile) -> str:
    if not isinstance(part, Medium):
        return _OWN[part.type]
    if part.type in profile.takes and is_foreign_file(part, provider=provider):
        return "its id means nothing to others; a text says that it was there"
    what = "none" if part.type not in profile.takes else "none of this type or in this place"
    return f"{provider} takes {what}; a text says that it was there"


def _crossing_to(provider: str) -> Crosses:
    """Return how parts cross to a provider that does not tell: only reasoning and raw blocks of others stay behind."""

    def crosses(messages: Sequence[SessionMessage], model: str) -> list[list[Part]]:
        return [
            [part for part in message.parts if _is_anybodys(part, provider) or _is_from(message, provider, model)]
            for message in messages
        ]

    return crosses


def _is_anybodys(part: Part, provider: str) -> bool:
    return part.type not in _OWN and part.type != "refusal" and not is_foreign_file(part, provider=provider)


def _is_from(message: SessionMessage, provider: str, model: str) -> bool:
    """Whether the provider and model themselves said it, so that their raw payload can be replayed."""
    payload = message.provider_payload or {}
    return message.role is Role.ASSISTANT and (payload.get("provider"), payload.get("model")) == (provider, model)


def _fit(message: SessionMessage, takes: frozenset[str]) -> SessionMessage:
    if all(part.type in takes for part in message.parts if isinstance(part, Medium)):
        return message
    parts = noted(message.parts, is_taken=lambda part: part.type in takes)
    if message.role is Role.TOOL and message.tool_results:
        parts = _with_last_result(message, takes)
    return replace(message, content="", parts=parts)


def _with_last_result(message: SessionMessage, takes: frozenset[str]) -> list[Part]:
    """Return parts with notes of what came beside tool results told in the last of them."""
    left = [part for part in message.parts if isinstance(part, Medium) and part.type not in takes]
    last = message.tool_results[-1]
    told = replace(last, content="\n".join(filter(None, [last.content, *map(told_instead, left)])))
    return [told if part is last else part for part in message.parts if part not in left]


def _note(message: SessionMessage, part: Part, why: str) -> CrossingNote:
    return CrossingNote(message_id=message.message_id, part=part.type, why=why)
