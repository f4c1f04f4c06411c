"""LangChain's chat message histories in Redis."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from langswarm_sessions.errors import ConfigurationError, MissingDependencyError, StorageError
from langswarm_sessions.importing.formats import assembler_of
from langswarm_sessions.importing.rows import digest_of, moment_of
from langswarm_sessions.importing.source import Assembler, ImportSource, SourceEntry, SourceHead, SourceSurvey

if TYPE_CHECKING:
    from redis.asyncio import Redis

__all__ = ["RedisChatHistorySource"]

LISTS = "message_store:"
"""What langchain-community's keys begin with: each is a list, one a conversation, newest message first."""

DOCUMENTS = "chat:"
"""What langchain-redis' keys begin with: each is a document, one a message."""

_PAGE = 500
_DOCUMENT_KEY = re.compile(r"(?P<session>.*):(?P<message>[0-9A-HJKMNP-TV-Z]{26})", re.DOTALL)  # a ULID at the end
_LOST = "langchain-redis kept no tool calls, ids, usage or response metadata of answers: they are not there to import"


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
        self._url = url.replace("valkey", "redis", 1) if url.startswith("valkey") else url
        self._prefix = key_prefix
        self._client: Redis | None = None
        self._location = _without_password(self._url)
        self._conversations: dict[str, list[str]] | None = None
        self._lists = False

    def __repr__(self) -> str:
        """Name the place, no password."""
        return f"RedisChatHistorySource({self._location!r})"

    async def survey(self) -> SourceSurvey:
        """Look at what there is."""
        found = {prefix: await self._keys(prefix) for prefix in self._prefixes()}
        there = {prefix: keys for prefix, keys in found.items() if keys}
        if not there:
            wanted = " or ".join(repr(prefix) for prefix in found)
            raise ConfigurationError(
                f"{self._location} has no chat history under {wanted}; name the beginning of its keys with key_prefix."
            )
        if len(there) > 1:
            raise ConfigurationError(
                f"{self._location} has chat histories under {' and '.join(map(repr, there))}; name one with key_prefix."
            )
        [(prefix, keys)] = there.items()
        self._prefix = prefix
        self._lists = await self._type(next(iter(keys))) == "list"
        self._conversations = _lists_of(keys, prefix) if self._lists else _documents_of(keys, prefix)
        documents = None if self._lists else sum(map(len, self._conversations.values()))
        return SourceSurvey(
            kind="Redis chat history under",
            name=prefix,
            location=self._location,
            sessions=len(self._conversations),
            entries=documents,
            notes=() if self._lists else (_LOST,),
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
            count = await self._ask(self._server().llen(keys[0])) if self._lists else len(keys)
            newest = str(count - 1) if self._lists else (await self._ordered(keys))[-1][1]
            yield SourceHead(session_id=session_id, entries=count, newest=newest, position=session_id)

    def assembler(self) -> Assembler:
        """Return what makes messages of rows."""
        return assembler_of("langchain")

    async def close(self) -> None:
        """Close the connection."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    # Lists: the newest message stands first, so that a message's place is counted from the end.

    async def _list_pages(self, session_id: str, key: str) -> AsyncGenerator[Sequence[SourceEntry]]:
        place = 0
        while page := await self._ask(self._server().lrange(key, -place - _PAGE, -place - 1)):
            yield [
                SourceEntry(session_id=session_id, key=str(place + at), digest=digest_of(text), data=text)
                for at, text in enumerate(reversed(page))
            ]
            place += len(page)
            if len(page) < _PAGE:
                return

    # Documents: one a message, with the time it was stored at.

    async def _document_pages(self, session_id: str, keys: Sequence[str]) -> AsyncGenerator[Sequence[SourceEntry]]:
        ordered = await self._ordered(keys)
        for first in range(0, len(ordered), _PAGE):
            page = ordered[first : first + _PAGE]
            yield [self._document(session_id, name, moment, await self._read(key)) for moment, name, key in page]

    async def _ordered(self, keys: Sequence[str]) -> list[tuple[float, str, str]]:
        """Return time, name and key of each message of a conversation, oldest first."""
        found: list[tuple[float, str, str]] = []
        for key in keys:
            told = await self._read(key)
            moment = cast("Mapping[str, Any]", told).get("timestamp") if isinstance(told, Mapping) else None
            found.append((_seconds(moment), key.rpartition(":")[2], key))
        return sorted(found)

    def _document(self, session_id: str, name: str, moment: float, told: Any) -> SourceEntry:
        if not isinstance(told, Mapping):
            return SourceEntry(session_id=session_id, key=name, digest="", problem="it is not JSON")
        document = cast("Mapping[str, Any]", told)
        data = document.get("data")
        message = {"type": document.get("type"), "data": json.loads(data) if isinstance(data, str) else data}
        return SourceEntry(
            session_id=session_id,
            key=name,
            digest=digest_of(message),
            data=message,
            time=moment_of(moment) if moment else None,
        )

    async def _read(self, key: str) -> Any:
        """Return a document, however it is kept; None when it cannot be read."""
        kind = await self._type(key)
        if kind == "hash":
            return await self._ask(self._server().hgetall(key))
        server: Any = self._server()
        text = await self._ask(server.get(key) if kind == "string" else server.execute_command("JSON.GET", key))
        try:
            return json.loads(text)
        except (ValueError, TypeError, RecursionError):
            return None

    # The server

    def _prefixes(self) -> Sequence[str]:
        return (LISTS, DOCUMENTS) if self._prefix is None else (self._prefix,)

    async def _found(self) -> dict[str, list[str]]:
        if self._conversations is None:
            await self.survey()
        return self._conversations or {}

    async def _keys(self, prefix: str) -> list[str]:
        pattern = re.sub(r"([*?\[\]^\\])", r"\\\1", prefix) + "*"
        names: set[str] = set()
        cursor = 0
        while True:
            server: Any = self._server()
            cursor, page = await self._ask(server.scan(cursor=cursor, match=pattern, count=1000))
            names.update(page)
            if not cursor:
                return sorted(names)

    async def _type(self, key: str) -> str:
        return str(await self._ask(self._server().type(key))).lower()

    async def _ask(self, answer: Any) -> Any:
        from redis.exceptions import RedisError

        try:
            return await cast("Awaitable[Any]", answer)
        except (RedisError, OSError, UnicodeDecodeError) as error:
            raise StorageError(
                f"{self._location} cannot be read ({type(error).__name__}). Check that the server runs, that the URL's "
                "name, password and database are right, and that its keys hold text; the cause of this error says more."
            ) from error

    def _server(self) -> Redis:
        if self._client is None:
            self._client = self._connected()
        return self._client

    def _connected(self) -> Redis:
        try:
            from redis import asyncio as redis
        except ModuleNotFoundError as error:
            raise MissingDependencyError(
                "Reading Redis needs the redis package: pip install 'langswarm-sessions[redis]'."
            ) from error
        connect = cast("Callable[..., Redis]", redis.Redis.from_url)  # pyright: ignore[reportUnknownMemberType]
        try:
            return connect(self._url, decode_responses=True)
        except ValueError as error:
            raise ConfigurationError(f"{self._location} is not the URL of a Redis server.") from error


def _lists_of(keys: Sequence[str], prefix: str) -> dict[str, list[str]]:
    return {key.removeprefix(prefix): [key] for key in keys}


def _documents_of(keys: Sequence[str], prefix: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key in keys:
        matched = _DOCUMENT_KEY.fullmatch(key.removeprefix(prefix))
        if matched is not None:
            found.setdefault(matched["session"], []).append(key)
    return found


def _seconds(value: object) -> float:
    try:
        return float(cast("Any", value))
    except (TypeError, ValueError):
        return 0.0


def _without_password(url: str) -> str:
    return re.sub(r"://[^/@]*@", "://***@", url)
