"""What a storage of six methods has no method for: refused by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Never

from langswarm_sessions.errors import StorageError
from langswarm_sessions.interfaces.storage import EngineStorage, SessionStorage
from langswarm_sessions.messages import SessionMessage
from langswarm_sessions.records import Analytics, Page, SessionFilter, SessionRecord, SessionStatus, SessionSummary

__all__ = ["SixMethodsOnly"]


class SixMethodsOnly(EngineStorage):
    """The operations of an engine storage that look at all sessions, or at the database as a whole."""

    _storage: SessionStorage

    async def insert_conversation(
        self, record: SessionRecord, messages: Sequence[SessionMessage], *, summary: SessionSummary | None = None
    ) -> SessionRecord:
        """Refuse: what is stored one after the other could be left half-stored."""
        self._refuse("import_conversation")

    async def list_sessions(self, wanted: SessionFilter) -> Page[SessionRecord]:
        """Refuse: there is no method for it."""
        self._refuse("listing and searching sessions")

    async def change_status(self, wanted: SessionFilter, status: SessionStatus, now: datetime) -> list[str]:
        """Refuse: there is no method for it."""
        self._refuse("cleaning up sessions")

    async def purge_sessions(self, deleted_before: datetime) -> list[str]:
        """Refuse: there is no method for it."""
        self._refuse("purging sessions")

    async def analytics(self, start: datetime | None, end: datetime | None) -> Analytics:
        """Refuse: there is no method for it."""
        self._refuse("get_analytics")

    async def statistics(self) -> Mapping[str, Any]:
        """Refuse: there is no method for it."""
        self._refuse("statistics")

    async def optimize(self) -> Mapping[str, Any]:
        """Refuse: there is no method for it."""
        self._refuse("optimize_storage")

    async def backup(self, path: str | Path) -> Path:
        """Refuse: there is no method for it."""
        self._refuse("backup")

    def _refuse(self, operation: str) -> Never:
        raise StorageError(
            f"{type(self._storage).__name__} cannot do this: {operation}. It has the six methods of SessionStorage "
            "only; use the sqlite or memory storage for it."
        )
