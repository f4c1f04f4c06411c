"""LangChain's chat message histories in Redis."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, cast

from langswarm_sessions.errors import ConfigurationError
from langswarm_sessions.importing.formats import assembler_of
from langswarm_sessions.importing.redis_server import RedisServer
from langswarm_sessions.importing.rows import entry_of, moment_of, name_of
from langswarm_sessions.importing.source import Assembler, ImportSource, SourceEntry, SourceHead, SourceSurvey

__all__ = ["RedisChatHistorySource"]

LISTS = "message_store:"
"""What langchain-community's keys begin with: each is a list, one a conversation, newest message first."""

DOCUMENTS = "chat:"
"""What langchain-redis' keys begin with: each is a document, one a message."""

_PAGE = 100
_DOCUMENT_KEY = re.compile(r"(?P<session>.*):(?P<message>[0-9A-HJKMNP-TV-Z]{26})", re.DOTALL)  # a ULID at the end
_LOST = "langchain-redis kept no tool calls, ids, usage or response metadata of answers: they are not there to import"

Conversations = dict[str, list[str]]
"""The keys of each conversation."""


class RedisChatHistorySource(ImportSource):
    """The histories of langchain-redis or of langchain-community in a Redis server (or one that speaks its protocol).

    Only commands that read are sent. Of langchain-redis' keys the names are held in memory, of one conversation at a
    time also the times; the messages come in pages.

    Args:
        url: The server's URL, such as redis://localhost:6379/0.
        key_prefix: What the keys begin with; None looks for "message_store:" (langchain-community) and "chat:"
            (langchain-redis).

    Raises:
        ConfigurationError: `url` is none.
        MissingDependencyError: The package `redis` is not installed.

    Example:
        >>> source = RedisChatHistorySource("redis://localhost:6379/0", key_prefix="chat:")
    """

    def __init__(self, url: str, *, key_prefix: str | None = None) -> None:
        self._server = RedisServer(url)
        self._prefix = key_prefix
        self._conversations: Conversations | None = None
        self._lists = False

    def __repr__(self) -> str:
        """Name the place, no password."""
        return f"RedisChatHistorySource({self._server.location!r})"

    async def survey(self) -> SourceSurvey:
        """Look at what there is."""
        prefixes = (LISTS, DOCUMENTS) if self._prefix is None else (self._prefix,)
        found = {prefix: await self._look(prefix) for prefix in prefixes}
        there = {prefix: seen for prefix, seen in found.items() if seen[0]}
        if len(there) != 1:
            raise self._not_one(list(there), prefixes)
        [(prefix, (conversations, others, are_lists))] = there.items()
        self._prefix, self._conversations, self._lists = prefix, conversations, are_lists
        notes = () if are_lists else (_LOST,)
        if others:
            notes = (*notes, f"keys that begin with {prefix!r} and are no part of a history: {others}")
        return SourceSurvey(
            kind="Redis chat history under",
            name=prefix,
            location=self._server.location,
            sessions=len(conversations),
            entries=None if are_lists else sum(map(len, conversations.values())),
            notes=notes,
        )

    async def pages(self, start: Any = None) -> AsyncGenerator[Sequence[SourceEntry]]:
        """Yield rows."""
        conversations = await self._found()
        for session_id in sorted(conversations):
            if start is not None and session_id < start:
                continue
            keys = conversations[session_id]
            pages = self._list_pages(session_id, keys[0]) if self._lists else self._document_pages(session_id, keys)
            async for page in pages:
                yield page

    async def heads(self) -> AsyncGenerator[SourceHead]:
        """Yield the conversations."""
        conversations = await self._found()
        for session_id in sorted(conversations):
            keys = conversations[session_id]
            [count] = await self._server.lengths(keys) if self._lists else [len(keys)]
            newest = str(count - 1) if self._lists else (await self._ordered(keys))[-1][1]
            yield SourceHead(session_id=name_of(session_id), entries=count, newest=newest, position=session_id)

    def assembler(self) -> Assembler:
        """Return what makes messages of rows."""
        return assembler_of("langchain")

    async def close(self) -> None:
        """Close the connection."""
        await self._server.close()

    # Looking

    async def _look(self, prefix: str) -> tuple[Conversations, int, bool]:
        """Return the conversations under a prefix, how many keys are none of theirs, and whether they are lists."""
        keys = await self._server.keys(prefix)
        types = await self._server.types(keys)
        lists = [key for key, kind in zip(keys, types, strict=True) if kind == "list"]
        if lists:
            return {key.removeprefix(prefix): [key] for key in lists}, len(keys) - len(lists), True
        found: Conversations = {}
        for key in keys:
            if matched := _DOCUMENT_KEY.fullmatch(key.removeprefix(prefix)):
                found.setdefault(matched["session"], []).append(key)
        return found, len(keys) - sum(map(len, found.values())), False

    def _not_one(self, there: Sequence[str], prefixes: Sequence[str]) -> ConfigurationError:
        if there:
            named = " and ".join(map(repr, there))
            return ConfigurationError(
                f"{self._server.location} has chat histories under {named}; name one with key_prefix."
            )
        wanted = " or ".join(map(repr, prefixes))
        return ConfigurationError(
            f"{self._server.location} has no chat history under {wanted}; name what its keys begin with as key_prefix."
        )

    async def _found(self) -> Conversations:
        if self._conversations is None:
            await self.survey()
        return self._conversations or {}

    # Lists: the newest message stands first, so that a message's place is counted from the end.

    async def _list_pages(self, session_id: str, key: str) -> AsyncGenerator[Sequence[SourceEntry]]:
        place, name = 0, name_of(session_id)
        while page := await self._server.part(key, -place - _PAGE, -place - 1):
            yield [entry_of(name, str(place + at), text) for at, text in enumerate(reversed(page))]
            place += len(page)
            if len(page) < _PAGE:
                return

    # Documents: one a message, with the time it was stored at.

    async def _document_pages(self, session_id: str, keys: Sequence[str]) -> AsyncGenerator[Sequence[SourceEntry]]:
        ordered, name = await self._ordered(keys), name_of(session_id)
        for first in range(0, len(ordered), _PAGE):
            page = ordered[first : first + _PAGE]
            documents = await self._server.documents([key for _, _, key in page])
            yield [
                _entry(name, message, moment, told) for (moment, message, _), told in zip(page, documents, strict=True)
            ]

    async def _ordered(self, keys: Sequence[str]) -> list[tuple[float, str, str]]:
        """Return time, name and key of each message of a conversation, oldest first."""
        found: list[tuple[float, str, str]] = []
        for first in range(0, len(keys), _PAGE):
            some = keys[first : first + _PAGE]
            for key, told in zip(some, await self._server.documents(some), strict=True):
                found.append((_seconds((told or {}).get("timestamp")), key.rpartition(":")[2], key))
        return sorted(found)


def _entry(session_id: str, key: str, moment: float, document: Mapping[str, Any] | None) -> SourceEntry:
    if document is None:
        return SourceEntry(session_id=session_id, key=key, digest="", problem="it is not a document of langchain-redis")
    data = document.get("data")
    try:
        message = {"type": document.get("type"), "data": json.loads(data) if isinstance(data, str) else data}
    except (ValueError, RecursionError):
        return SourceEntry(session_id=session_id, key=key, digest="", problem="it is not JSON")
    return entry_of(session_id, key, message, time=moment_of(moment) if moment else None)


def _seconds(value: object) -> float:
    try:
        return float(cast("Any", value))
    except (TypeError, ValueError):
        return 0.0
