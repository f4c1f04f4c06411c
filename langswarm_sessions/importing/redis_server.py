"""A Redis server, or one that speaks its protocol: only commands that read, many in one round trip."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast
from urllib.parse import urlsplit

from langswarm_sessions.errors import ConfigurationError, MissingDependencyError, StorageError

__all__ = ["RedisServer"]

_AT_ONCE = 500
_READING = {"hash": "HGETALL", "string": "GET", "rejson-rl": "JSON.GET"}  # by the type of the key's value
Command = tuple[object, ...]


class RedisServer:
    """Reads keys; construction does no I/O.

    Args:
        url: Such as redis://localhost:6379/0.
    """

    def __init__(self, url: str) -> None:
        self._url = url.replace("valkey", "redis", 1) if url.startswith("valkey") else url
        self._client: Any = None
        self.location = _without_secrets(self._url)

    async def keys(self, prefix: str) -> list[str]:
        """Return the keys that begin with a prefix, in order."""
        pattern = re.sub(r"([*?\[\]^\\])", r"\\\1", prefix) + "*"
        names: set[str] = set()
        cursor = 0
        while True:
            cursor, page = await self._asked(
                lambda server, at: server.scan(cursor=at, match=pattern, count=1000), cursor
            )
            names.update(page)
            if not cursor:
                return sorted(names)

    async def types(self, keys: Sequence[str]) -> list[str]:
        """Return of which type each key's value is; "none" where there is no such key any more."""
        return [str(found).lower() for found in await self._answers([("TYPE", key) for key in keys])]

    async def lengths(self, keys: Sequence[str]) -> list[int]:
        """Return how long each key's list is; 0 where it is gone."""
        return [int(length) for length in await self._answers([("LLEN", key) for key in keys])]

    async def part(self, key: str, start: int, end: int) -> list[str]:
        """Return the values of a list between two places, both included; nothing where there is none."""
        [found] = await self._answers([("LRANGE", key, start, end)])
        return cast("list[str]", found)

    async def documents(self, keys: Sequence[str]) -> list[Mapping[str, Any] | None]:
        """Return each key's document: JSON, a hash, or JSON in a string; None for what is no object."""
        kinds = zip(keys, await self.types(keys), strict=True)
        commands = {key: (_READING[kind], key) for key, kind in kinds if kind in _READING}
        found = dict(zip(commands, await self._answers(list(commands.values())), strict=True))
        return [_document(found.get(key)) for key in keys]

    async def close(self) -> None:
        """Close the connection; it is opened again when it is needed."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _answers(self, commands: Sequence[Command]) -> list[Any]:
        found: list[Any] = []
        for first in range(0, len(commands), _AT_ONCE):
            found += await self._asked(_sent, commands[first : first + _AT_ONCE])
        return found

    async def _asked(self, ask: Callable[[Any, Any], Any], what: Any) -> Any:
        if self._client is None:
            self._client = self._connected()
        from redis.exceptions import RedisError

        try:
            return await ask(self._client, what)
        except (RedisError, OSError) as error:
            raise StorageError(
                f"{self.location} cannot be read ({type(error).__name__}). Check that the server runs and that the "
                "URL's name, password and database are right; the cause of this error says more."
            ) from error

    def _connected(self) -> Any:
        try:
            from redis import asyncio as redis
        except ModuleNotFoundError as error:
            raise MissingDependencyError(
                "Reading Redis needs the redis package: pip install 'langswarm-sessions[redis]'."
            ) from error
        connect = cast("Callable[..., Any]", redis.Redis.from_url)  # pyright: ignore[reportUnknownMemberType]
        try:  # a value that is no UTF-8 must not end the reading of all
            return connect(self._url, decode_responses=True, encoding_errors="surrogateescape")
        except ValueError:
            raise ConfigurationError(f"{self.location} is not the URL of a Redis server.") from None


async def _sent(client: Any, commands: Sequence[Command]) -> list[Any]:
    pipeline = client.pipeline(transaction=False)
    for command in commands:
        pipeline.execute_command(*command)
    return cast("list[Any]", await pipeline.execute())


def _document(answer: Any) -> Mapping[str, Any] | None:
    try:
        told: object = json.loads(answer) if isinstance(answer, str) else answer
    except (ValueError, RecursionError):
        return None
    return cast("Mapping[str, Any]", told) if isinstance(told, Mapping) else None


def _without_secrets(url: str) -> str:
    """Return a URL's place: neither names and passwords nor options, which may be passwords, too."""
    parts = urlsplit(url)
    try:
        port = "" if parts.port is None else f":{parts.port}"
    except ValueError:
        port = ""
    who = "***@" if "@" in parts.netloc else ""
    return f"{parts.scheme}://{who}{parts.hostname or ''}{port}{parts.path}"
