"""From a name, a URL or an object to a storage; and the arguments of the built-in ones."""

# ruff: noqa: ASYNC240 - a test may wait for its own small files

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest

from langswarm_sessions.errors import ConfigurationError
from langswarm_sessions.storage import (
    InMemorySessionStorage,
    SQLiteSessionStorage,
    StorageFactory,
    open_storage,
)
from langswarm_sessions.testing.storage_kit import session_record


@pytest.fixture
def registered() -> Iterator[None]:
    """Forget registrations after the test."""
    before = dict(StorageFactory._registered)
    yield
    StorageFactory._registered.clear()
    StorageFactory._registered.update(before)


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ("sqlite", "langswarm_sessions.db"),
        ("sqlite:///one.db", "one.db"),
        ("sqlite+pysqlite:///folder/one.db", "folder/one.db"),
    ],
)
async def test_names_and_urls_of_files(own_folder: Path, spec: str, path: str) -> None:
    storage = open_storage(spec)
    assert isinstance(storage, SQLiteSessionStorage)
    assert not list(own_folder.iterdir())  # nothing is opened before the first use
    await storage.insert_session(session_record())
    assert (own_folder / path).is_file()
    await storage.close()


async def test_absolute_urls(tmp_path: Path) -> None:
    storage = cast("SQLiteSessionStorage", open_storage(f"sqlite:///{tmp_path}/a b.db"))
    assert storage.db_path == str(tmp_path / "a b.db")
    await storage.insert_session(session_record())
    assert (tmp_path / "a b.db").is_file()
    await storage.close()


@pytest.mark.parametrize("spec", ["memory", "sqlite://", "sqlite:///:memory:"])
def test_names_of_memory(spec: str) -> None:
    assert isinstance(open_storage(spec), InMemorySessionStorage)


async def test_memory_by_path_is_private_and_makes_no_file(own_folder: Path) -> None:
    storage = SQLiteSessionStorage(db_path=":memory:")
    await storage.insert_session(session_record("s"))
    assert await storage.load_session("s") is not None
    assert not list(own_folder.iterdir())
    await storage.close()


