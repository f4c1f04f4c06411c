"""What conversations become: whose, when, beside what is there, and from two imports at once."""

from __future__ import annotations

import asyncio
import sys
import weakref
from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from langswarm_sessions import (
    InvalidInputError,
    SessionConfig,
    SessionManager,
    SessionMessage,
    SessionStorage,
    create_session_manager,
)
from langswarm_sessions.errors import ConfigurationError, MissingDependencyError, StorageError
from langswarm_sessions.importing import Assembled, Assembler, ImportProgress, SourceEntry
from langswarm_sessions.importing.rows import moment_of
from tests.importing.sources import Listed, Texts
from tests.importing.written import adds_up

ROWS = [("a", "one"), ("a", "two"), ("a", "three"), ("a", "four"), ("b", "five"), ("c", "six"), ("c", 7)]
PG = "postgresql://u:secret@127.0.0.1:1/d"


async def texts(manager: SessionManager, session_id: str) -> list[str]:
    return [message.content for message in await (await manager.get_session(session_id)).get_messages()]


async def test_sessions_are_made_as_the_caller_says(manager: SessionManager) -> None:
    told: list[ImportProgress] = []
    source = Listed(ROWS)
    report = await manager.import_from(
        source,
        user_id=lambda session_id: f"user-{session_id}",
        provider="mock",
        model="mock-model",
        session_config={"tags": ["imported"]},
        session_prefix="old-",
        on_progress=told.append,
    )
    assert adds_up(report)
    assert source.closed == 1
    [found] = await manager.get_user_sessions("user-a")
    assert (found.session_id, found.provider, found.model) == ("old-a", "mock", "mock-model")
    assert found.config == SessionConfig(tags=("imported",))
    assert (await found.send_message("go on")).content == "Mock response to: go on"
    assert [progress.messages for progress in told] == [0, 4, 7, 7] or told[-1].messages == 7
    assert [progress.messages for progress in told] == sorted(progress.messages for progress in told)
    assert {(progress.total_sessions, progress.total_messages) for progress in told} == {(None, 7)}


async def test_progress_may_be_told_to_a_coroutine_function(manager: SessionManager) -> None:
    told: list[ImportProgress] = []

    async def listen(progress: ImportProgress) -> None:
        await asyncio.sleep(0)
        told.append(progress)

    await manager.import_from(Listed(ROWS), user_id="ada", on_progress=listen)
    assert (told[-1].sessions, told[-1].messages) == (3, 7)


async def test_times_grow_whatever_the_source_says(manager: SessionManager) -> None:
    first = datetime(2025, 1, 2, tzinfo=UTC)
    times = [first, None, first - timedelta(days=1), first + timedelta(days=1)]
    await manager.import_from(Listed(ROWS[:4], times=times), user_id="ada")
    session = await manager.get_session("a")
    tick = timedelta(microseconds=1)
    expected = [first, first + tick, first + 2 * tick, first + timedelta(days=1)]
    assert [message.timestamp for message in await session.get_messages()] == expected
    assert (session.created_at, session.last_activity) == (first, expected[-1])


async def test_without_times_it_is_the_time_of_the_import(manager: SessionManager) -> None:
    before = datetime.now(UTC)
    await manager.import_from(Listed(ROWS[:4]), user_id="ada")
    times = [message.timestamp for message in await (await manager.get_session("a")).get_messages()]
    assert times == sorted(set(times))
    assert before <= times[0] <= times[-1] <= datetime.now(UTC)


async def test_what_was_said_here_since_stays_before_what_is_brought_later(manager: SessionManager) -> None:
    await manager.import_from(Listed(ROWS[:2]), user_id="ada", provider="mock", model="mock-model")
    session = await manager.get_session("a")
    await session.send_message("here")
    answered = session.last_activity
    report = await manager.import_from(Listed(ROWS[:4]), user_id="ada", provider="mock", model="mock-model")
    assert (report.sessions_extended, report.messages_stored) == (1, 2)
    assert await texts(manager, "a") == ["one", "two", "here", "Mock response to: here", "three", "four"]
    assert session.message_count == 6
    assert session.last_activity > answered


@pytest.mark.parametrize("state", ["foreign", "other-user", "deleted", "cleared", "archived"])
async def test_a_session_that_cannot_take_it_is_left_as_it_is(manager: SessionManager, state: str) -> None:
    if state == "foreign":
        session = await manager.create_session("ada", "mock", "mock-model", session_id="a")
        await session.send_message("mine")
    else:
        await manager.import_from(Listed(ROWS[:2]), user_id="eve" if state == "other-user" else "ada")
        session = await manager.get_session("a")
    if state == "deleted":
        await session.delete()
    if state == "archived":
        await session.archive()
    if state == "cleared":
        await session.clear_messages()
    before = session.message_count
    report = await manager.import_from(Listed(ROWS), user_id="ada")
    assert adds_up(report)
    assert (report.sessions_imported, report.sessions_skipped) == (2, 1)
    assert [problem.session_id for problem in report.problems if problem.row is None] == ["a"]
    await session.refresh()
    assert session.message_count == before
    elsewhere = await manager.import_from(Listed(ROWS[:4]), user_id="ada", session_prefix="again-")
    assert elsewhere.messages_stored == 4


