"""Conversations to export, and what is read of an export."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from langswarm_sessions import ImagePart, Session, SessionManager, TextPart, ToolCall, ToolResult
from langswarm_sessions.errors import ProviderUnavailableError

__all__ = ["LONG_AGO", "exported", "plain_export", "talked"]

LONG_AGO = datetime(2020, 2, 29, 12, 0, 0, 123456, UTC)


async def talked(manager: SessionManager, session_id: str = "s") -> Session:
    """Hold a conversation with a bit of everything."""
    session = await manager.create_session(
        "ada",
        "mock",
        "mock-model",
        session_id=session_id,
        strategy="client",
        provider_config={"temperature": 0.5},
        session_config={"name": "Trip", "tags": ["rome", "food"], "auto_archive_after": timedelta(days=2)},
    )
    await session.update_context({"city": "Rome", "nested": {"days": [1, 2.5, None]}})
    await session.send_message("Where?", instructions="Be brief.", metadata={"from": "app"})
    session.provider_session.set_responses([[ToolCall(id="call_1", name="clock", arguments={"zone": "CET"})], "Noon."])
    await session.send_message("What time is it?", tools=[{"name": "clock", "parameters": {"type": "object"}}])
    await session.send_tool_results([ToolResult(tool_call_id="call_1", content="12:00", is_error=False, name="clock")])
    session.provider_session.fail_next("unavailable", times=3)
    with pytest.raises(ProviderUnavailableError):
        await session.send_message("Are you there?")
    await session.add_message("user", [TextPart("Look."), ImagePart(url="https://example.org/a.png")], LONG_AGO)
    stream = session.send_message_stream("a b c d")
    async for _ in stream:
        break
    await stream.aclose()
    shown = [message.status.value for message in await session.get_messages()]
    assert {"completed", "failed", "interrupted"} <= {*shown}
    await session.update_config({"description": "Two days."})
    return session


async def exported(session: Session) -> dict[str, Any]:
    """Export a session the way a file keeps it, without the time of that."""
    data: dict[str, Any] = json.loads(json.dumps(await session.export_conversation()))
    del data["exported_at"]
    return data


def plain_export(*messages: dict[str, Any], **session: Any) -> dict[str, Any]:
    """The least an export says."""
    moment = LONG_AGO.isoformat()
    own = {"session_id": "s", "user_id": "ada", "provider": "mock", "model": "m", "created_at": moment}
    return {
        "format": "langswarm-sessions",
        "version": 1,
        "session": {**own, "last_activity": moment, **session},
        "messages": [
            {"message_id": f"m{place}", "role": "user", "timestamp": moment, **message}
            for place, message in enumerate(messages)
        ],
    }
