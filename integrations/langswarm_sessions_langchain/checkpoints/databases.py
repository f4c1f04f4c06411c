"""The databases of LangGraph's own savers, opened for reading alone."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

from langgraph.checkpoint.base import Checkpoint

from langswarm_sessions.errors import ImportFormatError, InvalidInputError, MissingDependencyError, StorageError
from langswarm_sessions.records.checkpoints import Encoded
from langswarm_sessions_langchain.checkpoints.serializing import Codec
from langswarm_sessions_langchain.checkpoints.sources import GivenCheckpoint, GivenWrite, SourceId

if TYPE_CHECKING:
    import psycopg

__all__ = ["DatabaseSource", "PostgresSource", "SqliteSource"]

_IDS = "SELECT thread_id, checkpoint_id, checkpoint_ns FROM checkpoints"


class DatabaseSource(ABC):
    """A database that is read in threads.

    Args:
        codec: Decodes what it holds.
    """

    def __init__(self, codec: Codec) -> None:
        self._codec = codec

    async def ids(self) -> list[SourceId]:
        """Return the ids of all checkpoints, in order."""
        rows = await asyncio.to_thread(self._rows, _IDS, ())
        return sorted(SourceId(*map(str, row)) for row in rows)

    async def load(self, found: SourceId) -> GivenCheckpoint:
        """Return one checkpoint."""
        return await asyncio.to_thread(self._load, (found.thread_id, found.namespace, found.checkpoint_id))

    @abstractmethod
    def close(self) -> None:
        """Close the connection."""

    @abstractmethod
    def _rows(self, statement: str, values: tuple[str, ...]) -> list[tuple[Any, ...]]:
        """Return the rows of a SELECT."""

    @abstractmethod
    def _load(self, place: tuple[str, str, str]) -> GivenCheckpoint:
        """Return the checkpoint with this thread, namespace and id."""

    def _decoded(self, kind: str, data: bytes | memoryview | None) -> Any:
        return self._codec.load(Encoded(kind, bytes(data or b"")))

    def _writes(self, statement: str, place: tuple[str, str, str]) -> tuple[GivenWrite, ...]:
        return tuple(
            GivenWrite(
                task_id=task, index=index, channel=channel, value=self._decoded(kind, data), task_path=path or ""
            )
            for task, index, channel, kind, data, path in self._rows(statement, place)
        )


class SqliteSource(DatabaseSource):
    """The database of a SqliteSaver or AsyncSqliteSaver.

    Args:
        path: The file.
        codec: Decodes what it holds.

    Raises:
        InvalidInputError: There is no such file.
        ImportFormatError: It is no such database.
    """

    def __init__(self, path: str | Path, codec: Codec) -> None:
        super().__init__(codec)
        file = Path(path).expanduser()
        if not file.is_file():
            raise InvalidInputError(f"copy_from: there is no file {str(file)!r}. Check the path.")
        # Without a write-ahead log nobody writes, and a file that never changes is opened without leaving a trace.
        mode = "mode=ro" if file.with_name(f"{file.name}-wal").exists() else "mode=ro&immutable=1"
        self._connection = sqlite3.connect(f"file:{quote(str(file))}?{mode}", uri=True, check_same_thread=False)
        try:
            writes = {str(row[1]) for row in self._rows("PRAGMA table_info(writes)", ())}
            checkpoints = {str(row[1]) for row in self._rows("PRAGMA table_info(checkpoints)", ())}
        except BaseException:
            self._connection.close()
            raise
        if not {"thread_id", "checkpoint_ns", "type", "checkpoint"} <= checkpoints or "task_id" not in writes:
            self._connection.close()
            raise ImportFormatError(f"{file}: no tables of a SqliteSaver are in this file. Name its database.")
        self._path_column = "task_path" if "task_path" in writes else "''"

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _rows(self, statement: str, values: tuple[str, ...]) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise StorageError(f"The database to copy from failed ({type(error).__name__}: {error}).") from error

    def _load(self, place: tuple[str, str, str]) -> GivenCheckpoint:
        where = "WHERE thread_id = ? AND checkpoint_ns = ? AND checkpoint_id = ?"
        found = self._rows(f"SELECT parent_checkpoint_id, type, checkpoint, metadata FROM checkpoints {where}", place)
        if not found:
            raise StorageError("A checkpoint was removed from the source while it was copied. Copy again.")
        parent, kind, checkpoint, metadata = found[0]
        writes = f"SELECT task_id, idx, channel, type, value, {self._path_column} FROM writes {where}"
        return GivenCheckpoint(
            checkpoint=cast("Checkpoint", self._decoded(kind, checkpoint)),
            metadata=json.loads(metadata) if metadata else {},
            parent_id=parent,
            writes=self._writes(writes, place),
        )


class PostgresSource(DatabaseSource):
    """The database of a PostgresSaver or AsyncPostgresSaver.

    Args:
        url: Where it is.
        codec: Decodes what it holds.

    Raises:
        MissingDependencyError: psycopg is not installed.
        StorageError: It cannot be reached.
    """

    def __init__(self, url: str, codec: Codec) -> None:
        super().__init__(codec)
        try:
            import psycopg
        except ImportError as error:
            raise MissingDependencyError(
                "Copying from PostgreSQL needs psycopg. Install it with `pip install 'psycopg[binary]'`."
            ) from error
        self._errors = psycopg.Error
        try:
            self._connection: psycopg.Connection[tuple[Any, ...]] = psycopg.connect(url, autocommit=True)
            self._connection.read_only = True
            tables = self._rows("SELECT to_regclass('checkpoints'), to_regclass('checkpoint_blobs')", ())
        except psycopg.Error as error:
            raise StorageError(
                f"The database to copy from cannot be reached ({type(error).__name__}). Check its URL."
            ) from error
        if None in tables[0]:
            self._connection.close()
            raise ImportFormatError("No tables of a PostgresSaver are in this database. Check its URL.")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _rows(self, statement: str, values: tuple[str, ...]) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(cast("Any", statement), values).fetchall()
        except self._errors as error:
            raise StorageError(f"The database to copy from failed ({type(error).__name__}).") from error

    def _load(self, place: tuple[str, str, str]) -> GivenCheckpoint:
        where = "WHERE thread_id = %s AND checkpoint_ns = %s AND checkpoint_id = %s"
        found = self._rows(f"SELECT parent_checkpoint_id, checkpoint, metadata FROM checkpoints {where}", place)
        if not found:
            raise StorageError("A checkpoint was removed from the source while it was copied. Copy again.")
        parent, checkpoint, metadata = found[0]
        of_channel = (
            "SELECT b.channel, b.type, b.blob FROM checkpoints c "
            "CROSS JOIN LATERAL jsonb_each_text(c.checkpoint -> 'channel_versions') v "
            "JOIN checkpoint_blobs b ON b.thread_id = c.thread_id AND b.checkpoint_ns = c.checkpoint_ns "
            "AND b.channel = v.key AND b.version = v.value "
            "WHERE c.thread_id = %s AND c.checkpoint_ns = %s AND c.checkpoint_id = %s AND b.type <> 'empty'"
        )
        values = {channel: self._decoded(kind, data) for channel, kind, data in self._rows(of_channel, place)}
        inline: dict[str, Any] = checkpoint.get("channel_values") or {}
        writes = f"SELECT task_id, idx, channel, type, blob, task_path FROM checkpoint_writes {where}"
        return GivenCheckpoint(
            checkpoint=cast("Checkpoint", {**checkpoint, "channel_values": {**inline, **values}}),
            metadata=dict(metadata),
            parent_id=parent,
            writes=self._writes(writes, place),
        )