async def test_an_archived_session_that_is_there_whole_is_already_there(manager: SessionManager) -> None:
    await manager.import_from(Listed(ROWS[:4]), user_id="ada")
    await manager.archive_session("a")
    report = await manager.import_from(Listed(ROWS[:4]), user_id="ada")
    assert (report.sessions_already_there, report.messages_already_there, report.is_complete) == (1, 4, True)


async def test_two_imports_at_once_double_nothing(manager: SessionManager) -> None:
    """As when every replica of a service migrates when it starts."""
    rows = [(name, f"{name}{number}") for name in "abcd" for number in range(20)]
    other = create_session_manager("sqlite", storage_config={"db_path": "ours.db"})
    async with other:
        reports = await asyncio.gather(
            *(one.import_from(Listed(rows), user_id="ada") for one in (manager, other, manager, other))
        )
    assert all(map(adds_up, reports))
    assert sum(report.messages_stored for report in reports) == 80
    for name in "abcd":
        assert await texts(manager, name) == [f"{name}{number}" for number in range(20)]


async def test_an_import_that_is_cancelled_anywhere_is_finished_by_the_next_one(manager: SessionManager) -> None:
    rows = [(name, f"{name}{number}") for name in "ab" for number in range(7)]
    source = Listed(rows)
    cancelled = 0
    for steps in range(0, 60, 4):
        task = asyncio.create_task(manager.import_from(source, user_id="ada"))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        cancelled += isinstance((await asyncio.gather(task, return_exceptions=True))[0], asyncio.CancelledError)
    assert cancelled > 1
    report = await manager.import_from(source, user_id="ada")
    assert adds_up(report)
    assert report.is_complete
    for name in "ab":
        assert await texts(manager, name) == [f"{name}{number}" for number in range(7)]


async def test_conversations_of_two_places_never_become_one(manager: SessionManager) -> None:
    """Two databases may have tables, conversations and row ids of the same names."""
    here, there = [("a", "one"), ("a", "two")], [("a", "eins"), ("a", "zwei"), ("a", "drei"), ("b", "vier")]
    await manager.import_from(Listed(here), user_id="ada")
    for rows in (there, there[:2], [("a", "one"), *there[1:]]):
        for resume in (False, True):
            report = await manager.import_from(Listed(rows, location="elsewhere"), user_id="ada", resume=resume)
            assert adds_up(report)
            assert report.sessions_skipped == 1
            assert "another place" in next(problem.reason for problem in report.problems if problem.session_id == "a")
        assert await texts(manager, "a") == ["one", "two"]
    beside = Listed(there, location="elsewhere")
    assert (await manager.import_from(beside, user_id="ada", session_prefix="b-")).is_complete
    assert await texts(manager, "b-a") == ["eins", "zwei", "drei"]


async def test_conversations_of_two_places_imported_at_once_never_become_one(manager: SessionManager) -> None:
    places = {place: [("a", f"{place}{number}") for number in range(9)] for place in ("x", "y")}
    reports = await asyncio.gather(
        *(manager.import_from(Listed(rows, location=place), user_id="ada") for place, rows in places.items())
    )
    assert all(map(adds_up, reports))
    assert sorted(report.is_complete for report in reports) == [False, True]
    assert await texts(manager, "a") in [[text for _, text in rows] for rows in places.values()]


async def test_a_source_that_was_moved_goes_on_where_it_ended(manager: SessionManager) -> None:
    await manager.import_from(Listed([("a", "one"), ("a", 2), ("a", "three")]), user_id="ada")
    moved = Listed([("a", "one"), ("a", 2), ("a", "three"), ("a", "four")], location="elsewhere")
    report = await manager.import_from(moved, user_id="ada")
    assert (report.messages_already_there, report.messages_stored, report.messages_refused) == (2, 1, 1)
    moved.rows = [*moved.rows, ("a", "five")]
    assert (await manager.import_from(moved, user_id="ada")).messages_stored == 1
    assert await texts(manager, "a") == ["one", "three", "four", "five"]


async def test_a_time_that_leaves_no_room_after_it_is_not_taken(manager: SessionManager) -> None:
    assert moment_of("9999-12-31T23:59:59.999999") is None
    assert moment_of(1e300) is None
    assert moment_of("0001-01-01T00:00:00+14:00") is None
    assert moment_of("2025-01-02T03:04:05+01:00") == datetime(2025, 1, 2, 2, 4, 5, tzinfo=UTC)


