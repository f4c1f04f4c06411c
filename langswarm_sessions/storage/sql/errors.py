"""Foreign errors, translated once: what the database reports becomes a StorageError that says what to do."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from typing import cast

from sqlalchemy.exc import SQLAlchemyError, StatementError

from langswarm_sessions.errors import InvalidInputError, SchemaError, StorageError

__all__ = ["path_of_surrogate", "storage_error", "translated"]

_BUSY = "The database is locked by another process. Try again; if it stays so, raise pool_timeout or end that process."
_OTHER = "The database failed ({name}). See the cause of this error."

# Primary result codes of SQLite: https://www.sqlite.org/rescode.html
_REMEDIES: Mapping[int, str] = {
    sqlite3.SQLITE_BUSY: _BUSY,
    sqlite3.SQLITE_LOCKED: _BUSY,
    sqlite3.SQLITE_FULL: "The disk is full: nothing was stored. Free some space and try again.",
    sqlite3.SQLITE_READONLY: "The database cannot be written. Make the file and its folder writable for this user.",
    sqlite3.SQLITE_PERM: "The database may not be accessed. Make the file and its folder accessible for this user.",
    sqlite3.SQLITE_CANTOPEN: "The database file cannot be opened. Check that its folder exists and can be written.",
    sqlite3.SQLITE_IOERR: "Reading or writing the database file failed. Check the disk (space, quota, health).",
    sqlite3.SQLITE_CORRUPT: "The database file is damaged. Restore a backup or run `sqlite3 FILE .recover`.",
    sqlite3.SQLITE_TOOBIG: "A value is too long for the database: nothing was stored.",
}
_NOT_A_DATABASE = "The file is not a SQLite database. Point db_path at another file."
_NO_TABLE = "The database lacks a table or column of this version. Run `langswarm-sessions db check`."
_RETRYABLE = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR})


@contextmanager
def translated(*values: object, file: str | os.PathLike[str] = "") -> Generator[None]:
    """Raise what the database or its driver raises within the block as an error of this library.

    Args:
        values: What is being stored, searched for the field at fault when its text or JSON cannot be.
        file: The database, named in errors.

    Raises:
        StorageError: The database failed; the message says what to do.
        InvalidInputError: A value cannot be stored.
    """
    try:
        yield
    except UnicodeEncodeError as error:
        raise _bad_text(error, values) from error
    except StatementError as error:
        if isinstance(error.orig, UnicodeEncodeError):
            raise _bad_text(error.orig, values) from error
        if isinstance(error.orig, TypeError | ValueError | OverflowError | RecursionError):
            raise InvalidInputError(
                "A value cannot be stored: metadata, context, configs and tool arguments must be plain JSON "
                f"({type(error.orig).__name__})."
            ) from error
        raise storage_error(error, file) from error
    except OverflowError as error:
        raise InvalidInputError("A whole number is too large to be stored (more than 64 bits).") from error
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise storage_error(error, file) from error
    except OSError as error:
        problem = f"The database file cannot be reached ({error.strerror})."
        raise StorageError(_named(file, f"{problem} Check db_path, its folder and their permissions.")) from error


def storage_error(error: Exception, file: str | os.PathLike[str] = "") -> StorageError:
    """Return the StorageError that says what `error`, met in the database `file`, means for the caller."""
    cause = getattr(error, "orig", None) or error
    code = getattr(cause, "sqlite_errorcode", None)
    primary = code & 0xFF if isinstance(code, int) else None
    if primary == sqlite3.SQLITE_NOTADB:
        return SchemaError(_named(file, _NOT_A_DATABASE))
    if primary == sqlite3.SQLITE_ERROR and "no such" in str(cause):
        return SchemaError(_named(file, _NO_TABLE))
    remedy = _REMEDIES.get(primary) if primary is not None else None
    name = getattr(cause, "sqlite_errorname", type(cause).__name__)
    return StorageError(_named(file, remedy or _OTHER.format(name=name)), retryable=primary in _RETRYABLE)


def _named(file: str | os.PathLike[str], message: str) -> str:
    return f"{os.fspath(file)}: {message}" if file else message


def path_of_surrogate(value: object, path: str = "") -> str | None:
    """Return where in `value` a text is that is not valid Unicode, such as "inputs[0].content"."""
    if isinstance(value, str):
        return (path or "text") if _is_broken(value) else None
    for step, item in _items_of(value):
        if (found := path_of_surrogate(item, f"{path}{step}" if path else step.lstrip("."))) is not None:
            return found
    return None


def _items_of(value: object) -> Iterator[tuple[str, object]]:
    if is_dataclass(value) and not isinstance(value, type):
        for name in (item.name for item in fields(value)):
            yield f".{name}", getattr(value, name)
    elif isinstance(value, Mapping):
        for key, item in cast("Mapping[object, object]", value).items():
            yield (".(key)", key) if isinstance(key, str) and _is_broken(key) else (f".{key}", item)
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        for index, item in enumerate(cast("Sequence[object]", value)):
            yield f"[{index}]", item


def _is_broken(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _bad_text(error: UnicodeEncodeError, values: Sequence[object]) -> InvalidInputError:
    field = next((found for value in values if (found := path_of_surrogate(value)) is not None), "a text")
    return InvalidInputError(
        f"{field}: the text holds a lone surrogate ({error.reason}), which is not valid Unicode. "
        "Decode its source as UTF-8, or replace what cannot be decoded."
    )
