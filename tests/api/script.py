"""The documented API, line by line, as one script. Without the await words it is the blocking face's."""

from __future__ import annotations

import ast
import re
from typing import Any

__all__ = ["run_async", "run_blocking"]

# Given: manager, and user (nobody else's).
SCRIPT = """
from datetime import UTC, datetime, timedelta
from langswarm_sessions import SessionMessage, SessionNotFoundError, SessionStatus, ToolCall

events = manager.session_events()
session = await manager.create_session(
    user, "mock", "mock-model",
    provider_config={"temperature": 0.5, "max_tokens": 100, "assistant_id": "a", "agent_id": "b",
        "thread_metadata": {"k": "v"}, "conversation_metadata": {"k": "v"}, "base_url": "http://localhost"},
    session_config={"name": "A name", "description": "for tests", "tags": ["one", "two"], "max_messages": 100,
        "auto_archive_after": timedelta(days=30)},
    strategy="hybrid", session_id=f"{user}-1",
)
same = await manager.get_session(session.session_id)
assert same.session_id == session.session_id == f"{user}-1"
try:
    await manager.get_session("no such session")
except SessionNotFoundError as error:
    assert error.session_id == "no such session"
else:
    raise AssertionError("it was found")

assert (session.user_id, session.provider, session.model) == (user, "mock", "mock-model")
assert session.status == "active" and session.status is SessionStatus.ACTIVE and f"{session.status}" == "active"
assert session.message_count == 0
assert session.created_at.utcoffset() == session.last_activity.utcoffset() == timedelta(0)
assert session.config.name == "A name" and list(session.config.tags) == ["one", "two"]
assert session.provider_session_id is None
assert session.provider_session is not None

reply = await session.send_message("hi", metadata={"k": "v"}, tools=None, idempotency_key=None, timeout=None)
assert isinstance(reply, SessionMessage)
assert reply.content == "Mock response to: hi" and reply.role == "assistant" and reply.status == "completed"
assert reply.message_id and reply.session_id == session.session_id and reply.timestamp.tzinfo is UTC
assert reply.metadata == {} and reply.provider_message_id and reply.tool_calls == [] and len(reply.parts) == 1
assert reply.provider_metadata["model"] == "mock-model" and reply.provider_metadata["finish_reason"] == "stop"
assert reply.provider_metadata["usage"]["total_tokens"] > 0 and "request_id" in reply.provider_metadata
assert session.provider_session_id is not None
assert session.message_count == 2 and session.last_activity >= session.created_at

stream = session.send_message_stream("hi")
chunks = []
async for chunk in stream:
    chunks.append(chunk)
assert "".join(chunks) == stream.message.content == "Mock response to: hi"

session.provider_session.set_responses([[ToolCall(id="c1", name="clock", arguments={})], "noon"])
asked = await session.send_message("time?", tools=[{"name": "clock", "parameters": {"type": "object"}}])
assert [call.name for call in asked.tool_calls] == ["clock"]
told = await session.send_tool_results([{"tool_call_id": "c1", "content": "12:00"}])
assert told.content == "noon"

await session.send_system_message("Be brief.")
added = await session.add_message("user", "from elsewhere", timestamp=datetime(2020, 1, 1))
assert added.timestamp == datetime(2020, 1, 1).astimezone(UTC)
session.provider_session.set_response_pattern("custom: {input}")
assert (await session.send_message("x")).content == "custom: x"

messages = await session.get_messages()
assert isinstance(messages, list) and len(messages) == 12
assert [message.seq for message in messages] == sorted(message.seq for message in messages)
assert [message.content for message in await session.get_messages(limit=2)] == ["x", "custom: x"]
assert {message.role for message in await session.get_messages(role="tool")} == {"tool"}
assert len(await session.get_messages(start_time=session.created_at)) == 11
assert len(await session.get_messages(since=session.created_at)) == 11
assert len(await session.get_messages(end_time=datetime(2021, 1, 1))) == 1
older = await session.get_messages(limit=2, cursor=(await session.get_messages(limit=2)).next_cursor)
assert [message.content for message in older] == ["Be brief.", "from elsewhere"]
found = await session.get_message(reply.message_id)
assert found == reply

exported = await session.export_conversation(format="json")
assert exported["session"]["session_id"] == session.session_id and len(exported["messages"]) == 12

await session.update_context({"k": 1, "nested": {"a": 1}})
await session.update_context({"other": 2, "nested": {"b": 2}})
ctx = await session.get_context()
assert ctx.get("k", None) == 1 and ctx.get("missing", "default") == "default"
assert ctx.user_context["k"] == 1 and ctx.user_context == {"k": 1, "nested": {"b": 2}, "other": 2}
ctx.user_context["k"] = 5
assert (await session.get_context()).get("k") == 1
await session.update_config({"tags": ["three"], "name": "Another name"})
assert list(session.config.tags) == ["three"] and session.config.description == "for tests"
metadata = await session.get_provider_metadata()
assert metadata["provider"] == "mock" and metadata["provider_session_id"] == session.provider_session_id

m = await session.get_metrics()
assert (m.total_messages, m.user_messages, m.assistant_messages) == (12, 5, 5)
assert m.avg_response_time_ms > 0 and m.total_tokens > 0 and m.session_duration >= timedelta(0)
assert m.retries == 0 and m.rebuilds == 0

await manager.send_message(session.session_id, "by id")
second = await manager.create_session(user, "mock", "mock-model")
assert [one.session_id for one in await manager.get_user_sessions(user)] == [second.session_id, session.session_id]
assert len(await manager.get_user_sessions(user, status="active")) == 2
assert len(await manager.get_user_sessions(user, since=session.created_at)) == 2
page = await manager.get_user_sessions(user, limit=1)
rest = await manager.get_user_sessions(user, cursor=page.next_cursor)
assert [one.session_id for one in rest] == [session.session_id]
assert [one.session_id for one in await manager.search_sessions(user_id=user, tags=["three"])] == [session.session_id]
assert len(await manager.search_sessions(user_id=user, text="ANOTHER")) == 1
assert len(await manager.search_sessions(user_id=user, provider="mock", status="active")) == 2

await manager.archive_session(second.session_id)
assert [one.session_id for one in await manager.get_user_sessions(user, status="archived")] == [second.session_id]
await manager.restore_session(second.session_id)
await second.archive()
await second.restore()
assert second.status == "active"
await second.delete()
assert len(await manager.get_user_sessions(user)) == 1
await manager.restore_session(second.session_id)
await manager.delete_session(second.session_id)
assert [one.session_id for one in await manager.get_user_sessions(user, status="deleted")] == [second.session_id]

analytics = await manager.get_analytics(start_date=session.created_at, end_date=None)
assert analytics.total_sessions >= 1 and analytics.active_users >= 1 and analytics.avg_messages_per_session > 0
assert analytics.model_usage["mock-model"] >= 6 and analytics.provider_usage["mock"] >= 6
assert analytics.total_tokens > 0 and analytics.avg_response_time_ms > 0
assert await manager.cleanup_inactive_sessions(30) == 0
assert await manager.cleanup_archived_sessions(30) == 0
assert await manager.cleanup_deleted_sessions(30) == 0
assert (await manager.health_check())["status"] == "healthy"

await session.clear_messages()
assert await session.get_messages() == [] and session.message_count == 0

seen = []
async for event in events:
    if event.user_id == user:
        seen.append((event.type, event.session_id))
        assert event.message_preview is None or len(event.message_preview) <= 100
        assert event.timestamp.tzinfo is UTC
    if event.type == "session_deleted" and event.user_id == user and len(seen) > 12:
        break
assert seen[:2] == [("session_created", session.session_id), ("message_sent", session.session_id)]
assert [kind for kind, _ in seen].count("message_sent") == 6
"""


async def run_async(manager: Any, user: str) -> None:
    """Run the script as it is written."""
    code = compile(SCRIPT, "script", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    names: dict[str, Any] = {"manager": manager, "user": user}
    await eval(code, names)


def run_blocking(manager: Any, user: str) -> None:
    """Run the script without its await words."""
    code = compile(re.sub(r"\b(await|async) ", "", SCRIPT), "script", "exec", dont_inherit=True)
    names: dict[str, Any] = {"manager": manager, "user": user}
    exec(code, names)
