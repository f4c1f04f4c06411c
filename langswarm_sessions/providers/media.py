"""What becomes of images, recordings and files on their way to a model. Pure functions.

Each API has a table of what it takes. Its mapping and the report of a handoff ask the same table, so that the report
says what is sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from langswarm_sessions.interfaces.provider import Crosses
from langswarm_sessions.messages import (
    AudioPart,
    FilePart,
    ImagePart,
    OtherPart,
    Part,
    ReasoningPart,
    RefusalPart,
    Role,
    SessionMessage,
    TextPart,
)

__all__ = [
    "COMMON_IMAGES",
    "MediaTable",
    "Medium",
    "crosses_by",
    "described",
    "in_words",
    "is_foreign_file",
    "media_type_of",
    "noted",
    "told_instead",
]

Medium = ImagePart | FilePart | AudioPart

COMMON_IMAGES = ("image/gif", "image/jpeg", "image/jpg", "image/png", "image/webp")
"""What every model that sees takes.

Sources: `media_type` of Anthropic's Base64ImageSourceParam; the guides to images of OpenAI, Mistral and Cohere.
"""

_NAMES = {"image": "An image", "audio": "A recording", "file": "A file"}
_FILE_IDS = {
    "openai": re.compile(r"(file-|assistant-).+"),
    "anthropic": re.compile(r"file_.+"),
    "gemini": re.compile(r"(files/|https://generativelanguage\.googleapis\.com/).+"),
    "mistral": re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE),
}
"""Ids of files, as the providers that give out such write them."""

_BEGINNINGS = {
    "/9j/": "image/jpeg",
    "R0lGOD": "image/gif",
    "UklGR": "image/webp",
    "iVBORw": "image/png",
    "SUkqA": "image/tiff",
    "TU0AK": "image/tiff",
    "JVBERi": "application/pdf",
}
"""How data begins in base64, for media that come without their type."""


def told_instead(part: Part) -> str:
    """Return the text that stands where a medium stood that a model cannot be given: a recording's words, or a note.

    Args:
        part: An image, a recording or a file; of any other part nothing is told.

    Example:
        >>> told_instead(AudioPart(data="UklGRg==", transcript="Hello?"))
        'Hello?'
    """
    if isinstance(part, AudioPart) and part.transcript and part.transcript.strip():
        return part.transcript
    return f"[{_NAMES[part.type]} was here that this model cannot be given.]" if part.type in _NAMES else ""


def noted(parts: Iterable[Part], *, is_taken: Callable[[Medium], bool]) -> list[Part]:
    """Return parts with a text in place of each medium that is not taken, on a line of its own beside other text.

    Args:
        parts: Of one message, in order.
        is_taken: Whether a medium stays as it is.
    """
    told: list[Part] = []
    ends_with_note = False
    for part in parts:
        before = told[-1] if told else None
        is_note = isinstance(part, Medium) and not is_taken(part)
        if isinstance(before, TextPart | RefusalPart) and isinstance(part, TextPart | RefusalPart | Medium):
            is_glued = (is_note or (ends_with_note and not isinstance(part, Medium))) and before.text
            if is_glued and not before.text.endswith("\n"):
                told[-1] = type(before)(f"{before.text}\n")
        told.append(TextPart(told_instead(part)) if is_note else part)
        ends_with_note = is_note
    return told


def in_words(parts: Iterable[Part]) -> str:
    r"""Return what parts say where nothing but text can stand: texts, refusals, and notes in place of media.

    Example:
        >>> in_words([TextPart("Here it is."), ImagePart(data="aGk=")])
        'Here it is.\n[An image was here that this model cannot be given.]'
    """
    said = [part for part in parts if isinstance(part, TextPart | RefusalPart | Medium)]
    told = noted(said, is_taken=lambda _: False)
    return "".join(part.text for part in told if isinstance(part, TextPart | RefusalPart))


def is_foreign_file(part: Part, *, provider: str | None) -> bool:
    """Whether a file is known by an id or a private address that another provider gave, and by nothing else.

    Args:
        part: The file; no other part is foreign.
        provider: The provider that would be given it; None: none of those that give out ids.
    """
    if not isinstance(part, FilePart) or part.data:
        return False
    return any(
        style.fullmatch(given)
        for given in (part.file_id, part.url)
        if given
        for name, style in _FILE_IDS.items()
        if name != provider
    )


def media_type_of(part: Medium) -> str | None:
    """Return the type of a medium: as its data URL or the part says, or as the data begin; None when nothing tells.

    Example:
        >>> media_type_of(ImagePart(url="data:image/heic;base64,AAAA"))
        'image/heic'
    """
    url, data = part.url or "", part.data
    if not data and url.startswith("data:"):
        head, _, data = url.removeprefix("data:").partition(",")
        given = head.split(";")[0] or part.media_type
    else:
        given = part.media_type
    if given:
        return given.split(";")[0].strip().lower()
    return next((kind for start, kind in _BEGINNINGS.items() if (data or "").startswith(start)), None)


def described(part: Part) -> str:
    """Return what a part is, for a refusal: its type, and its media type where that is known.

    Example:
        >>> described(ImagePart(data="AAAA", media_type="image/heic"))
        "'image' (image/heic)"
    """
    found = media_type_of(part) if isinstance(part, Medium) else None
    return f"{part.type!r} ({found})" if found else repr(part.type)


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaTable:
    """Types of media an API takes; patterns as of file names, such as `text/*`.

    What nothing tells the type of is taken: the API finds out.

    Args:
        provider: Whose file ids it knows.
        images: Types of images.
        files: Types of files.
        sounds: Types of recordings.
        schemes: How the addresses begin that it reads.
    """

    provider: str
    images: Sequence[str] = COMMON_IMAGES
    files: Sequence[str] = ()
    sounds: Sequence[str] = ()
    schemes: Sequence[str] = ("https://", "http://", "data:")

    def takes(self, part: Part) -> bool:
        """Whether the API takes a medium of this type from where it is."""
        if not isinstance(part, Medium) or not (part.data or part.url or getattr(part, "file_id", None)):
            return False
        if is_foreign_file(part, provider=self.provider):
            return False
        if not part.data and part.url and not part.url.lower().startswith(tuple(self.schemes)):
            return False
        kinds = {"image": self.images, "file": self.files, "audio": self.sounds}[part.type]
        found = media_type_of(part)
        return bool(kinds) and (found is None or any(fnmatchcase(found, kind) for kind in kinds))


def crosses_by(
    *,
    takes: Callable[[Medium, Role], bool],
    given_back: Callable[[SessionMessage, str], Sequence[Part]],
) -> Crosses:
    """Return what tells, message by message, which parts an API is sent as they are.

    Args:
        takes: Whether it takes a medium in a message of this role; of an answer, in one that is built anew.
        given_back: The parts of an answer that the model it came from is given back raw; empty: it is built anew.
    """

    def crosses(messages: Sequence[SessionMessage], model: str) -> list[list[Part]]:
        return [_crossing(message, model) for message in messages]

    def _crossing(message: SessionMessage, model: str) -> list[Part]:
        is_answer = message.role is Role.ASSISTANT
        back = given_back(message, model) if is_answer else ()

        def stays(part: Part) -> bool:
            if isinstance(part, ReasoningPart | OtherPart):
                return part in back
            if isinstance(part, RefusalPart):
                return bool(back)
            return not isinstance(part, Medium) or part in back or (not back and takes(part, message.role))

        return [part for part in message.parts if stays(part)]

    return crosses
