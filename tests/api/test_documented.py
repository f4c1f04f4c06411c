"""Every documented line works as written: on each storage, awaited and blocking, from loops and threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from langswarm_sessions import (
    ProviderSessionFactory,
    SessionManager,
    StorageFactory,
    create_session_manager,
    create_simple_session,
    session_context,
)
from langswarm_sessions.blocking import BlockingSessionManager
from tests.api.script import PARTS_SCRIPT, names_used, run_async, run_blocking
from tests.session.kit import OpenManager, threads_left, until

THREADS = 16

DOCUMENTED = {
    "the start": "create_session_manager SessionManager create_simple_session get_session_manager set_session_manager "
    "session_context add_global_middleware add_global_lifecycle_hook RetryPolicy",
    "its arguments": "storage storage_config providers preset strategy middleware hooks cleanup_config retry turn_wait "
    "fallback telemetry blocking",
    "the manager": "create_session get_session get_user_sessions search_sessions send_message get_analytics "
    "session_events add_middleware add_lifecycle_hook archive_session restore_session delete_session "
    "cleanup_inactive_sessions cleanup_archived_sessions cleanup_deleted_sessions optimize_storage health_check "
    "import_conversation close",
    "the session": "session_id user_id provider model status message_count created_at last_activity config "
    "provider_session_id provider_session send_message send_message_stream send_tool_results send_system_message "
    "add_message get_messages get_message clear_messages export_conversation update_context get_context update_config "
    "get_provider_metadata get_metrics archive restore delete",
    "arguments": "provider_config session_config tags text since limit cursor start_date end_date metadata tools "
    "idempotency_key timeout timestamp role start_time end_time format",
    "a message": "message_id session_id role content timestamp metadata status provider_message_id provider_metadata "
    "tool_calls parts",
    "figures": "total_sessions active_users avg_messages_per_session model_usage provider_usage total_tokens "
    "avg_response_time_ms total_messages user_messages assistant_messages session_duration retries rebuilds",
    "events": "type session_id user_id message_preview timestamp",
    "the context": "get user_context",
    "the mock": "MockProviderSession set_response_pattern",
    "storages": "SQLiteSessionStorage db_path pool_size max_overflow pool_timeout enable_wal auto_vacuum durability "
    "backup_enabled get_database_stats optimize_database backup close InMemorySessionStorage StorageFactory create "
    "backend config register ProviderSessionFactory register_provider",
    "interfaces": "SessionStorage ProviderSession SessionMiddleware SessionLifecycleHook SessionStatus SessionMessage "
    "SessionContext SessionMetrics SessionConfig ISession ISessionManager ISessionStorage IProviderSession "
    "ISessionMiddleware ISessionLifecycleHook process_message",
    "hooks": "on_session_created on_message_sent on_session_archived on_session_restored on_session_deleted "
    "on_session_rebuilt on_session_error",
}


@pytest.fixture
def arguments(backend: str, own_folder: Path) -> dict[str, Any]:
    """What makes a manager over each storage."""
    if backend == "memory":
        return {"storage": "memory"}
    return {"storage": "sqlite", "storage_config": {"db_path": str(own_folder / "folder" / "sessions.db")}}


@pytest.fixture
def blocking(arguments: dict[str, Any]) -> Iterator[BlockingSessionManager]:
    """A blocking manager that leaves no thread behind."""
    manager = create_session_manager(**arguments, blocking=True)
    yield manager
    manager.close()
    asyncio.run(until(lambda: not threads_left()))


@pytest.fixture
def unregistered() -> Iterator[None]:
    """Take away the names that the script registers."""
    yield
    ProviderSessionFactory.unregister_provider("documented-echo")
    StorageFactory._registered.pop("documented-storage", None)


async def test_awaited(manager: SessionManager) -> None:
    await run_async(manager, "user")


def test_blocking(blocking: BlockingSessionManager) -> None:
    run_blocking(blocking, "user")


async def test_parts_awaited(manager: SessionManager, no_globals: None, unregistered: None) -> None:
    await run_async(manager, "user", PARTS_SCRIPT)


def test_parts_blocking(blocking: BlockingSessionManager, no_globals: None, unregistered: None) -> None:
    run_blocking(blocking, "user", PARTS_SCRIPT)


def test_nothing_documented_is_left_out() -> None:
    assert {name for names in DOCUMENTED.values() for name in names.split()} - names_used() == set()


def test_blocking_inside_a_running_loop(blocking: BlockingSessionManager) -> None:
    async def notebook() -> None:
        run_blocking(blocking, "user")

    asyncio.run(notebook())


def test_blocking_from_threads_at_once(blocking: BlockingSessionManager) -> None:
    _at_once(lambda number: run_blocking(blocking, f"user {number}"), threads=THREADS)


def test_two_loops_one_after_the_other(arguments: dict[str, Any]) -> None:
    manager = _awaited(arguments)
    asyncio.run(run_async(manager, "first"))
    asyncio.run(run_async(manager, "second"))
    asyncio.run(manager.close())


def test_two_loops_at_once(arguments: dict[str, Any]) -> None:
    manager = _awaited(arguments)
    _at_once(lambda number: asyncio.run(run_async(manager, f"user {number}")), threads=2)
    asyncio.run(manager.close())


def test_a_session_is_shared_by_loops_and_threads(arguments: dict[str, Any]) -> None:
    """One handle, used by several loops at once: turns come one after the other, none is lost."""
    manager = _awaited(arguments)
    session = asyncio.run(manager.create_session("user", "mock", "m", session_id="s"))

    async def talk(number: int) -> None:
        await asyncio.gather(*(session.send_message(f"{number}-{at}") for at in range(3)))

    _at_once(lambda number: asyncio.run(talk(number)), threads=4)
    messages = asyncio.run(session.get_messages())
    assert len(messages) == 24
    for question, answer in zip(messages[::2], messages[1::2], strict=True):
        assert answer.content == f"Mock response to: {question.content}"
    asyncio.run(manager.close())


def test_a_loop_that_was_dropped_with_a_turn_inside_holds_nobody_up(arguments: dict[str, Any]) -> None:
    manager = SessionManager(**arguments, lease_seconds=0.2)
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(_ignore)  # "Task was destroyed but it is pending": that is the case at hand
    session = loop.run_until_complete(manager.create_session("user", "mock", "m"))
    stream = session.send_message_stream("never finished")
    loop.run_until_complete(anext(stream))
    loop.close()

    async def goes_on() -> str:
        async with asyncio.timeout(5):
            return (await session.send_message("next")).content

    assert asyncio.run(goes_on()) == "Mock response to: next"
    del stream
    asyncio.run(manager.close())


async def test_simple_session_and_context(open_manager: OpenManager, own_folder: Path) -> None:
    session = await create_simple_session(user_id="user", provider="mock", model="mock-model", storage="memory")
    assert (await session.send_message("hi")).content == "Mock response to: hi"
    await session.close()
    async with await create_simple_session() as session:
        await session.send_message("hi")
    assert (own_folder / "langswarm_sessions.db").exists()
    manager = open_manager("memory")
    async with session_context(manager, "user", "mock", "mock-model") as session:
        await session.send_message("hi")
    assert len(await (await manager.get_session(session.session_id)).get_messages()) == 2


def _awaited(arguments: dict[str, Any]) -> SessionManager:
    make: Any = create_session_manager
    made = make(**arguments)
    assert isinstance(made, SessionManager)
    return made


def _ignore(loop: asyncio.AbstractEventLoop, what: dict[str, Any]) -> None:
    return


def _at_once(work: Callable[[int], object], *, threads: int) -> None:
    """Run work in threads that start together; the first failure is raised."""
    start = threading.Barrier(threads)

    def run(number: int) -> None:
        start.wait(10)
        work(number)

    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(run, number) for number in range(threads)]:
            done.result(60)
