"""What OpenAI's two APIs take of images, recordings and files. Pure functions."""

from __future__ import annotations

from urllib.parse import urlsplit

from langswarm_sessions.messages import AudioPart, FilePart, Part, Role
from langswarm_sessions.providers.media import COMMON_IMAGES, MediaTable

__all__ = ["SOUND_FORMATS", "chat_takes", "is_own_address", "responses_take"]

_OWN_HOSTS = (".openai.com", ".azure.com")

SOUND_FORMATS = {
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
}
"""Types of recordings Chat Completions take, and what they call them."""

_ANY = ("*/*",)

_RESPONSES = MediaTable(
    provider="openai",
    images=COMMON_IMAGES,
    files=(
        "application/csv",
        "application/javascript",
        "application/json",
        "application/msword",
        "application/pdf",
        "application/rtf",
        "application/sql",
        "application/toml",
        "application/typescript",
        "application/vnd.*",
        "application/x-*script*",
        "application/x-sh",
        "application/x-yaml",
        "application/xml",
        "application/yaml",
        "message/rfc822",
        "text/*",
    ),
)
"""Source: OpenAI's guides to images and to file inputs."""

_CHAT = MediaTable(provider="openai", images=COMMON_IMAGES, files=("application/pdf",), sounds=tuple(SOUND_FORMATS))
"""Source: as above: as `file` content, Chat Completions take PDF alone."""

_OTHER_SERVER = MediaTable(provider="openai", images=_ANY, files=_ANY, sounds=tuple(SOUND_FORMATS))
"""Servers of others may take more: what they take they say themselves."""


def is_own_address(base_url: str) -> bool:
    """Whether requests go to OpenAI or Azure, and not to a server of somebody else."""
    try:
        host = urlsplit(base_url).hostname
    except ValueError:  # no address: making the client says so
        return False
    return f".{host or ''}".endswith(_OWN_HOSTS)


def responses_take(part: Part, role: Role, *, is_own: bool = True) -> bool:
    """Whether the Responses API takes a medium in a message of a role.

    Args:
        part: The medium.
        role: Who says it; in answers nothing but text is taken.
        is_own: Whether it is OpenAI's own API.
    """
    table = _RESPONSES if is_own else _OTHER_SERVER
    return role is not Role.ASSISTANT and not isinstance(part, AudioPart) and table.takes(part)


def chat_takes(part: Part, role: Role, *, is_own: bool = True) -> bool:
    """Whether Chat Completions take a medium in a message of a role: arguments are as for `responses_take`."""
    if role in {Role.ASSISTANT, Role.SYSTEM}:
        return False
    if isinstance(part, FilePart) and not (part.data or part.file_id):
        return False
    if isinstance(part, AudioPart) and not (part.data and part.media_type in SOUND_FORMATS):
        return False
    return (_CHAT if is_own else _OTHER_SERVER).takes(part)
