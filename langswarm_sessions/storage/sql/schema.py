"""The version of the schema: create it, check it, upgrade it. Serialised across processes, never half done."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from langswarm_sessions.errors import SchemaError
from langswarm_sessions.storage.sql.errors import translated
from langswarm_sessions.storage.sql.tables import metadata

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory

__all__ = [
    "HEAD",
    "VERSION_TABLE",
    "backup_file",
    "check",
    "create_in_memory",
    "ensure_schema",
    "probe",
    "revision_of",
    "scripts",
    "upgrade",
    "upgrade_file",
]

HEAD = "0001"
VERSION_TABLE = "langswarm_sessions_schema"

_READ_VERSION = text(f"SELECT version_num FROM {VERSION_TABLE}")
_TOUCH = text(f"UPDATE {VERSION_TABLE} SET version_num = version_num")
_NEWER = (
    "The database has schema revision {found!r}, which this version of langswarm-sessions (revision {head!r}) does not "
    "know. Upgrade the package, or use another database."
)
_FOREIGN = "The database holds tables of another program. Use a database of its own for langswarm-sessions."


def ensure_schema(connection: Connection, raw: sqlite3.Connection, *, backup_of: Path | None = None) -> None:
    """Bring the database to this code's schema: create it when it is empty, upgrade it when it is older.

    Args:
        connection: Outside of a transaction.
        raw: The driver's connection below it.
        backup_of: The database file, to be copied before an upgrade (None: no copy).

    Raises:
        SchemaError: The schema is newer or another program's.
    """
    found = revision_of(connection)
    if found == HEAD:
        return
    if found is not None:
        _check_known(found)
        if backup_of is not None:
            backup_file(raw, backup_of.with_name(f"{backup_of.name}.{_now()}-schema-{found}.backup"))
    raw.execute("BEGIN IMMEDIATE")
    try:
        upgrade(connection)
        raw.execute("COMMIT")
    except BaseException:
        if raw.in_transaction:
            raw.execute("ROLLBACK")
        raise


def revision_of(connection: Connection) -> str | None:
    """Return the revision of the database's schema; None when it has none of ours."""
    try:
        row = connection.execute(_READ_VERSION).first()
    except OperationalError as error:
        if "no such table" in str(error.orig):
            return None
        raise
    return None if row is None else str(row[0])


def probe(connection: Connection) -> str:
    """Write without changing anything, so that a database that cannot be written says so; return its revision."""
    connection.execute(_TOUCH)
    return revision_of(connection) or ""


def create_in_memory(connection: Connection) -> None:
    """Create the schema in a database that nobody else sees and that never needs to be upgraded."""
    metadata.create_all(connection)
    connection.execute(text(f"CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32) NOT NULL)"))
    connection.execute(text(f"INSERT INTO {VERSION_TABLE} VALUES ('{HEAD}')"))


def upgrade(connection: Connection) -> str:
    """Run the migrations that are missing, within the caller's transaction; return the revision reached.

    Raises:
        SchemaError: The schema is newer or another program's.
    """
    from alembic.migration import MigrationContext
    from alembic.operations import Operations

    found = revision_of(connection)  # read again: another process may have been first
    if found == HEAD:
        return HEAD
    if found is None:
        _check_empty(connection)
    else:
        _check_known(found)
    directory = scripts()

    def steps(revision: Any, _: MigrationContext) -> Any:
        return directory._upgrade_revs(HEAD, revision)  # pyright: ignore[reportPrivateUsage]

    options = {"version_table": VERSION_TABLE, "fn": steps}
    context = MigrationContext.configure(connection, opts=options)
    with Operations.context(context):
        context.run_migrations()
    return HEAD


def scripts() -> ScriptDirectory:
    """Return the migrations that come with this package."""
    from alembic.script import ScriptDirectory

    return ScriptDirectory(str(Path(__file__).with_name("migrations")))


def backup_file(raw: sqlite3.Connection, target: Path) -> Path:
    """Copy the live database behind `raw` to a new file, while others go on writing."""
    target.parent.mkdir(parents=True, exist_ok=True)
    copy = sqlite3.connect(target)
    try:
        raw.backup(copy)
    finally:
        copy.close()
    return target


def _check_empty(connection: Connection) -> None:
    if connection.execute(text("SELECT count(*) FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'")).scalar():
        raise SchemaError(_FOREIGN)


def _check_known(found: str) -> None:
    from alembic.util import CommandError

    try:
        scripts().get_revision(found)
    except CommandError as error:
        raise SchemaError(_NEWER.format(found=found, head=HEAD)) from error


def _now() -> str:
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")


def check(path: str | os.PathLike[str]) -> str | None:
    """Return the schema revision of a database file without changing it; None when there is no database yet.

    Args:
        path: The file.

    Raises:
        SchemaError: The schema is newer, another program's, or the file is no database.
    """
    if not os.path.exists(path):
        return None
    with translated(file=path), _opened(path) as (connection, _):
        found = revision_of(connection)
        if found is None:
            _check_empty(connection)
        else:
            _check_known(found)
        return found


def upgrade_file(path: str | os.PathLike[str], *, backup: bool = False) -> str:
    """Create or upgrade the schema of a database file; return its revision.

    Args:
        path: The file; it is made if need be.
        backup: Whether to copy the file beside itself before an upgrade.

    Raises:
        SchemaError: The schema is newer, another program's, or the file is no database.
    """
    with translated(file=path), _opened(path) as (connection, raw):
        ensure_schema(connection, raw, backup_of=Path(path) if backup else None)
        return HEAD


@contextmanager
def _opened(path: str | os.PathLike[str]) -> Generator[tuple[Connection, sqlite3.Connection]]:
    raw = sqlite3.connect(path, timeout=30, isolation_level=None)
    engine = create_engine("sqlite://", creator=lambda: raw, poolclass=NullPool, hide_parameters=True)
    with engine.connect() as connection:
        yield connection, raw