async def test_an_import_holds_a_few_pages_whatever_there_is(manager: SessionManager) -> None:
    class Row:
        """What can be watched as it goes."""

    alive: weakref.WeakSet[Row] = weakref.WeakSet()
    most: list[int] = []

    class Endless(Listed):
        async def pages(self, start: Any = None) -> AsyncGenerator[Sequence[SourceEntry]]:
            for page in range(8):
                entries = [SourceEntry(session_id="a", key=f"{page}-{at}", digest="", data=Row()) for at in range(250)]
                alive.update(entry.data for entry in entries)
                most.append(len(alive))
                yield entries

        def assembler(self) -> Assembler:
            return Rows()

    class Rows(Texts):
        def add(self, entry: SourceEntry) -> Sequence[Assembled]:
            return (Assembled(entries=(entry,), message=SessionMessage(role="user", content=entry.key)),)  # type: ignore[arg-type]

    report = await manager.import_from(Endless([]), user_id="ada")
    assert report.messages_stored == 2000
    assert max(most) <= 1000


async def test_an_import_is_for_any_storage() -> None:
    class Lists(SessionStorage):
        def __init__(self) -> None:
            self.sessions: dict[str, dict[str, Any]] = {}
            self.messages: dict[str, list[dict[str, Any]]] = {}

        async def create_session(
            self, session_id: str, user_id: str, provider: str, model: str, config: Any, context: Any
        ) -> None:
            self.sessions[session_id] = {
                "user_id": user_id,
                "provider": provider,
                "model": model,
                "config": config,
                "context": context,
            }
            self.messages[session_id] = []

        async def get_session(self, session_id: str) -> Any:
            return self.sessions.get(session_id)

        async def add_message(self, session_id: str, message: dict[str, Any]) -> None:
            self.messages[session_id].append(message)

        async def get_messages(self, session_id: str, limit: Any = None, role: Any = None, since: Any = None) -> Any:
            return self.messages[session_id]

        async def health_check(self) -> bool:
            return True

        async def close(self) -> None:
            pass

    storage = Lists()
    for expected in ((3, 6), (0, 0)):
        async with create_session_manager(storage) as manager:
            report = await manager.import_from(Listed(ROWS), user_id="ada")
        assert (report.sessions_imported, report.messages_stored) == expected
        assert adds_up(report)
    assert [message["content"] for message in storage.messages["a"]] == ["one", "two", "three", "four"]


async def test_a_blocking_manager_imports_as_well() -> None:
    with create_session_manager("memory", blocking=True) as manager:
        report = manager.import_from(Listed(ROWS), user_id="ada")
        assert (report.sessions_imported, report.messages_stored, report.messages_refused) == (3, 6, 1)


@pytest.mark.parametrize(
    ("arguments", "error", "word"),
    [
        ({"user_id": ""}, InvalidInputError, "user_id"),
        ({"user_id": "ada", "provider": "mock"}, ConfigurationError, "name both"),
        ({"user_id": "ada", "provider": "nobody", "model": "m"}, ConfigurationError, "unknown provider"),
        ({"user_id": "ada", "session_config": {"nonsense": 1}}, ConfigurationError, "nonsense"),
        ({"user_id": "ada", "source": 5}, InvalidInputError, "source"),
        ({"user_id": "ada", "source": "nothing.db"}, ConfigurationError, "no file"),
        ({"user_id": "ada", "source": "nonsense://x"}, ConfigurationError, "nonsense"),
        ({"user_id": "ada", "source": "sqlite://"}, ConfigurationError, "SQLite file"),
        ({"user_id": "ada", "source": "mysql://u:secret@h/d"}, MissingDependencyError, "pip install pymysql"),
        ({"user_id": "ada", "source": "mssql+pyodbc://u:secret@h/d"}, ConfigurationError, "driver"),
        (
            {"user_id": "ada", "source": "postgresql://u:secret@127.0.0.1:1/d?password=secret"},
            StorageError,
            r"u:\*\*\*@127.0.0.1:1/d",
        ),
        ({"user_id": "ada", "source": "ours.db"}, ConfigurationError, "of this library"),
    ],
)
async def test_what_cannot_be_is_refused_by_name(
    manager: SessionManager, arguments: dict[str, Any], error: type[Exception], word: str
) -> None:
    await manager.health_check()
    source = arguments.pop("source", Listed(ROWS))
    with pytest.raises(error, match=word) as refused:
        await manager.import_from(source, **arguments)
    assert "secret" not in str(refused.value)
    assert not await manager.get_user_sessions("ada")


async def test_a_driver_without_its_library_is_told(
    manager: SessionManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `pip install psycopg` alone comes to where there is no libpq."""
    (tmp_path / "psycopg.py").write_text("raise ImportError('no pq wrapper available')")
    monkeypatch.delitem(sys.modules, "psycopg", raising=False)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with pytest.raises(MissingDependencyError, match=r"pip install 'psycopg\[binary\]'"):
        await manager.import_from("postgresql://u@127.0.0.1:1/d", user_id="ada")
