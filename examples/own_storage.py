"""A storage of your own: six methods. Run: python examples/own_storage.py"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

from langswarm_sessions import create_session_manager
from langswarm_sessions.interfaces import SessionStorage


class DictStorage(SessionStorage):
    """Keeps sessions and messages in two dicts. Everything that reaches it is plain, JSON-ready data."""

    def __init__(self) -> None:
        self.sessions: dict[str, dict[str, Any]] = {}
        self.messages: dict[str, list[dict[str, Any]]] = {}

    async def create_session(
        self, session_id: str, user_id: str, provider: str, model: str, config: dict[str, Any], context: dict[str, Any]
    ) -> None:
        """Store a new session."""
        session = {"session_id": session_id, "user_id": user_id, "provider": provider, "model": model}
        self.sessions[session_id] = {**session, "config": config, "context": context}
        self.messages[session_id] = []

    async def get_session(self, session_id: str) -> dict[str, Any] | None:
        """Return what `create_session` was given, or None."""
        return self.sessions.get(session_id)

    async def add_message(self, session_id: str, message: dict[str, Any]) -> None:
        """Append a message."""
        self.messages[session_id].append(message)

    async def get_messages(
        self, session_id: str, limit: int | None = None, role: str | None = None, since: datetime | None = None
    ) -> list[dict[str, Any]]:
        """Return the newest `limit` messages, oldest first."""
        found = [message for message in self.messages[session_id] if role in (None, message["role"])]
        return found if limit is None else found[-limit:]

    async def health_check(self) -> bool:
        """Say whether it works."""
        return True

    async def close(self) -> None:
        """Release what is held: nothing."""


async def main() -> None:
    storage = DictStorage()  # with six methods turns are ordered within this process only; a warning says so once
    async with create_session_manager(storage=storage) as manager:
        session = await manager.create_session("ada", "mock", "mock-model", session_id="first")
        print((await session.send_message("Where is this kept?")).content)
    print(f"in the dict: {[(message['role'], message['content']) for message in storage.messages['first']]}")


asyncio.run(main())
