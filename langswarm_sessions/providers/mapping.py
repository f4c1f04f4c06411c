"""What the mappings of all providers need: which messages are new, and ids and names of tool calls. Pure functions."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence

from langswarm_sessions.messages import Role, SessionMessage

__all__ = ["OPENING", "CallIds", "call_id_within", "newness", "tool_name_within"]

OPENING = "(The conversation goes on.)"
"""Said for the user where a conversation begins with an answer, which some APIs refuse."""


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
        self._numbers: dict[str, int] = {}  # the highest one behind each id: the lower ones are given

    def made(self, call_id: str) -> str:
        """Return the id of a call, which another call of that id was not given."""
        sent = legal = self._legal(call_id)
        number = self._numbers.get(legal, 1)
        while sent in self._given:
            number += 1
            sent = self._legal(f"{legal}_{number}")
        self._numbers[legal] = number
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
