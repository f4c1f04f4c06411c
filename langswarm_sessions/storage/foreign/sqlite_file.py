"""A SQLite file of another program, opened so that nothing of it changes and nobody has to wait for us."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

from langswarm_sessions.errors import ConfigurationError, StorageError

__all__ = ["SQLiteFile"]

_MAGIC = b"SQLite format 3\x00"
_WAL = b"\x02\x02"  # bytes 18 and 19 of a file that has a write-ahead log
_LEFT_UNFINISHED = {  # what a program that died has left must be rolled back first, and only a writer can
    "SQLITE_READONLY_ROLLBACK",
    "SQLITE_READONLY_RECOVERY",
    "SQLITE_READONLY_CANTINIT",
    "SQLITE_READONLY_CANTLOCK",
    "SQLITE_CANTOPEN",
}
_SECONDS_LOCKED = 30.0
_COPIES = 5

Stamp = tuple[int, int, bool]


class SQLiteFile:
    """Opens a file for reading.

    SQLite makes two files beside one that has a write-ahead log, also to read it, and a reader cannot take them away
    again. So the file is read without locks where no program has it open (`is_stale` tells when that ended), and as a
    copy where one died and left something to be recovered.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._unlocked: Stamp | None = None
        self._folder: TemporaryDirectory[str] | None = None

    @property
    def is_stale(self) -> bool:
        """Whether the file was written to since it was opened without locks: what was read then may be torn."""
        return self._unlocked is not None and self._unlocked != self._stamp()

    def connect(self) -> sqlite3.Connection:
        """Return a connection that cannot write.

        Raises:
            ConfigurationError: The file is not there, or is no database of SQLite.
        """
        self.close()
        head = self._head()
        has_log, wal = head[18:20] == _WAL, self._beside("-wal")
        if has_log and not self._beside("-shm").exists() and wal.exists() and wal.stat().st_size:
            return self._connect_copy()
        if has_log and (not wal.exists() or not self._beside("-shm").exists()):
            self._unlocked = self._stamp()
            return _connected(self.path, "mode=ro&immutable=1")
        connection = _connected(self.path, "mode=ro")
        try:
            connection.execute("PRAGMA schema_version").fetchone()
        except sqlite3.OperationalError as error:
            connection.close()
            if error.sqlite_errorname not in _LEFT_UNFINISHED:
                raise
            return self._connect_copy()
        return connection

    def close(self) -> None:
        """Remove what was copied."""
        self._unlocked = None
        folder, self._folder = self._folder, None
        if folder is not None:
            folder.cleanup()

    def _head(self) -> bytes:
        if not self.path.is_file():
            raise ConfigurationError(f"There is no file {self.path}. Name the database to read.")
        with self.path.open("rb") as opened:
            head = opened.read(20)
        if head and not head.startswith(_MAGIC):
            raise ConfigurationError(f"{self.path} is not a SQLite database. Name one, or give a URL.")
        return head

    def _connect_copy(self) -> sqlite3.Connection:
        self._folder = TemporaryDirectory(prefix="langswarm-sessions-")
        copy = Path(self._folder.name) / "copy.db"
        for _ in range(_COPIES):
            before = self._stamp()
            shutil.copyfile(self.path, copy)
            for name in ("-wal", "-journal"):
                beside = copy.with_name(copy.name + name)
                beside.unlink(missing_ok=True)
                if self._beside(name).exists():
                    shutil.copyfile(self._beside(name), beside)
            if before == self._stamp():
                recovering = sqlite3.connect(copy)
                recovering.execute("PRAGMA schema_version").fetchone()
                recovering.close()
                return _connected(copy, "mode=ro")
        raise StorageError(f"{self.path} is written to all the time. Read it while no program does.")

    def _beside(self, name: str) -> Path:
        return self.path.with_name(self.path.name + name)

    def _stamp(self) -> Stamp:
        """Return what changes when the file is written to, or opened to be written."""
        wal, state = self._beside("-wal"), self.path.stat()
        return state.st_mtime_ns, state.st_size, wal.exists() and bool(wal.stat().st_size)


def _connected(path: Path, mode: str) -> sqlite3.Connection:
    address = f"file:{quote(str(path))}?{mode}"
    connection = sqlite3.connect(address, uri=True, check_same_thread=False, timeout=_SECONDS_LOCKED)
    connection.text_factory = _text  # one row that is no UTF-8 must not end the reading of all
    return connection


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
