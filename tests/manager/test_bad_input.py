"""Bad input: a typed error that names the field and the remedy, and nothing half-written."""

from __future__ import annotations

import os
import re
import sqlite3
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from langswarm_sessions import (
    ConfigurationError,
    InvalidInputError,
    MessageNotFoundError,
    MissingDependencyError,
    RetryPolicy,
    SchemaError,
    Session,
    SessionArchivedError,
    SessionError,
    SessionExistsError,
    SessionManager,
    SessionNotFoundError,
    StorageError,
    create_session_manager,
)
from tests.session.kit import AT_ONCE, OpenManager, leftovers, rows_of

Attempt = Callable[[SessionManager, Session], Awaitable[Any]]
CANARY = "canary-4711"


def create(user_id: Any = "user", provider: Any = "mock", model: Any = "m", **options: Any) -> Attempt:
    return lambda manager, _: manager.create_session(user_id, provider, model, **options)


def send(content: Any = "hi", **options: Any) -> Attempt:
    return lambda _, session: session.send_message(content, **options)


CASES: dict[str, tuple[Attempt, type[SessionError], str]] = {
    "unknown provider": (create(provider="nobody"), ConfigurationError, r"'nobody'.*Known providers:.*mock"),
    "announced provider": (create(provider="anthropic"), ConfigurationError, r"'anthropic' is not available"),
    "missing key": (create(provider="openai"), ConfigurationError, r"OPENAI_API_KEY"),
    "empty user": (create(user_id=""), InvalidInputError, r"user_id must be a non-empty string"),
    "blank user": (create(user_id="  "), InvalidInputError, r"user_id"),
    "user of another type": (create(user_id=5), InvalidInputError, r"user_id"),
    "endless user": (create(user_id="x" * 256), InvalidInputError, r"user_id must have at most 255"),
    "null in user": (create(user_id="a\x00b"), InvalidInputError, r"user_id must hold printable"),
    "empty model": (create(model=""), InvalidInputError, r"model"),
    "no provider": (create(provider=None), InvalidInputError, r"provider"),
    "empty session id": (create(session_id=""), InvalidInputError, r"session_id"),
    "session id of another type": (create(session_id=7), InvalidInputError, r"session_id"),
    "taken session id": (create(session_id="s"), SessionExistsError, r"another id"),
    "unknown strategy": (create(strategy="magic"), ConfigurationError, r"strategy must be one of"),
    "unknown setting": (create(provider_config={"temprature": 1}), ConfigurationError, r"temprature.*temperature"),
    "setting of another type": (create(provider_config={"temperature": "hot"}), ConfigurationError, r"temperature"),
    "settings that are no dict": (create(provider_config=[1]), InvalidInputError, r"provider_config must be a dict"),
    "settings JSON cannot hold": (
        create(provider_config={"thread_metadata": {"o": object()}}),
        InvalidInputError,
        r"provider_config must hold only what JSON can",
    ),
    "unknown config key": (create(session_config={"tag": []}), ConfigurationError, r"'tag'.*tags"),
    "tags as text": (create(session_config={"tags": "a"}), ConfigurationError, r"tags must be a list"),
    "max_messages of zero": (create(session_config={"max_messages": 0}), ConfigurationError, r"max_messages"),
    "auto_archive_after as text": (
        create(session_config={"auto_archive_after": "1d"}),
        ConfigurationError,
        r"timedelta",
    ),
    "config that is no dict": (create(session_config=5), ConfigurationError, r"session_config must be a dict"),
    "unknown session": (
        lambda manager, _: manager.get_session("nope"),
        SessionNotFoundError,
        r"'nope'.*create_session",
    ),
    "unknown session to send to": (
        lambda manager, _: manager.send_message("nope", "hi"),
        SessionNotFoundError,
        r"'nope'",
    ),
    "unknown session to archive": (lambda manager, _: manager.archive_session("nope"), SessionNotFoundError, r"'nope'"),
    "unknown session to delete": (lambda manager, _: manager.delete_session("nope"), SessionNotFoundError, r"'nope'"),
    "empty id to get": (lambda manager, _: manager.get_session(""), InvalidInputError, r"session_id"),
    "id of another type to get": (lambda manager, _: manager.get_session(None), InvalidInputError, r"session_id"),  # type: ignore[arg-type]
    "id of another type to send to": (
        lambda manager, _: manager.send_message([], "hi"),  # type: ignore[arg-type]
        InvalidInputError,
        r"session_id",
    ),
    "unknown status": (
        lambda manager, _: manager.get_user_sessions("user", status="sleeping"),
        InvalidInputError,
        r"status must be one of",
    ),
    "limit of zero": (lambda manager, _: manager.get_user_sessions("user", limit=0), InvalidInputError, r"limit"),
    "broken cursor": (lambda manager, _: manager.get_user_sessions("user", cursor="???"), InvalidInputError, r"cursor"),
    "since as text": (
        lambda manager, _: manager.get_user_sessions("user", since="today"),  # type: ignore[arg-type]
        InvalidInputError,
        r"since must be a datetime",
    ),
    "tags to search as text": (lambda manager, _: manager.search_sessions(tags="a"), InvalidInputError, r"tags"),
    "negative days": (lambda manager, _: manager.cleanup_inactive_sessions(-1), InvalidInputError, r"days"),
    "start_date as text": (
        lambda manager, _: manager.get_analytics(start_date="2020"),  # type: ignore[arg-type]
        InvalidInputError,
        r"start_date",
    ),
    "empty content": (send(""), InvalidInputError, r"content must not be empty"),
    "no content": (send([]), InvalidInputError, r"content must not be empty"),
    "content of another type": (send(5), InvalidInputError, r"content must be a string.*not int"),
    "content of bytes": (send(b"hi"), InvalidInputError, r"content must be.*not bytes"),
    "no part": (send(["ok", 5]), InvalidInputError, r"part must be a string.*not int"),
    "half a character": (send("a\ud800b"), InvalidInputError, r"content.*surrogate"),
    "metadata that is no dict": (send(metadata=[1]), InvalidInputError, r"metadata must be a dict"),
    "metadata JSON cannot hold": (send(metadata={"o": object()}), InvalidInputError, r"metadata must hold only"),
    "metadata that is no number": (send(metadata={"n": float("nan")}), InvalidInputError, r"metadata must hold only"),
    "timeout of zero": (send(timeout=0), InvalidInputError, r"timeout must be a positive number"),
    "timeout as text": (send(timeout="1"), InvalidInputError, r"timeout"),
    "instructions of another type": (send(instructions=5), InvalidInputError, r"instructions must be a string"),
    "unknown role": (lambda _, session: session.add_message("robot", "hi"), InvalidInputError, r"role must be one of"),
    "role to read": (lambda _, session: session.get_messages(role="robot"), InvalidInputError, r"role must be one of"),
    "limit to read": (lambda _, session: session.get_messages(limit=-1), InvalidInputError, r"limit"),
    "limit as bool": (lambda _, session: session.get_messages(limit=True), InvalidInputError, r"limit"),
    "cursor to read": (lambda _, session: session.get_messages(cursor="???"), InvalidInputError, r"cursor"),
    "time as text": (
        lambda _, session: session.add_message("user", "hi", timestamp="now"),  # type: ignore[arg-type]
        InvalidInputError,
        r"timestamp must be a datetime",
    ),
    "unknown message": (lambda _, session: session.get_message("nope"), MessageNotFoundError, r"'nope'.*get_messages"),
    "empty message id": (lambda _, session: session.get_message(""), InvalidInputError, r"message_id"),
    "export format": (
        lambda _, session: session.export_conversation("pdf"),
        InvalidInputError,
        r"format must be 'json'",
    ),
    "context that is no dict": (
        lambda _, session: session.update_context([1]),  # type: ignore[arg-type]
        InvalidInputError,
        r"context must be a dict",
    ),
    "context JSON cannot hold": (
        lambda _, session: session.update_context({"o": object()}),
        InvalidInputError,
        r"context must hold only",
    ),
    "config key to update": (lambda _, session: session.update_config({"nam": 1}), ConfigurationError, r"'nam'.*name"),
    "config value to update": (
        lambda _, session: session.update_config({"name": 1}),
        ConfigurationError,
        r"name must be",
    ),
    "config to update that is no dict": (
        lambda _, session: session.update_config(5),  # type: ignore[arg-type]
        InvalidInputError,
        r"changes must be a dict",
    ),
    "setting to update": (
        lambda _, session: session.provider_session.update_provider_config({"temprature": 1}),
        ConfigurationError,
        r"temprature.*temperature",
    ),
}


