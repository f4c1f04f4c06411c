"""Items of the OpenAI Agents SDK as other stores keep them, read as rows of a session."""

from __future__ import annotations

from collections.abc import Sequence

from langswarm_sessions.errors import ImportFormatError, InvalidInputError
from langswarm_sessions.importing import Assembled, Assembler, SourceEntry
from langswarm_sessions.importing.rows import json_object
from langswarm_sessions_frameworks.formats import message_of
from langswarm_sessions_frameworks.openai_agents.items import Item, ItemsFormat, grouped

__all__ = ["ItemAssembler"]

_ENCRYPTED = "__enc__"
_UNREADABLE = (LookupError, TypeError, ValueError, AttributeError, RecursionError)


class ItemAssembler(Assembler):
    """Makes one message of the items a response consists of, and one of every other item."""

    def __init__(self) -> None:
        self._waiting: list[tuple[SourceEntry, Item]] = []

    def add(self, entry: SourceEntry) -> Sequence[Assembled]:
        """Take an item; return what came before it, if it is no part of that.

        Raises:
            ImportFormatError: It is no item.
        """
        item = _item_of(entry)
        if len(grouped([*(one for _, one in self._waiting), item])) < 2:
            self._waiting.append((entry, item))
            return ()
        before = self.end()
        self._waiting = [(entry, item)]
        return before

    def end(self) -> Sequence[Assembled]:
        """Return the last message."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return ()
        entries = tuple(entry for entry, _ in waiting)
        try:
            message = message_of(ItemsFormat(), [item for _, item in waiting])
        except (InvalidInputError, ImportFormatError, *_UNREADABLE):
            return (Assembled(entries=entries, problem="it is not an item of the Responses API"),)
        return (Assembled(entries=entries, message=message),)


def _item_of(entry: SourceEntry) -> Item:
    item = dict(json_object(entry.data))
    if _ENCRYPTED in item:
        raise ImportFormatError("it is encrypted; store it anew in a session without encryption")
    kind = item.get("type", "message")
    if not isinstance(kind, str) or (kind == "message" and not isinstance(item.get("role"), str)):
        raise ImportFormatError("it is not an item of the Responses API")
    return item
