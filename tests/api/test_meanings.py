"""What the documented calls mean, where two readings are possible."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import langswarm_sessions
from langswarm_sessions import (
    ConfigurationError,
    InMemorySessionStorage,
    InvalidInputError,
    Session,
    SessionExistsError,
    SessionManager,
    SessionMessage,
    SessionNotFoundError,
    SessionStatus,
    SQLiteSessionStorage,
    StorageFactory,
    create_session_manager,
    get_session_manager,
    interfaces,
    set_session_manager,
)
from langswarm_sessions.messages import Role
from tests.session.kit import OpenManager, rows_of, threads_left


async def test_naive_times_mean_local_time_and_returned_ones_are_utc(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time

    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        noon = await session.add_message("user", "noon in Tokyo", timestamp=datetime(2024, 5, 1, 12))
        await session.add_message("user", "later", timestamp=datetime(2024, 5, 1, 5, tzinfo=UTC))
        assert noon.timestamp == datetime(2024, 5, 1, 3, tzinfo=UTC)
        assert noon.timestamp.tzinfo is UTC
        naive = datetime(2024, 5, 1, 13)
        assert [message.content for message in await session.get_messages(end_time=naive)] == ["noon in Tokyo"]
        assert [message.content for message in await session.get_messages(since=naive)] == ["later"]
        assert [message.content for message in await session.get_messages(start_time=naive)] == ["later"]
        assert (
            SessionMessage(role=Role.USER, content="x", timestamp=datetime(2024, 5, 1, 12)).timestamp == noon.timestamp
        )
    finally:
        monkeypatch.undo()
        time.tzset()


async def test_since_and_start_time_together_take_the_later(session: Session) -> None:
    for day in (1, 2, 3):
        await session.add_message("user", str(day), timestamp=datetime(2024, 1, day, tzinfo=UTC))
    second, third = (datetime(2024, 1, day, tzinfo=UTC) for day in (2, 3))
    assert [m.content for m in await session.get_messages(since=third, start_time=second)] == ["3"]
    assert [m.content for m in await session.get_messages(since=second, end_time=second)] == ["2"]


def test_enums_print_and_compare_as_their_values() -> None:
    active: str = SessionStatus.ACTIVE
    assert active == "active"
    assert f"{SessionStatus.DELETED}" == "deleted"
    assert f"{Role.TOOL}" == "tool"
    assert SessionMessage(role="user", content="x").role is Role.USER  # type: ignore[arg-type]


async def test_deleted_sessions_are_in_no_listing_unless_asked_for(manager: SessionManager) -> None:
    kept = await manager.create_session("user", "mock", "m", session_config={"tags": ["t"], "name": "n"})
    gone = await manager.create_session("user", "mock", "m", session_config={"tags": ["t"], "name": "n"})
    await gone.delete()
    for page in (
        await manager.get_user_sessions("user"),
        await manager.search_sessions(),
        await manager.search_sessions(tags=["t"]),
        await manager.search_sessions(text="n"),
        await manager.search_sessions(provider="mock"),
    ):
        assert [one.session_id for one in page] == [kept.session_id]
    assert [one.session_id for one in await manager.search_sessions(status="deleted")] == [gone.session_id]
    assert [one.session_id for one in await manager.get_user_sessions("user", status=SessionStatus.DELETED)] == [
        gone.session_id
    ]
    with pytest.raises(SessionExistsError, match=r"restore_session.*another id"):
        await manager.create_session("user", "mock", "m", session_id=gone.session_id)


async def test_purging_destroys_what_was_deleted(manager: SessionManager) -> None:
    session = await manager.create_session("user", "mock", "m", session_id="s")
    await session.send_message("hi")
    await session.delete()
    assert await manager.cleanup_deleted_sessions(1) == 0
    assert await manager.cleanup_deleted_sessions(0) == 1
    for table in ("sessions", "turns", "messages", "session_tags"):
        assert await rows_of(manager, f"SELECT * FROM {table}") == []
    with pytest.raises(SessionNotFoundError):
        await session.restore()
    again = await manager.create_session("user", "mock", "m", session_id="s")
    assert (await again.send_message("anew")).content == "Mock response to: anew"
    assert again.message_count == 2


async def test_limit_keeps_the_newest_in_chronological_order(session: Session) -> None:
    for number in range(5):
        await session.send_message(str(number))
    assert [m.content for m in await session.get_messages(limit=2)] == ["4", "Mock response to: 4"]
    assert [m.content for m in await session.get_messages(limit=2, role="user")] == ["3", "4"]
    pages: list[str] = []
    page = await session.get_messages(limit=3)
    while True:
        pages[:0] = [message.content for message in page]
        if page.next_cursor is None:
            break
        page = await session.get_messages(limit=3, cursor=page.next_cursor)
    assert pages == [m.content for m in await session.get_messages()]


async def test_tags_match_if_all_are_there_and_are_replaced(manager: SessionManager) -> None:
    session = await manager.create_session("user", "mock", "m", session_config={"tags": ["a", "b"]})
    await manager.create_session("user", "mock", "m", session_config={"tags": ["a"]})
    assert len(await manager.search_sessions(tags=["a"])) == 2
    assert [one.session_id for one in await manager.search_sessions(tags=["b", "a"])] == [session.session_id]
    assert await manager.search_sessions(tags=["a", "c"]) == []
    await session.update_config({"tags": ["c"]})
    assert list((await manager.get_session(session.session_id)).config.tags) == ["c"]
    assert await manager.search_sessions(tags=["a", "b"]) == []
    assert len(await manager.search_sessions(tags=["c"])) == 1


async def test_ids_are_ours_and_taken_ones_are_replaced(manager: SessionManager) -> None:
    one = await manager.create_session("user", "mock", "m")
    other = await manager.create_session("user", "mock", "m")
    first = await one.add_message("user", "first", message_id="mine")
    assert first.message_id == "mine"
    second = await other.add_message("user", "second", message_id="mine")
    assert second.message_id != "mine"
    assert second.provider_message_id == "mine"
    assert (await other.get_message(second.message_id)).content == "second"
    assert (await one.get_message("mine")).content == "first"
    sent = await one.send_message(SessionMessage(role=Role.USER, content="third", message_id="mine"))
    stored = await one.get_messages()
    assert len({message.message_id for message in stored}) == len(stored) == 3
    assert stored[1].provider_message_id == "mine"
    assert sent.provider_message_id is not None


async def test_updates_merge_atomically(manager: SessionManager, session: Session) -> None:
    others = [await manager.get_session("s") for _ in range(4)]
    await asyncio.gather(
        *(others[number % 4].update_context({f"k{number}": number, "last": number}) for number in range(40)),
        *(session.update_config({name: "x"}) for name in ("name", "description", "agent_name")),
    )
    context = (await session.get_context()).user_context
    assert {key for key in context if key != "last"} == {f"k{number}" for number in range(40)}
    config = (await manager.get_session("s")).config
    assert (config.name, config.description, config.agent_name) == ("x", "x", "x")


async def test_updates_merge_atomically_across_managers(open_manager: OpenManager) -> None:
    sessions = [await open_manager().open_session("s", user_id="user", provider="mock", model="m") for _ in range(4)]
    await asyncio.gather(*(sessions[n % 4].update_context({f"k{n}": n}) for n in range(40)))
    assert len((await sessions[0].get_context()).user_context) == 40


async def test_of_several_that_open_the_same_new_session_all_get_one(open_manager: OpenManager) -> None:
    managers = [open_manager() for _ in range(4)]
    opened = await asyncio.gather(
        *(one.open_session("s", user_id="user", provider="mock", model="m") for one in managers for _ in range(4))
    )
    assert {session.created_at for session in opened} == {opened[0].created_at}
    with pytest.raises(SessionNotFoundError):
        await managers[0].open_session("s", user_id="somebody else", provider="mock", model="m")


async def test_usage_maps_count_turns_by_name(manager: SessionManager) -> None:
    for model, turns in (("a", 2), ("b", 1)):
        session = await manager.create_session("user", "mock", model)
        for _ in range(turns):
            await session.send_message("hi")
    analytics = await manager.get_analytics()
    assert (analytics.model_usage, analytics.provider_usage) == ({"a": 2, "b": 1}, {"mock": 3})
    assert (analytics.total_sessions, analytics.active_users, analytics.avg_messages_per_session) == (2, 1, 3.0)
    nothing = await manager.get_analytics(end_date=datetime(2000, 1, 1))
    assert (nothing.total_sessions, nothing.total_tokens, nothing.avg_response_time_ms) == (0, 0, 0.0)


async def test_a_context_snapshot_is_a_copy(session: Session) -> None:
    await session.update_context({"k": {"deep": 1}})
    context = await session.get_context()
    context.user_context["k"]["deep"] = "changed"
    context.user_context["new"] = 1
    assert (await session.get_context()).user_context == {"k": {"deep": 1}}


async def test_session_events_subscribes_when_called(manager: SessionManager) -> None:
    events = manager.session_events()
    session = await manager.create_session("user", "mock", "m")
    late = manager.session_events()
    await session.send_message("hi")
    assert [(await anext(events)).type, (await anext(events)).type] == ["session_created", "message_sent"]
    assert (await anext(late)).type == "message_sent"
    with pytest.raises(InvalidInputError, match="overflow"):
        manager.session_events(overflow="explode")
    with pytest.raises(InvalidInputError, match="max_queue"):
        manager.session_events(max_queue=0)


async def test_cleanup_archives_deletes_and_obeys_each_session(open_manager: OpenManager, backend: str) -> None:
    manager = open_manager(backend, cleanup_config={"max_messages_per_session": 3, "delete_after_days": 30})
    full = await manager.create_session("user", "mock", "m")
    due = await manager.create_session("user", "mock", "m", session_config={"auto_archive_after": timedelta(0)})
    idle = await manager.create_session("user", "mock", "m")
    for _ in range(2):
        await full.send_message("hi")
    assert await manager.run_cleanup() == {"archived": 2, "deleted": 0}
    assert (full.status, due.status, idle.status) == ("archived", "archived", "active")
    assert await manager.cleanup_archived_sessions(0) == 2
    assert full.status == "deleted"
    assert await manager.cleanup_inactive_sessions(0) == 1
    assert idle.status == "archived"


# Managers


def test_construction_does_no_io_and_needs_no_loop(own_folder: Path) -> None:
    before = threads_left()
    managers: list[Any] = [
        create_session_manager(),
        create_session_manager(blocking=True),
        create_session_manager(preset="production"),
        create_session_manager(storage=SQLiteSessionStorage(db_path="a/b/c.db")),
        create_session_manager(storage="sqlite:///d.db"),
        SessionManager("memory"),
    ]
    assert len(managers) == 6
    assert list(own_folder.iterdir()) == []
    assert threads_left() == before


async def test_the_default_database_and_its_folders_are_made_on_first_use(own_folder: Path) -> None:
    async with create_session_manager() as manager:
        await manager.create_session("user", "mock", "m")
    assert (own_folder / "langswarm_sessions.db").exists()
    path = own_folder / "x" / "y" / "z.db"
    async with create_session_manager("sqlite", storage_config={"db_path": str(path)}) as manager:
        await manager.create_session("user", "mock", "m")
    assert path.exists()


async def test_a_preset_is_beaten_by_an_explicit_argument(own_folder: Path) -> None:
    development = create_session_manager(preset="development")
    assert "memory" in repr(development)
    mixed = create_session_manager(
        "sqlite", storage_config={"db_path": "own.db"}, preset="development", cleanup_config={"archive_after_days": 1}
    )
    production = create_session_manager(preset="production", cleanup_config={}, storage_config={"db_path": "p.db"})
    for manager in (development, mixed, production):
        await (await manager.create_session("user", "mock", "m")).send_message("hi")
    assert sorted(name for name in os.listdir(own_folder) if name.endswith(".db")) == ["own.db", "p.db"]
    assert await production.run_cleanup() == {"archived": 0, "deleted": 0}
    for manager in (development, mixed, production):
        await manager.close()
    with pytest.raises(ConfigurationError, match="preset must be one of development, production"):
        create_session_manager(preset="staging")  # type: ignore[call-overload]


@pytest.mark.parametrize("blocking", [False, True])
def test_a_manager_never_closed_does_not_hang_the_interpreter(own_folder: Path, blocking: bool) -> None:
    program = NEVER_CLOSED_BLOCKING if blocking else NEVER_CLOSED
    done = subprocess.run([sys.executable, "-c", program], cwd=own_folder, capture_output=True, timeout=20, check=False)
    assert (done.returncode, done.stdout.decode()) == (0, "Mock response to: hi\n"), done.stderr.decode()
    assert done.stderr == b""


NEVER_CLOSED = """
import asyncio
from langswarm_sessions import create_session_manager
manager = create_session_manager()
async def main():
    session = await manager.create_session("user", "mock", "m")
    print((await session.send_message("hi")).content)
    stream = session.send_message_stream("left open")
    await anext(stream)
