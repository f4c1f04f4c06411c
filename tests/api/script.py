"""The documented API, line by line, as two scripts. Without the await words they are the blocking face's."""

from __future__ import annotations

import ast
import asyncio
import re
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from langswarm_sessions import SessionContext, SessionMessage, SessionMiddleware

__all__ = ["PARTS_SCRIPT", "names_used", "run_async", "run_blocking"]

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
copied = await manager.import_conversation(exported, session_id=f"{session.session_id}-2", user_id="somebody else")
assert copied.message_count == 12 and copied.user_id == "somebody else" and copied.config == session.config

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


# Given also: blocking, and `done`, which waits for what only the storage's own methods return. It changes the process.
PARTS_SCRIPT = """
from langswarm_sessions import (
    InMemorySessionStorage, MockProviderSession, ProviderSessionFactory, RetryPolicy, SessionManager,
    SQLiteSessionStorage, StorageFactory, add_global_lifecycle_hook, add_global_middleware, create_session_manager,
    create_simple_session, get_session_manager, session_context, set_session_manager,
)
from langswarm_sessions.interfaces import (
    IProviderSession, ISession, ISessionLifecycleHook, ISessionManager, ISessionMiddleware, ISessionStorage,
    ProviderSession, SessionConfig, SessionContext, SessionLifecycleHook, SessionMessage, SessionMetrics,
    SessionMiddleware, SessionStatus, SessionStorage,
)
from langswarm_sessions.storage import SQLiteSessionStorage as SameStorage
from langswarm_sessions.providers import MockProviderSession as SameProvider

assert SameStorage is SQLiteSessionStorage and SameProvider is MockProviderSession
assert (IProviderSession, ISessionStorage) == (ProviderSession, SessionStorage)
assert (ISessionMiddleware, ISessionLifecycleHook) == (SessionMiddleware, SessionLifecycleHook)

class Heard(SessionLifecycleHook):
    def __init__(self):
        self.points = []
    async def on_session_created(self, session_id, user_id, provider, model):
        self.points.append(("created", session_id, user_id, provider, model))
    async def on_message_sent(self, session_id, message):
        self.points.append(("sent", session_id, message.content))
    async def on_session_archived(self, session_id):
        self.points.append(("archived", session_id))
    async def on_session_restored(self, session_id):
        self.points.append(("restored", session_id))
    async def on_session_deleted(self, session_id):
        self.points.append(("deleted", session_id))
    async def on_session_rebuilt(self, session_id):
        self.points.append(("rebuilt", session_id))
    async def on_session_error(self, session_id, error):
        self.points.append(("error", session_id, type(error).__name__))

heard, everywhere = Heard(), Heard()
manager.add_lifecycle_hook(heard)
add_global_lifecycle_hook(everywhere)
manager.add_middleware(Appending("!"))
add_global_middleware(Appending("?"))
session = await manager.create_session(user, "mock", "mock-model", session_id="heard")
assert (await done(MockProviderSession().send_message("hi"))).content == "Mock response to: hi"
assert (await session.send_message("hi")).content == "Mock response to: hi?!!?"
session.provider_session.forget()
await session.send_message("again")
session.provider_session.fail_next("auth")
try:
    await session.send_message("no")
except Exception as error:
    assert type(error).__name__ == "AuthenticationError"
await session.archive()
await session.restore()
await session.delete()
assert heard.points == everywhere.points == [
    ("created", "heard", user, "mock", "mock-model"), ("sent", "heard", "Mock response to: hi?!!?"),
    ("rebuilt", "heard"), ("sent", "heard", "Mock response to: again?!!?"), ("error", "heard", "AuthenticationError"),
    ("archived", "heard"), ("restored", "heard"), ("deleted", "heard"),
]
assert isinstance(await manager.optimize_storage(), dict)

async with session_context(manager, user, "mock", "mock-model", session_id="block") as session:
    await session.send_message("hi")
assert (await manager.get_session("block")).message_count == 2
session = await create_simple_session(
    user_id=user, provider="mock", model="mock-model", storage="memory", blocking=blocking)
async with session:
    await session.send_message("hi")

set_session_manager(manager)
assert get_session_manager() is (manager.manager if blocking else manager)
set_session_manager(None)

storage = SQLiteSessionStorage(
    db_path="parts/own.db", pool_size=1, max_overflow=0, pool_timeout=5, enable_wal=True, auto_vacuum=True,
    durability="full", backup_enabled=True)
ProviderSessionFactory.register_provider("documented-echo", Echo)
own = create_session_manager(
    storage=storage, storage_config={}, providers={"mock": None, "documented-echo": None}, preset=None,
    strategy="hybrid", middleware=[], hooks=[], cleanup_config={"archive_after_days": 30}, retry=RetryPolicy(),
    turn_wait=30, fallback=None, telemetry=True, blocking=blocking)
async with own:
    session = await own.create_session(user, "documented-echo", "e")
    assert (await session.send_message("hi")).content == "echo hi??"
assert (await done(storage.get_database_stats()))["sessions"] == 1
assert isinstance(await done(storage.optimize_database()), dict)
assert (await done(storage.backup("parts/copy.db"))).exists()
await done(storage.close())

StorageFactory.register("documented-storage", InMemorySessionStorage)
assert isinstance(StorageFactory.create(backend="documented-storage", config={}), InMemorySessionStorage)
own = create_session_manager(storage="documented-storage", blocking=blocking)
session = await own.create_session(user, "mock", "mock-model")
await session.close()
await own.close()
assert isinstance(SessionManager(storage="memory", providers={}), SessionManager)
"""


class Appending(SessionMiddleware):
    """Appends a mark to every message."""

    def __init__(self, mark: str) -> None:
        self.mark = mark

    async def process_message(self, session_id: str, message: SessionMessage, context: SessionContext) -> None:
        message.content += self.mark


class Echo:
    """A provider of a user's own."""

    provider_session_id: str | None = None

    def __init__(self, session_id: str, model: str, config: dict[str, Any]) -> None:
        self.known_as = session_id

    async def send_message(self, content: str, role: str, metadata: dict[str, Any] | None) -> str:
        return f"echo {content}"

    async def get_provider_metadata(self) -> dict[str, Any]:
        return {}

    async def update_provider_config(self, config: dict[str, Any]) -> None: ...

    async def cleanup_provider_resources(self) -> None: ...


async def run_async(manager: Any, user: str, script: str = SCRIPT) -> None:
    """Run a script as it is written."""
    code = compile(script, "script", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    await eval(code, {**_GIVEN, "manager": manager, "user": user, "blocking": False, "done": asyncio.ensure_future})


def run_blocking(manager: Any, user: str, script: str = SCRIPT) -> None:
    """Run a script without its await words."""
    code = compile(re.sub(r"\b(await|async) ", "", script), "script", "exec", dont_inherit=True)

    def done(work: Coroutine[Any, Any, Any]) -> Any:
        return manager.bridge.call(lambda: work)

    exec(code, {**_GIVEN, "manager": manager, "user": user, "blocking": True, "done": done})


def names_used() -> set[str]:
    """Return every name, attribute and argument the scripts and their parts use."""
    used: set[str] = set()
    for source in (SCRIPT, PARTS_SCRIPT, Path(__file__).read_text(encoding="utf-8")):
        code = compile(source, "script", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST)
        for node in ast.walk(code):
            for field in ("id", "attr", "arg", "name"):
                if isinstance(name := getattr(node, field, None), str):
                    used.add(name)
    return used


_GIVEN: dict[str, Any] = {"Appending": Appending, "Echo": Echo}
