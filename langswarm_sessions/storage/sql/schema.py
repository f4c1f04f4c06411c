"""The version of the schema: create it, check it, upgrade it. Serialised across processes, never half done."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from langswarm_sessions.errors import SchemaError
from langswarm_sessions.storage.sql.checkpoints.tables import metadata  # all tables there are

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory

__all__ = [
    "HEAD",
    "TABLES",
    "VERSION_TABLE",
    "backup_file",
    "check_usable",
    "create_in_memory",
    "ensure_schema",
    "probe",
    "revision_of",
    "scripts",
    "upgrade",
]

HEAD = "0004"
VERSION_TABLE = "langswarm_sessions_schema"

TABLES = "SELECT count(*) FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"

_READ_VERSION = text(f"SELECT version_num FROM {VERSION_TABLE}")
_TOUCH = text(f"UPDATE {VERSION_TABLE} SET version_num = version_num")
_NEWER = (
    "The database has schema revision {found!r}, newer than this version's {head!r}. Upgrade langswarm-sessions, or "
    "use another database."
)
_FOREIGN = "The file holds tables of another program. Use a file of its own for langswarm-sessions."


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
        check_usable(found, tables=0)
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


def check_usable(found: str | None, *, tables: int) -> None:
    """Refuse a database that is not ours, or of a version to come.

    Args:
        found: The revision of its schema; None when it has none of ours.
        tables: How many tables and indexes it holds (see `TABLES`).

    Raises:
        SchemaError: What is wrong, and what to do.
    """
    if found is None:
        if tables:
            raise SchemaError(_FOREIGN)
        return
    from alembic.util import CommandError

    try:
        scripts().get_revision(found)
    except CommandError as error:
        raise SchemaError(_NEWER.format(found=found, head=HEAD)) from error


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
    check_usable(found, tables=connection.execute(text(TABLES)).scalar_one())
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


def _now() -> str:
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