asyncio.run(main())
"""
NEVER_CLOSED_BLOCKING = """
from langswarm_sessions import create_session_manager
manager = create_session_manager(blocking=True)
session = manager.create_session("user", "mock", "m")
print(session.send_message("hi").content)
stream = session.send_message_stream("left open")
next(stream)
"""


async def test_a_manager_closes_only_what_it_made(own_folder: Path) -> None:
    storage = SQLiteSessionStorage(db_path="shared.db")
    first = SessionManager(storage)
    await first.create_session("user", "mock", "m", session_id="s")
    await first.close()
    await first.close()
    second = SessionManager(storage)
    assert (await (await second.get_session("s")).send_message("hi")).content == "Mock response to: hi"
    await second.close()
    assert (await storage.get_database_stats())["backend"] == "sqlite"
    await storage.close()
    await storage.close()


async def test_a_closed_managers_own_storage_says_so(own_folder: Path) -> None:
    manager = SessionManager("memory")
    session = await manager.create_session("user", "mock", "m")
    await manager.close()
    with pytest.raises(langswarm_sessions.StorageError, match="closed"):
        await session.send_message("hi")


async def test_the_process_wide_manager(own_folder: Path) -> None:
    set_session_manager(None)
    made = get_session_manager()
    assert get_session_manager() is made
    own = create_session_manager("memory")
    set_session_manager(own)
    assert get_session_manager() is own
    blocking = create_session_manager("memory", blocking=True)
    set_session_manager(blocking)
    assert get_session_manager() is blocking.manager
    set_session_manager(None)


async def test_one_handle_a_session_and_attributes_as_last_seen(manager: SessionManager) -> None:
    session = await manager.create_session("user", "mock", "m", session_id="s")
    assert await manager.get_session("s") is session
    assert (await manager.get_user_sessions("user"))[0] is session
    live = session.provider_session
    await session.send_message("hi")
    assert session.provider_session is live, "the one turns use, from creation on"
    assert session.provider_session.requests
    assert "hi" not in repr(session) + repr(manager)


async def test_a_row_read_before_does_not_undo_a_newer_one(manager: SessionManager, session: Session) -> None:
    stale = session.record
    await session.send_message("hi")
    session.adopt(stale)
    assert session.message_count == 2


def test_interfaces_and_their_aliases() -> None:
    for name in ("SessionStorage", "ProviderSession", "SessionMiddleware", "SessionLifecycleHook"):
        assert getattr(interfaces, f"I{name}") is getattr(interfaces, name)
        assert getattr(langswarm_sessions, name) is getattr(interfaces, name)
    assert interfaces.ISession is Session
    assert interfaces.ISessionManager is SessionManager
    for name in ("SessionStatus", "SessionMessage", "SessionContext", "SessionMetrics", "SessionConfig"):
        assert getattr(interfaces, name) is getattr(langswarm_sessions, name)


async def test_the_storage_factory(own_folder: Path) -> None:
    assert isinstance(StorageFactory.create(backend="memory", config={}), InMemorySessionStorage)
    made = StorageFactory.create(backend="sqlite", config={"db_path": "made.db", "pool_size": 1})
    assert isinstance(made, SQLiteSessionStorage)
    manager = SessionManager(made)
    session = await manager.create_session("user", "mock", "m")
    await session.send_message("hi")
    stats = await made.get_database_stats()
    assert stats["backend"] == "sqlite"
    copy = await made.backup(own_folder / "copies" / "copy.db")
    await made.optimize_database()
    await made.close()
    async with SessionManager("sqlite", storage_config={"db_path": str(copy)}) as copied:
        assert len(await (await copied.get_session(session.session_id)).get_messages()) == 2


async def test_openai_base_url_is_honoured(open_manager: OpenManager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    session = await open_manager("memory").create_session("user", "openai", "gpt-5")
    host, port = session.engine_provider.endpoint()
    assert (host, port) == ("127.0.0.1", 9)
    with pytest.raises(langswarm_sessions.ProviderUnavailableError):
        await session.send_message("hi")


def test_importing_loads_nothing_heavy() -> None:
    heavy = "openai, sqlalchemy, alembic, langchain_core, opentelemetry.sdk, typer, rich, tenacity"
    program = f"import sys, langswarm_sessions; print([m for m in '{heavy}'.split(', ') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, env=dict(os.environ))
    assert done.stdout.strip() == b"[]"
