"""Text found in any case of letters, of every script: the one place to change for another database."""

from __future__ import annotations

import sqlite3

from sqlalchemy import ColumnElement, func

__all__ = ["holds_text", "install_casefold"]


def install_casefold(raw: sqlite3.Connection) -> None:
    """Give a connection the function that SQLite lacks: its own know the cases of ASCII letters alone."""
    raw.create_function("casefold", 1, _casefolded, deterministic=True)


def holds_text(column: ColumnElement[str] | ColumnElement[str | None], wanted: str) -> ColumnElement[bool]:
    """Return the condition that a column holds a text, in any case of letters."""
    return func.casefold(column).contains(wanted.casefold(), autoescape=True)


def _casefolded(text: str | None) -> str | None:
    return None if text is None else text.casefold()
