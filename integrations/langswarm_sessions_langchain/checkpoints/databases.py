"""The databases of LangGraph's own savers, opened for reading alone."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from abc import ABC, abstractmethod
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

from langgraph.checkpoint.base import Checkpoint
from langgraph.checkpoint.serde.types import TASKS

from langswarm_sessions.errors import ImportFormatError, InvalidInputError, MissingDependencyError, StorageError
from langswarm_sessions.records.checkpoints import Encoded
from langswarm_sessions_langchain.checkpoints.serializing import Codec
from langswarm_sessions_langchain.checkpoints.sources import GivenCheckpoint, GivenWrite, SourceId

if TYPE_CHECKING:
    import psycopg

__all__ = ["DatabaseSource", "PostgresSource", "SqliteSource"]

_SENDS_ARE_CHANNELS = 4  # the form of checkpoints from which on; before, they are their parent's writes
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
        self._file = Path(path).expanduser()
        if not self._file.is_file():
            raise InvalidInputError(f"source: there is no file {str(self._file)!r}. Check the path.")
        self._at_rest = self._state_at_rest()
        self._connection = self._connected()
        with ExitStack() as failing:
            failing.callback(self._connection.close)
            writes = {str(row[1]) for row in self._rows("PRAGMA table_info(writes)", ())}
            checkpoints = {str(row[1]) for row in self._rows("PRAGMA table_info(checkpoints)", ())}
            if not {"thread_id", "checkpoint_ns", "type", "checkpoint"} <= checkpoints or "task_id" not in writes:
                raise ImportFormatError(f"{self._file}: this file has no tables of a SqliteSaver. Name it.")
            failing.pop_all()
        self._path_column = "task_path" if "task_path" in writes else "''"

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _connected(self) -> sqlite3.Connection:
        # A file that nobody writes to is opened without leaving a trace beside it.
        mode = "mode=ro" if self._at_rest is None else "mode=ro&immutable=1"
        return sqlite3.connect(f"file:{quote(str(self._file))}?{mode}", uri=True, check_same_thread=False)

    def _state_at_rest(self) -> tuple[int, int] | None:
        """Return what changes when somebody writes to the file; None while somebody has it open to write."""
        logs = (self._file.with_name(f"{self._file.name}-{kind}") for kind in ("wal", "journal"))
        if any(log.exists() for log in logs):
            return None
        found = self._file.stat()
        return found.st_mtime_ns, found.st_size

    def _rows(self, statement: str, values: tuple[str, ...]) -> list[tuple[Any, ...]]:
        try:
            rows = self._connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            if self._at_rest == self._state_at_rest():
                raise StorageError(f"The database to copy from failed ({type(error).__name__}: {error}).") from error
            rows = None
        if self._at_rest is None or (rows is not None and self._at_rest == self._state_at_rest()):
            return rows or []
        self._connection.close()  # somebody writes by now: read it again, with locks
        self._at_rest = None
        self._connection = self._connected()
        return self._rows(statement, values)

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
        except psycopg.Error as error:
            raise StorageError(
                f"The database to copy from cannot be reached ({type(error).__name__}). Check its URL."
            ) from error
        with ExitStack() as failing:
            failing.callback(self._connection.close)
            self._connection.read_only = True
            tables = self._rows("SELECT to_regclass('checkpoints'), to_regclass('checkpoint_blobs')", ())
            if None in tables[0]:
                raise ImportFormatError("No tables of a PostgresSaver are in this database. Check its URL.")
            failing.pop_all()

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
        whole: dict[str, Any] = {**checkpoint, "channel_values": {**inline, **values}}
        if parent is not None and checkpoint["v"] < _SENDS_ARE_CHANNELS:
            self._add_sends(whole, (place[0], place[1], parent))
        writes = f"SELECT task_id, idx, channel, type, blob, task_path FROM checkpoint_writes {where}"
        return GivenCheckpoint(
            checkpoint=cast("Checkpoint", whole),
            metadata=dict(metadata),
            parent_id=parent,
            writes=self._writes(writes, place),
        )

    def _add_sends(self, checkpoint: dict[str, Any], parent: tuple[str, str, str]) -> None:
        """Give a checkpoint of an old form the sends that wait in it, as a PostgresSaver does when it reads one."""
        statement = (
            "SELECT type, blob FROM checkpoint_writes WHERE thread_id = %s AND checkpoint_ns = %s "
            f"AND checkpoint_id = %s AND channel = '{TASKS}' ORDER BY task_path, task_id, idx"
        )
        sends = [self._decoded(kind, data) for kind, data in self._rows(statement, parent)]
        if sends:
            versions: dict[str, Any] = checkpoint["channel_versions"]
            checkpoint["channel_values"][TASKS] = sends
            versions[TASKS] = max(versions.values(), default="1")
