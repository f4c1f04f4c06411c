"""The schema: made by migrations, the same as the tables statements are built from, checked on every opening."""

# ruff: noqa: ASYNC240 - a test may wait for its own small files

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from langswarm_sessions.errors import SchemaError
from langswarm_sessions.storage import InMemorySessionStorage, SQLiteSessionStorage
from langswarm_sessions.storage.sql import schema
from langswarm_sessions.storage.sql.tables import metadata
from langswarm_sessions.testing.storage_kit import StorageKit, session_record

Rows = Callable[..., list[tuple[Any, ...]]]


async def test_migrations_make_the_tables_statements_are_built_from(storage: SQLiteSessionStorage) -> None:
    def differences(connection: Connection) -> list[Any]:
        options = {"version_table": schema.VERSION_TABLE, "compare_type": True, "compare_server_default": True}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))

    assert await storage._runner.read(differences) == []


async def test_memory_and_file_have_the_same_tables(storage: SQLiteSessionStorage) -> None:
    def tables(connection: Connection) -> set[str]:
        found = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").all()
        made = {name: " ".join(text.replace(",", " ,").split()) for name, text in found}
        return {f"{name}: {sorted(text.split())}" for name, text in made.items() if name != schema.VERSION_TABLE}

    memory = InMemorySessionStorage()
    assert await memory._runner.read(tables) == await storage._runner.read(tables)
    await memory.close()


def test_the_newest_migration_is_the_one_the_code_expects() -> None:
    assert schema.scripts().get_current_head() == schema.HEAD


async def test_opening_again_reads_one_row_and_loads_no_alembic(storage: SQLiteSessionStorage, kit: StorageKit) -> None:
    await kit.turn("question", "answer")
    await storage.close()
    source = """
import asyncio, sys
from langswarm_sessions.storage import SQLiteSessionStorage
storage = SQLiteSessionStorage(sys.argv[1])
record = asyncio.run(storage.load_session("s"))
asyncio.run(storage.close())
print(record.counters.messages, "alembic" in sys.modules)
"""
    command = [sys.executable, "-c", source, storage.db_path]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root)  # noqa: ASYNC221
    assert done.stdout.split() == ["2", "False"]


def _set_revision(path: Path, revision: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"UPDATE {schema.VERSION_TABLE} SET version_num = ?", (revision,))
        connection.commit()


async def test_a_newer_schema_is_refused_and_left_alone(storage: SQLiteSessionStorage, db: Path, rows: Rows) -> None:
    await storage.insert_session(session_record("s"))
    await storage.close()
    _set_revision(db, "9999")
    newer = SQLiteSessionStorage(db)
    with pytest.raises(SchemaError, match=r"'9999'.*Upgrade langswarm-sessions"):
        await newer.load_session("s")
    await newer.close()
    assert rows(db, f"SELECT version_num FROM {schema.VERSION_TABLE}") == [("9999",)]


async def test_tables_of_another_program_are_left_alone(db: Path, rows: Rows) -> None:
    with closing(sqlite3.connect(db)) as connection:
        connection.execute("CREATE TABLE sessions (theirs TEXT)")
        connection.commit()
    storage = SQLiteSessionStorage(db)
    with pytest.raises(SchemaError, match="another program"):
        await storage.load_session("s")
    await storage.close()
    assert [name for (name,) in rows(db, "SELECT name FROM sqlite_master")] == ["sessions"]


async def test_an_older_schema_is_upgraded_after_a_backup(
    db: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, rows: Rows
) -> None:
    storage = SQLiteSessionStorage(db)
    kit = await StorageKit.of_new_session(storage, session_id="s")
    await kit.turn("question", "answer")
    await storage.close()
    _with_next_migration(monkeypatch, tmp_path, "op.add_column('sessions', sa.Column('extra', sa.Text()))")
    upgraded = SQLiteSessionStorage(db, backup_enabled=True)
    assert await upgraded.load_session("s") is not None
    await upgraded.close()
    assert rows(db, f"SELECT version_num FROM {schema.VERSION_TABLE}") == [(NEXT,)]
    assert rows(db, "SELECT extra FROM sessions") == [(None,)]
    (copy,) = tmp_path.glob(f"*-schema-{NEWEST}.backup")
    assert rows(copy, f"SELECT version_num FROM {schema.VERSION_TABLE}") == [(NEWEST,)]
    assert rows(copy, "SELECT count(*) FROM messages") == [(2,)]


