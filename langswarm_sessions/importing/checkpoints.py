"""Threads of LangGraph's checkpointers."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

from langswarm_sessions.errors import ConfigurationError, ImportFormatError
from langswarm_sessions.importing.checkpoint_values import MISSING, fields_of, folded, unpacked
from langswarm_sessions.importing.formats import assembler_of
from langswarm_sessions.importing.rows import digest_of, moment_of
from langswarm_sessions.importing.source import Assembler, ImportSource, SourceEntry, SourceSurvey

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from langswarm_sessions.storage.foreign.checkpoints import StoredCheckpoint
    from langswarm_sessions.storage.foreign.database import ForeignDatabase

__all__ = ["CheckpointSource"]

_COLUMNS = {"thread_id", "checkpoint_ns", "checkpoint_id", "parent_checkpoint_id", "checkpoint"}
_NO_MESSAGES = "the thread's newest checkpoint has no messages"


class CheckpointSource(ImportSource):
    """The threads of a database of LangGraph's `SqliteSaver` or `PostgresSaver`, or of their async twins.

    A thread becomes a session: the messages of its newest checkpoint are the transcript. Other channels are no part of
    it; to keep running the graph, copy the checkpoints themselves with `SessionCheckpointSaver`. Values are read as
    plain data: nothing pickled is read, and no class is constructed that the database names.

    Args:
        url: The database's SQLAlchemy URL.
        channel: The channel that holds the messages.

    Raises:
        ConfigurationError: `url` is none.
        MissingDependencyError: The database's driver is not installed.

    Example:
        >>> source = CheckpointSource("sqlite:///checkpoints.db")
    """

    def __init__(self, url: str, *, channel: str = "messages") -> None:
        from langswarm_sessions.storage.foreign.database import ForeignDatabase

        self._url = url
        self._channel = channel
        self._database: ForeignDatabase | None = ForeignDatabase(url)
        self._location = self._database.name
        self._is_split: bool | None = None

    def __repr__(self) -> str:
        """Name the place, no password."""
        return f"CheckpointSource({self._location!r})"

    @staticmethod
    def fits(table: str, columns: Sequence[str]) -> bool:
        """Whether a table is the main one of a checkpointer."""
        return table == "checkpoints" and {*columns} >= _COLUMNS

    async def survey(self) -> SourceSurvey:
        """Look at what there is."""
        from langswarm_sessions.storage.foreign.checkpoints import count_threads

        tables = await self._opened().columns()
        if not self.fits("checkpoints", tables.get("checkpoints", ())):
            raise ConfigurationError(f"{self._location} has no LangGraph checkpoints.")
        self._is_split = "checkpoint_blobs" in tables
        return SourceSurvey(
            kind="LangGraph checkpoints, channel",
            name=self._channel,
            location=self._location,
            sessions=await self._opened().read(count_threads),
        )

    async def pages(self, start: Any = None) -> AsyncGenerator[Sequence[SourceEntry]]:
        """Yield the messages of each thread."""
        from langswarm_sessions.storage.foreign.checkpoints import thread_ids

        if self._is_split is None:
            await self.survey()
        after: str | None = None
        while page := await self._opened().read(thread_ids, after):
            for thread_id in page:
                yield await self._opened().read(self._read, thread_id)
            after = page[-1]

    def assembler(self) -> Assembler:
        """Return what makes messages of rows."""
        return assembler_of("langchain")

    async def close(self) -> None:
        """Close the database."""
        database, self._database = self._database, None
        if database is not None:
            await database.close()

    def _opened(self) -> ForeignDatabase:
        from langswarm_sessions.storage.foreign.database import ForeignDatabase

        if self._database is None:
            self._database = ForeignDatabase(self._url)
        return self._database

    def _read(self, connection: Connection, thread_id: str) -> Sequence[SourceEntry]:
        """Return a thread's messages as rows, or one without a key that says why there are none."""
        from langswarm_sessions.storage.foreign.checkpoints import newest_checkpoint

        try:
            newest = newest_checkpoint(connection, thread_id, self._channel, is_split=bool(self._is_split))
            messages, ts = (MISSING, None) if newest is None else self._messages(connection, thread_id, newest)
            if not isinstance(messages, list):
                raise ImportFormatError(_NO_MESSAGES)
        except ImportFormatError as error:
            return (SourceEntry(session_id=thread_id, key="", digest="", problem=str(error)),)
        moment = moment_of(ts)
        entries = [
            SourceEntry(session_id=thread_id, key=key, digest=digest_of(data), data=data, time=moment)
            for key, data in _keyed(cast("Sequence[Any]", messages))
        ]
        return entries or (SourceEntry(session_id=thread_id, key="", digest="", problem=_NO_MESSAGES),)

    def _messages(self, connection: Connection, thread_id: str, newest: StoredCheckpoint) -> tuple[Any, str | None]:
        """Return a checkpoint's messages, and its time.

        A channel that is kept as what was written to it is put together from the newest checkpoint before that has it
        whole, and what was written since.
        """
        from langswarm_sessions.storage.foreign.checkpoints import checkpoint, writes_to

        value, ts = self._value(newest)
        written: list[list[Any]] = []
        seen, at = {newest.checkpoint_id}, newest
        while value is MISSING and at.parent_id is not None and at.parent_id not in seen:
            seen.add(at.parent_id)
            before = checkpoint(connection, thread_id, at.parent_id, self._channel, is_split=bool(self._is_split))
            if before is None:
                break
            at = before
            writes = writes_to(connection, thread_id, at.checkpoint_id, self._channel, is_split=bool(self._is_split))
            written.append([unpacked(*write) for write in writes])
            value, _ = self._value(at)
        if not any(written):
            return value, ts
        return folded(value, (write for batch in reversed(written) for write in batch)), ts

    def _value(self, found: StoredCheckpoint) -> tuple[Any, str | None]:
        """Return what a checkpoint has of the channel, MISSING if nothing, and its time."""
        channel = found.channel
        if channel.whole is None:
            value = MISSING if channel.own is None else unpacked(*channel.own)
            is_plain = value is MISSING and channel.inline is not None
            return (channel.inline if is_plain else value), found.ts
        told = unpacked(*channel.whole)
        if not isinstance(told, dict):
            raise ImportFormatError("the checkpoint is damaged")
        whole = cast("dict[str, Any]", told)
        values: dict[str, Any] = whole.get("channel_values") or {}
        return values.get(self._channel, MISSING), whole.get("ts")


def _keyed(messages: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    """Yield messages under their ids; one without, or with that of another, under its place."""
    times: Counter[str] = Counter()
    for place, message in enumerate(messages):
        identity = str(fields_of(message).get("id") or f"#{place}")
        times[identity] += 1
        yield (identity if times[identity] == 1 else f"{identity}#{times[identity]}"), message