@pytest.mark.parametrize("case", CASES)
async def test_bad_input_is_named_and_writes_nothing(manager: SessionManager, session: Session, case: str) -> None:
    attempt, error, message = CASES[case]
    before = await _everything(manager)
    with pytest.raises(error, match=message) as caught:
        await attempt(manager, session)
    assert type(caught.value) is error
    assert str(caught.value).rstrip().endswith((".", ")")), "a message is a sentence"
    assert await _everything(manager) == before
    assert (await session.send_message("works?")).content == "Mock response to: works?"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"storage": "oracle"}, r"storage: 'oracle'.*sqlite"),
        ({"storage": 5}, r"storage"),
        ({"storage": "postgresql://u:canary-4711@h/d"}, r"storage: 'postgresql'"),
        ({"storage": "sqlite", "storage_config": {"db_pth": "x"}}, r"db_pth.*db_path"),
        ({"storage": "sqlite", "storage_config": {"db_path": ""}}, r"db_path"),
        ({"storage": "sqlite", "storage_config": {"pool_size": 0}}, r"pool_size"),
        ({"storage": "sqlite", "storage_config": {"durability": "maybe"}}, r"durability must be 'normal' or 'full'"),
        ({"storage": "memory", "strategy": "magic"}, r"strategy must be one of"),
        ({"storage": "memory", "turn_wait": -1}, r"turn_wait"),
        ({"storage": "memory", "cleanup_config": {"archive_after": 1}}, r"archive_after.*archive_after_days"),
        ({"storage": "memory", "cleanup_config": {"archive_after_days": "x"}}, r"archive_after_days"),
        ({"storage": "memory", "preset": "staging"}, r"preset must be one of"),
        ({"storage": "memory", "telemetry": "yes"}, r"telemetry must be True, False or a Telemetry"),
        ({"storage": "memory", "providers": ["openai"]}, r"providers must be a dict"),
        ({"storage": "memory", "providers": {"opnai": "sk-canary-4711"}}, r"unknown provider 'opnai'.*openai"),
        ({"storage": "memory", "providers": {"cohere": "key"}}, r"'cohere' is not available in this version"),
        ({"storage": "memory", "providers": {"gpt": "a", "openai": "sk-canary-4711"}}, r"'openai'.*give it once"),
        ({"storage": "memory", "fallback": "nobody/m"}, r"unknown provider 'nobody'"),
    ],
)
def test_bad_arguments_of_a_manager_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        create_session_manager(**arguments)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [({"max_attempts": 0}, "max_attempts"), ({"initial_delay": -1}, "initial_delay"), ({"deadline": "x"}, "deadline")],
)
def test_bad_retry_policies_are_named(arguments: dict[str, Any], name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        RetryPolicy(**arguments)


async def test_a_missing_extra_is_named(open_manager: OpenManager, monkeypatch: pytest.MonkeyPatch) -> None:
    from langswarm_sessions.providers.openai import credential

    monkeypatch.delitem(sys.modules, "openai", raising=False)
    monkeypatch.setattr(credential, "find_spec", dict[str, object]().get)
    manager = open_manager("memory", providers={"openai": "sk-canary-4711"})
    with pytest.raises(MissingDependencyError, match=r"langswarm-sessions\[openai\]") as caught:
        await manager.create_session("user", "openai", "gpt-5")
    assert CANARY not in str(caught.value)
    assert await manager.get_user_sessions("user") == []


async def test_keys_show_up_nowhere(open_manager: OpenManager, own_folder: Path) -> None:
    manager = open_manager(providers={"openai": f"sk-{CANARY}"})
    session = await manager.create_session("user", "openai", "gpt-5")
    with pytest.raises(ConfigurationError, match="providers=") as caught:
        await manager.create_session("user", "openai", "gpt-5", provider_config={"api_key": f"sk-{CANARY}"})
    shown = [repr(manager), repr(session), repr(session.provider_session), str(caught.value)]
    shown.append(repr(await session.get_provider_metadata()))
    assert not [text for text in shown if CANARY in text]
    for name in os.listdir(own_folder):
        assert CANARY.encode() not in (own_folder / name).read_bytes()


async def test_an_archived_session_says_how_to_go_on(session: Session) -> None:
    await session.archive()
    with pytest.raises(SessionArchivedError, match="Restore it") as caught:
        await session.send_message("hi")
    assert caught.value.session_id == session.session_id


# The database


def _content(path: Path) -> object:
    """Return what a file holds: a database's tables (opening one may change its header), other files' bytes."""
    if not path.is_file():
        return None
    if not path.read_bytes().startswith(b"SQLite format 3"):
        return path.read_bytes()
    connection = sqlite3.connect(path)
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


async def _refuses(path: Path, error: type[StorageError], message: str) -> None:
    before = _content(path)
    manager = SessionManager("sqlite", storage_config={"db_path": str(path), "pool_timeout": 1})
    try:
        with pytest.raises(error, match=message) as caught:
            await manager.create_session("user", "mock", "m")
        assert type(caught.value) is error
        health = await manager.health_check()
        assert health["status"] == "unhealthy"
        assert health["storage"]["error"]
    finally:
        await manager.close()
    assert _content(path) == before


async def test_a_file_that_is_no_database_is_left_alone(own_folder: Path) -> None:
    path = own_folder / "notes.db"
    path.write_bytes(b"these are my notes, not a database " * 100)
    await _refuses(path, SchemaError, r"not a SQLite database. Point db_path at another file")


async def test_a_database_of_another_program_is_left_alone(own_folder: Path) -> None:
    path = own_folder / "other.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE sessions (id INTEGER PRIMARY KEY, what TEXT)")
    connection.commit()
    connection.close()
    await _refuses(path, SchemaError, r"tables of another program.*database of its own")


