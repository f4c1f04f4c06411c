"""A storage of a user's own: two dicts."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from langswarm_sessions.interfaces.storage import SessionStorage

__all__ = ["Lists"]


class Lists(SessionStorage):
    """The least a storage can be."""

    def __init__(self) -> None:
        self.sessions: dict[str, dict[str, Any]] = {}
        self.messages: dict[str, list[dict[str, Any]]] = {}
        self.closed = 0
        self.broken = False

    async def create_session(
        self,
        session_id: str,
        user_id: str,
        provider: str,
        model: str,
        config: dict[str, Any],
        context: dict[str, Any],
    ) -> None:
        values = {"user_id": user_id, "provider": provider, "model": model, "config": config, "context": context}
        self.sessions[session_id] = json.loads(json.dumps(values))
        self.messages[session_id] = []

    async def get_session(self, session_id: str) -> dict[str, Any] | None:
        return self.sessions.get(session_id)

    async def add_message(self, session_id: str, message: dict[str, Any]) -> None:
        if self.broken:
            raise ConnectionError("no route")
        self.messages[session_id].append(json.loads(json.dumps(message)))

    async def get_messages(
        self, session_id: str, limit: int | None = None, role: str | None = None, since: datetime | None = None
    ) -> list[dict[str, Any]]:
        return self.messages[session_id][-limit if limit else 0 :]

    async def health_check(self) -> bool:
        return not self.broken

    async def close(self) -> None:
        self.closed += 1
