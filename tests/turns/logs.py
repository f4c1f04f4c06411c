"""What the tests of sessions on a provider's log share."""

from __future__ import annotations

from collections import Counter
from typing import Any

from langswarm_sessions import Session, SessionManager, TurnState

__all__ = ["ask", "known_to_both", "log_session", "native_of"]


async def log_session(manager: SessionManager) -> Session:
    return await manager.create_session("user", "mock", "m", session_id="s", provider_config={"native": "log"})


async def ask(session: Session, text: str, streamed: bool) -> str:
    """Run a turn and return what its caller was given."""
    if not streamed:
        return (await session.send_message(text)).content
    stream = session.send_message_stream(text)
    heard = "".join([chunk async for chunk in stream])
    assert stream.message.content == heard
    return heard


async def native_of(session: Session) -> dict[str, Any]:
    """Return the native state as another process finds it."""
    record = await session._runtime.services.storage.load_session(session.session_id)
    assert record is not None
    assert record.native is not None
    return {"id": record.native.id, "suspect": record.native.suspect, "memo": dict(record.native.memo)}


async def known_to_both(session: Session) -> None:
    """What the provider holds is what the transcript has of answered turns, in order; no log holds anything twice."""
    said = [
        (str(message.role), message.content)
        for message in await session.get_messages()
        if message.status is TurnState.COMPLETED
    ]
    assert session.provider_session.seen == said
    logs: dict[str, list[tuple[str, str]]] = session.provider_session.conversations
    for lines in logs.values():
        assert [line for line, times in Counter(lines).items() if times > 1] == []
