"""The file of spans: one line of JSON each, written by any number of processes, of a bounded size."""

from __future__ import annotations

import contextlib
import enum
import errno
import logging
import os
import stat
from collections import OrderedDict
from collections.abc import Generator
from pathlib import Path
from typing import Final

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span

from langswarm_sessions_otel import semconv
from langswarm_sessions_otel.process.forks import start_over_in_child
from langswarm_sessions_otel.reading.files import put_aside
from langswarm_sessions_otel.reading.records import line_of, record_of
from langswarm_sessions_otel.sdk.local import LocalProcessor

try:
    import fcntl
except ImportError:  # Windows, where a file that others have open cannot be renamed either
    fcntl = None  # type: ignore[assignment]

_logger = logging.getLogger("langswarm_sessions.telemetry")
_MOST_OPEN_TURNS: Final = 1024
_ROOM_MEANWHILE: Final = 10_000_000  # bytes, for what others write until the one that puts the file aside has done so
_WITHOUT_WAITING: Final = getattr(os, "O_NONBLOCK", 0)  # for somebody who reads, where it is a pipe
_OF_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class SpanFileProcessor(LocalProcessor):
    """Appends a line of JSON for each span as it ends, so that a killed process leaves all that it finished.

    A turn has lines before its end as well: one as it begins, and one as soon as its number is known. The last of its
    lines holds; if that is not its end, the turn was killed, or is still going on.

    Several processes may write to one file: every line is one append. When it has grown to its limit, one of them
    renames it, in place of the one before, and all go on with a new one.

    Args:
        path: The file; it and its folder are made. It is kept readable by the user alone, for it may hold content.
        limit: Bytes after which the file is renamed.

    Raises:
        OSError: The file cannot be opened for writing.
    """

    def __init__(self, path: Path, *, limit: int) -> None:
        super().__init__(str(path))
        self._path = path.absolute()
        self._limit = limit
        self._turns: OrderedDict[int, Span] = OrderedDict()
        self._is_torn = False
        self._is_busy = False
        self._left: list[int] = []  # files to close: one that a line is on its way to stays open until it is there
        self._file: int | None = open_span_file(self._path)
        for kept in (self._path, put_aside(self._path)):
            _keep_private(kept)
        start_over_in_child(self)

    def start_over(self) -> None:
        """Begin a forked child with a file of its own, and without the turns of its parent: they end there."""
        self._turns.clear()
        self._is_busy = False
        if self._file is not None:
            with contextlib.suppress(OSError):  # else it writes to its parent's
                self._go_on_with(open_span_file(self._path))  # a lock on its parent's would be the child's as well

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Write that a turn has begun, and its number when something of it begins later."""
        if span.attributes is not None and semconv.SESSION_OPERATION in span.attributes:
            self._attempt(self._write_begun, span)
        elif self._turns and span.parent is not None:
            turn = self._turns.get(span.parent.span_id)
            if turn is not None and turn.attributes is not None and semconv.TURN_INDEX in turn.attributes:
                self._forget(turn)
                self._attempt(self._write, turn)

    def on_end(self, span: ReadableSpan) -> None:
        """Write an ended span."""
        self._forget(span)
        super().on_end(span)

    def shutdown(self) -> None:
        """Close the file."""
        with self._lock:
            left, self._file = self._file, None
            if left is not None:
                self._left.append(left)
            self._close_left()

    def _write_begun(self, span: Span) -> None:
        with self._lock:
            self._turns[span.get_span_context().span_id] = span
            while len(self._turns) > _MOST_OPEN_TURNS:
                self._turns.popitem(last=False)
        self._write(span)

    def _forget(self, span: ReadableSpan) -> None:
        if self._turns and span.context is not None:
            self._turns.pop(span.context.span_id, None)

    def _write(self, span: ReadableSpan) -> None:
        line = line_of(record_of(span)).encode("utf-8", errors="replace")
        with self._lock:
            if self._file is None:
                return
            # The handler of a signal may end a span, or shut down, on this thread in the middle of what follows.
            is_within, self._is_busy = self._is_busy, True
            try:
                self._append(self._current(self._file, len(line)), line)
            finally:
                self._is_busy = is_within
                self._close_left()

    def _go_on_with(self, file: int) -> None:
        """Write to another file, unless it was shut down meanwhile."""
        # At once: a handler of a signal in between would leave the same file again, and one be closed twice.
        left, self._file = self._file, None if self._file is None else file
        self._left.append(file if left is None else left)

    def _close_left(self) -> None:
        if self._is_busy:
            return
        left, self._left = self._left, []  # at once, as well
        for file in left:
            os.close(file)

    def _append(self, file: int, line: bytes) -> None:
        whole = b"\n" + line if self._is_torn else line
        written = os.write(file, whole)
        self._is_torn = written < len(whole)
        if self._is_torn:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _current(self, file: int, more: int) -> int:
        """Return the file to write to, after others or we have put one aside."""
        size, room = os.fstat(file).st_size + more, self._limit
        if size > self._limit:
            with _locked(file) as lock, contextlib.suppress(PermissionError):
                if lock is _Lock.HAD and self._is_ours(file):  # else another process was faster
                    self._path.replace(put_aside(self._path))
            room += _ROOM_MEANWHILE if lock is _Lock.HELD else 0
        if self._is_ours(file):
            if size > self._limit + room:
                raise OSError(errno.EFBIG, "it is full, and cannot be renamed")
        else:
            file = open_span_file(self._path)
            self._go_on_with(file)
        return file

    def _is_ours(self, file: int) -> bool:
        try:
            return os.path.samestat(os.stat(self._path), os.fstat(file))
        except FileNotFoundError:
            return False


def open_span_file(path: Path) -> int:
    """Open a span file to append to it; it and its folder are made if they are not there.

    Args:
        path: The file.

    Returns:
        Its descriptor.

    Raises:
        OSError: It cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path.parent)) from None
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | _WITHOUT_WAITING, 0o600)


def _keep_private(path: Path) -> None:
    """Take a file that was there before from the eyes of others: spans may hold what was said."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode) and mode & _OF_OTHERS:
            path.chmod(stat.S_IMODE(mode) & ~_OF_OTHERS)
    except FileNotFoundError:
        return
    except OSError as error:
        _logger.warning("others may read the spans in %s: it stays as open as it is (%s)", path, error.strerror)


class _Lock(enum.Enum):
    HAD = enum.auto()
    HELD = enum.auto()
    """By another process, which is about to put the file aside."""
    NONE = enum.auto()


@contextlib.contextmanager
def _locked(file: int) -> Generator[_Lock]:
    """Keep other processes from putting the same file aside; the lock ends with the process at the latest.

    Whoever holds it, it is not waited for: a turn would wait with it.

    Yields:
        Whether it was had, which it is as well where there are none.
    """
    if fcntl is None:
        yield _Lock.HAD
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        yield _Lock.HELD if isinstance(error, BlockingIOError) else _Lock.NONE
        return
    try:
        yield _Lock.HAD
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)
