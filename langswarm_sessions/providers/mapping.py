"""What the mappings of all providers need: which messages are new, and ids and names of tool calls. Pure functions."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence

from langswarm_sessions.messages import AudioPart, FilePart, Part, Role, SessionMessage

__all__ = ["OPENING", "CallIds", "call_id_within", "is_foreign_file", "newness", "told_instead", "tool_name_within"]

OPENING = "(The conversation goes on.)"
"""Said for the user where a conversation begins with an answer, which some APIs refuse."""

_MEDIA = {"image": "An image", "audio": "A recording", "file": "A file"}
_FILE_IDS = {
    "openai": ("file-", "assistant-"),
    "anthropic": ("file_",),
    "gemini": ("files/", "https://generativelanguage.googleapis.com/"),
}
"""How ids of files begin at the providers that give out such."""


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
    return f"[{_MEDIA[part.type]} was here that this model cannot be given.]" if part.type in _MEDIA else ""


def is_foreign_file(part: FilePart, *, provider: str) -> bool:
    """Whether a file is known by an id that another provider gave, and by nothing else.

    Args:
        part: The file.
        provider: The provider that would be given it.
    """
    given, others = part.file_id, (styles for name, styles in _FILE_IDS.items() if name != provider)
    if not given or part.data or part.url:
        return False
    return any(given.startswith(style) for styles in others for style in styles)


def newness(messages: Sequence[SessionMessage]) -> list[bool]:
    """Tell of each message whether it is new input: no answer followed it, and it came with the newest.

    What an earlier turn asked in vain is not new: another provider may have taken it, and it must not stop this one.

    Args:
        messages: What is sent, in order.
    """
    answers = [index for index, message in enumerate(messages) if message.role is Role.ASSISTANT]
    since = messages[answers[-1] + 1 if answers else 0 :]
    newest = max(since, key=lambda message: (message.seq is None, message.seq or 0), default=None)
    return [False] * (len(messages) - len(since)) + [
        newest is not None and message.turn_id == newest.turn_id for message in since
    ]


class CallIds:
    """Ids of tool calls as they are sent: legal for the provider, and none given twice.

    Args:
        legal: Returns an id the provider takes for any id: the same one where it can, always the same one for the same.
    """

    def __init__(self, legal: Callable[[str], str]) -> None:
        self._legal = legal
        self._newest: dict[str, str] = {}
        self._given: set[str] = set()

    def made(self, call_id: str) -> str:
        """Return the id of a call, which another call of that id was not given."""
        legal = self._legal(call_id)
        sent, number = legal, 1
        while sent in self._given:
            number += 1
            sent = self._legal(f"{legal}_{number}")
        return self.kept(call_id, sent)

    def kept(self, call_id: str, sent: str | None = None) -> str:
        """Note that a call goes with an id, its own if there is no other, and return that."""
        self._newest[call_id] = call_id if sent is None else sent
        self._given.add(self._newest[call_id])
        return self._newest[call_id]

    def are_free(self, call_ids: Sequence[str]) -> bool:
        """Whether ids can be given as they are: none was given yet, and none comes twice."""
        return len({*call_ids} - self._given) == len(call_ids)

    def answered(self, call_id: str) -> str:
        """Return the id of the newest call of that id, also of one that the provider was sent in an earlier request."""
        return self._newest.get(call_id) or self._legal(call_id)


def call_id_within(pattern: re.Pattern[str], *, prefix: str) -> Callable[[str], str]:
    """Return what makes ids of tool calls fit a pattern: one that does stays, any other becomes a digest of it.

    Args:
        pattern: What the provider takes.
        prefix: What the made ones begin with; 24 hexadecimal digits follow.

    Example:
        >>> call_id_within(re.compile(r"[a-z0-9_]{1,40}"), prefix="call_")("call_1")
        'call_1'
    """

    def legal(call_id: str) -> str:
        if pattern.fullmatch(call_id):
            return call_id
        return prefix + hashlib.sha256(call_id.encode(errors="surrogatepass")).hexdigest()[:24]

    return legal


def tool_name_within(name: str, *, longest: int, allowed: str = "a-zA-Z0-9_-", first: str | None = None) -> str:
    """Return the name of a tool that another provider let be called so, as this one takes it.

    Args:
        name: The name.
        longest: How many characters it may have.
        allowed: Which, as within a character class of a regular expression.
        first: Which may stand first, if not all.

    Example:
        >>> tool_name_within("files.read", longest=64)
        'files_read'
    """
    legal = re.sub(f"[^{allowed}]", "_", name, flags=re.ASCII)
    if not re.match(f"[{first or allowed}]", legal, flags=re.ASCII):
        legal = f"_{legal}"
    return legal[:longest]