@pytest.mark.parametrize("spec", ["postgresql", "redis", "postgresql://u:secret@host/db", "mysql", "", "sqlit"])
def test_what_is_not_there_yet_says_so(spec: str) -> None:
    with pytest.raises(ConfigurationError, match=r"not available in this version.*'memory', 'sqlite'") as caught:
        open_storage(spec)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "config", "problem"),
    [
        ("sqlite", {"db_pat": "x"}, "Did you mean 'db_path'"),
        ("memory", {"db_path": "x"}, "unknown key 'db_path'"),
        ("sqlite:///a.db", {"db_path": "x"}, "given by the URL"),
        ("sqlite://a.db", {}, "three slashes"),
        ("sqlite:///a.db?timeout=3", {}, "no parameters"),
        ("sqlite", {"db_path": ""}, "db_path"),
        ("sqlite", {"db_path": "a\0b"}, "db_path"),
        ("sqlite", {"db_path": 3}, "db_path"),
        ("sqlite", {"pool_size": 0}, "pool_size"),
        ("sqlite", {"pool_size": True}, "pool_size"),
        ("sqlite", {"max_overflow": -1}, "max_overflow"),
        ("sqlite", {"pool_timeout": "long"}, "pool_timeout"),
        ("sqlite", {"enable_wal": "yes"}, "enable_wal"),
        ("sqlite", {"auto_vacuum": 1}, "auto_vacuum"),
        ("sqlite", {"durability": "none"}, "durability"),
        ("sqlite", {"backup_enabled": None}, "backup_enabled"),
    ],
)
def test_wrong_arguments_are_refused_at_once(spec: str, config: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        open_storage(spec, config)


def test_objects_are_taken_as_they_are() -> None:
    storage = InMemorySessionStorage()
    assert open_storage(storage) is storage
    with pytest.raises(ConfigurationError, match="storage_config"):
        open_storage(storage, {"db_path": "x"})
    with pytest.raises(ConfigurationError, match="instance"):
        open_storage(cast("Any", SQLiteSessionStorage))
    with pytest.raises(ConfigurationError, match="name or a URL"):
        StorageFactory.create(cast("Any", 3))


@pytest.mark.usefixtures("registered")
def test_registered_names(tmp_path: Path) -> None:
    StorageFactory.register("mine", SQLiteSessionStorage)
    made = open_storage("mine", {"db_path": str(tmp_path / "mine.db")})
    assert isinstance(made, SQLiteSessionStorage)
    assert isinstance(StorageFactory.create(backend="mine", config={}), SQLiteSessionStorage)
    with pytest.raises(ConfigurationError, match="'mine'"):
        open_storage("other")
    for name in ("", "a://b", cast("str", 3)):
        with pytest.raises(ConfigurationError, match="name"):
            StorageFactory.register(name, SQLiteSessionStorage)
    with pytest.raises(ConfigurationError, match="callable"):
        StorageFactory.register("x", cast("Any", 3))


@pytest.mark.usefixtures("registered")
def test_what_goes_wrong_in_a_registered_factory_is_told_as_its_own() -> None:
    def makes(*, host: str) -> InMemorySessionStorage:
        raise ZeroDivisionError(host)

    StorageFactory.register("mine", makes)
    with pytest.raises(ConfigurationError, match=r"storage 'mine' cannot be made with it: .*'hst'"):
        open_storage("mine", {"host": "h", "hst": "h"})
    with pytest.raises(ConfigurationError, match=r"storage 'mine' cannot be made with it: .*'host'"):
        open_storage("mine")
    with pytest.raises(ConfigurationError, match=r"factory of 'mine' failed with ZeroDivisionError") as caught:
        open_storage("mine", {"host": "canary"})
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert "canary" not in str(caught.value)


async def test_arguments_reach_the_database(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    storage = SQLiteSessionStorage(path, durability="full", auto_vacuum=True, pool_timeout=1.5)

    def settings(connection: Any) -> list[Any]:
        names = ("journal_mode", "synchronous", "foreign_keys", "auto_vacuum", "busy_timeout")
        return [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]

    assert await storage._runner.write(settings) == ["wal", 2, 1, 2, 1500]
    assert await storage._runner.read(settings) == ["wal", 2, 1, 2, 1500]
    await storage.close()
    plain = SQLiteSessionStorage(tmp_path / "plain.db", enable_wal=False)
    assert await plain._runner.write(settings) == ["delete", 1, 1, 0, 30_000]
    await plain.close()


async def test_optimising_gives_space_back(tmp_path: Path) -> None:
    from langswarm_sessions.testing.storage_kit import StorageKit

    for number, arguments in enumerate(({}, {"auto_vacuum": True}, {"enable_wal": False})):
        storage = SQLiteSessionStorage(tmp_path / f"{number}.db", **cast("Any", arguments))
        kit = await StorageKit.of_new_session(storage)
        await kit.append(*("x" * 2_000 for _ in range(500)))
        from langswarm_sessions.records import SessionStatus

        await kit.change(status=SessionStatus.DELETED, deleted_at=kit.moment)
        assert await storage.purge_sessions(kit.moment.replace(year=2100)) == [kit.session_id]
        figures = await storage.optimize_database()
        assert figures["bytes_after"] < figures["bytes_before"] / 4
        assert (await storage.get_database_stats())["free_pages"] == 0
        await storage.close()


async def test_the_six_simple_methods(tmp_path: Path) -> None:
    storage = SQLiteSessionStorage(tmp_path / "sessions.db")
    made = await storage.create_session("s", "u", "mock", "m", {"tags": ["x"]}, {"k": 1})
    assert made["config"] == {"tags": ["x"]}
    assert (await storage.get_session("s") or {})["context"] == {"k": 1}
    assert await storage.get_session("nobody") is None
    first = await storage.add_message("s", {"role": "user", "content": "hi", "metadata": {"a": 1}})
    assert first["metadata"] == {"a": 1}
    await storage.add_message("s", {"role": "assistant", "content": "hello", "timestamp": "2024-01-01T00:00:00+00:00"})
    assert [message["content"] for message in await storage.get_messages("s")] == ["hi", "hello"]
    assert [message["content"] for message in await storage.get_messages("s", 1, "user")] == ["hi"]
    assert (await storage.health_check())["status"] == "healthy"
    await storage.close()
    with closing(sqlite3.connect(tmp_path / "sessions.db")) as connection:
        assert connection.execute("SELECT count(*) FROM messages").fetchone() == (2,)