async def test_a_newer_schema_is_a_schema_error(own_folder: Path) -> None:
    path = own_folder / "newer.db"
    async with SessionManager("sqlite", storage_config={"db_path": str(path), "enable_wal": False}) as manager:
        await manager.create_session("user", "mock", "m")
    connection = sqlite3.connect(path)
    connection.execute("UPDATE langswarm_sessions_schema SET version_num = '9999'")
    connection.commit()
    connection.close()
    await _refuses(path, SchemaError, r"'9999'.*Upgrade the package")


async def test_a_path_that_is_a_folder_is_named(own_folder: Path) -> None:
    path = own_folder / "folder.db"
    path.mkdir()
    await _refuses(path, StorageError, re.escape(f"{path}: ") + r".*cannot be opened. Check that its folder")


async def test_a_folder_that_cannot_be_made_is_named(own_folder: Path) -> None:
    (own_folder / "file").write_text("in the way")
    await _refuses(own_folder / "file" / "sessions.db", StorageError, r"folder|file")


async def test_a_read_only_database_is_readable_and_refuses_writes(own_folder: Path) -> None:
    """Enforced by SQLite itself, since root may write read-only files."""
    path = own_folder / "sessions.db"
    async with SessionManager("sqlite", storage_config={"db_path": str(path)}) as manager:
        session = await manager.create_session("user", "mock", "m", session_id="s")
        await session.send_message("before")
        storage: Any = manager._services.storage
        await storage._runner.write(_forbid_writing)
        for attempt in (session.send_message("x"), session.archive(), session.update_context({"a": 1})):
            with pytest.raises(StorageError, match=r"cannot be written. Make the file and its folder writable"):
                await attempt
        assert [message.content for message in await session.get_messages()] == ["before", "Mock response to: before"]
        assert len(session.provider_session.requests) == 1


