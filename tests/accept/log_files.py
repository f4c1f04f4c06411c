"""A mock provider whose logs outlive the process that talks to it: a file each, an item appended at a time."""

from __future__ import annotations

import os
import pickle
from io import BytesIO
from pathlib import Path

from langswarm_sessions.interfaces.provider import Completed
from langswarm_sessions.providers.mock import MockConnection
from langswarm_sessions.providers.mock.logs import LogItem, LogMemory, MockLog
from langswarm_sessions.records import NativeState

__all__ = ["OutlivingMock", "logs_in"]


class LogFile(MockLog):
    """One conversation; what is in its file is all that counts."""

    def __init__(self, folder: Path, log_id: str | None = None) -> None:
        super().__init__()
        self.id = log_id or self.id
        self._file = folder / self.id
        for item in _items(self._file):
            super()._append(item.line, item_id=item.id, answer=item.answer)

    def _append(self, line: tuple[str, str], *, item_id: str | None = None, answer: Completed | None = None) -> None:
        super()._append(line, item_id=item_id, answer=answer)
        file = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, pickle.dumps(self._items[-1]))  # one call: whole or not at all
        os.close(file)


class LogFiles(LogMemory):
    """The logs of a folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def find(self, native: NativeState) -> MockLog:
        self._load(native.id)
        return super().find(native)

    def lines(self, log_id: str) -> list[tuple[str, str]]:
        self._load(log_id)
        return super().lines(log_id)

    def _load(self, log_id: str) -> None:
        if (self._folder / log_id).exists():
            self._logs[log_id] = LogFile(self._folder, log_id)

    def _made(self) -> MockLog:
        return LogFile(self._folder)


class OutlivingMock(MockConnection):
    """The mock provider over a folder of logs."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        folder.mkdir(exist_ok=True)
        self.logs = LogFiles(folder)


def logs_in(folder: Path) -> list[list[tuple[str, str]]]:
    """Return role and text of everything in each log."""
    return [[item.line for item in _items(file)] for file in sorted(folder.iterdir())]


def _items(file: Path) -> list[LogItem]:
    if not file.exists():
        return []
    data, items = BytesIO(file.read_bytes()), list[LogItem]()
    while data.tell() < len(data.getbuffer()):
        items.append(pickle.load(data))
    return items