async def test_a_migration_that_fails_half_way_leaves_the_old_schema(
    db: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, rows: Rows
) -> None:
    storage = SQLiteSessionStorage(db)
    await storage.insert_session(session_record("s"))
    await storage.close()
    before = rows(db, "SELECT sql FROM sqlite_master")
    broken = "op.add_column('sessions', sa.Column('extra', sa.Text())); op.execute('SELECT * FROM nowhere')"
    _with_next_migration(monkeypatch, tmp_path, broken)
    failing = SQLiteSessionStorage(db)
    with pytest.raises(SchemaError):
        await failing.load_session("s")
    await failing.close()
    assert rows(db, "SELECT sql FROM sqlite_master") == before
    assert rows(db, f"SELECT version_num FROM {schema.VERSION_TABLE}") == [(NEWEST,)]


async def test_a_database_of_the_first_release_is_upgraded_with_all_it_holds(
    db: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, rows: Rows
) -> None:
    with monkeypatch.context() as first_release:
        _with_migrations(first_release, tmp_path, ["0001_initial.py"], newest="0001")
        old = SQLiteSessionStorage(db)
        await old.check_health()
        await old.close()
    with closing(sqlite3.connect(db)) as connection, connection:
        connection.execute(
            "INSERT INTO sessions (session_id, user_id, provider, model, strategy, status, created_at, last_activity,"
            " turns, response_count, total_tokens) VALUES ('s', 'u', 'mock', 'm', 'hybrid', 'active', 1, 1, 4, 1, 70)"
        )
        ends = (
            ("completed", None),
            ("interrupted", None),
            ("failed", "ProviderTimeoutError"),
            ("failed", "RateLimitError"),
        )
        connection.executemany(
            "INSERT INTO turns (session_id, turn_id, turn_index, state, error_type, input_digest, first_seq,"
            " last_input_seq, last_seq, started_at) VALUES ('s', ?, ?, ?, ?, '', 1, 1, 2, 1)",
            [(f"t{index}", index, state, error) for index, (state, error) in enumerate(ends, start=1)],
        )
    assert "summaries" not in [name for (name,) in rows(db, "SELECT name FROM sqlite_master")]
    storage = SQLiteSessionStorage(db)
    record = await storage.load_session("s")
    assert record is not None
    assert record.counters.total_tokens == 70
    assert (record.counters.total_cost, record.counters.unpriced_turns) == (None, 3), "nobody knows what they cost"
    assert (await storage.analytics(None, None)).unpriced_turns == 3
    assert await storage.load_summary("s") is None
    await storage.close()
    assert rows(db, f"SELECT version_num FROM {schema.VERSION_TABLE}") == [(NEWEST,)]


VERSIONS = Path(schema.__file__).with_name("migrations") / "versions"
NEWEST = schema.HEAD
NEXT = f"{int(NEWEST) + 1:04}"


def _with_next_migration(monkeypatch: pytest.MonkeyPatch, folder: Path, operations: str) -> None:
    versions = _with_migrations(monkeypatch, folder, [path.name for path in VERSIONS.glob("0*.py")], newest=NEXT)
    (versions / f"{NEXT}_next.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\n"
        f"revision, down_revision, branch_labels, depends_on = '{NEXT}', '{NEWEST}', None, None\n"
        f"def upgrade():\n    {operations}\n"
    )


def _with_migrations(monkeypatch: pytest.MonkeyPatch, folder: Path, names: list[str], *, newest: str) -> Path:
    """Let the code know these migrations only; return the folder they are in."""
    from alembic.script import ScriptDirectory

    versions = folder / "migrations" / "versions"
    versions.mkdir(parents=True)
    for name in names:
        (versions / name).write_text((VERSIONS / name).read_text())
    monkeypatch.setattr(schema, "HEAD", newest)
    monkeypatch.setattr(schema, "scripts", lambda: ScriptDirectory(str(versions.parent)))
    return versions


async def test_it_tells_its_revision(storage: SQLiteSessionStorage) -> None:
    assert (await storage.check_health())["schema_revision"] == schema.HEAD
    assert (await storage.get_database_stats())["schema_revision"] == schema.HEAD


@pytest.mark.parametrize(("found", "tables", "problem"), [("9999", 3, "newer"), (None, 1, "another program")])
def test_what_is_not_of_this_version_is_refused(found: str | None, tables: int, problem: str) -> None:
    with pytest.raises(SchemaError, match=problem):
        schema.check_usable(found, tables=tables)


def test_ours_and_nothing_at_all_are_usable() -> None:
    schema.check_usable(schema.HEAD, tables=3)
    schema.check_usable(None, tables=0)