async def test_a_full_disk_stores_nothing_by_halves_and_is_got_over(own_folder: Path) -> None:
    """SQLite's own limit of pages stands in for the disk's: the same error, at the same place."""
    path = own_folder / "sessions.db"
    async with SessionManager("sqlite", storage_config={"db_path": str(path)}, retry=AT_ONCE) as manager:
        session = await manager.create_session("user", "mock", "m", session_id="s")
        storage: Any = manager._services.storage

        def limit(connection: Any, pages: int) -> None:
            used = connection.exec_driver_sql("PRAGMA page_count").scalar()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {used + pages}")

        await storage._runner.write(limit, 3)
        answered = failed = 0
        for number in range(40):
            outcome = await _outcome(session.send_message(f"{number} " + "x" * 2000))
            assert outcome is None or "full" in outcome
            answered += outcome is None
            failed += outcome is not None
        assert answered
        assert failed
        await storage._runner.write(limit, 1000)
        assert (await session.send_message("room again")).content == "Mock response to: room again"
        messages = await session.get_messages()
        assert sum(message.status == "completed" and message.role == "user" for message in messages) == answered + 1
        for message in messages:
            assert message.status != "pending"
        assert session.message_count == len(messages)
        assert not await leftovers(manager)


def _forbid_writing(connection: Any) -> None:
    connection.exec_driver_sql("PRAGMA query_only = 1")


async def _outcome(turn: Awaitable[object]) -> str | None:
    try:
        await turn
    except StorageError as error:
        return str(error)
    return None


async def _everything(manager: SessionManager) -> list[Any]:
    return [await rows_of(manager, f"SELECT * FROM {table}") for table in ("sessions", "turns", "messages")]
