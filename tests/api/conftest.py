"""Fixtures of tests/session/kit.py, for this folder."""

from __future__ import annotations

from tests.session.kit import backend, manager, no_globals, open_manager, session

__all__ = ["backend", "manager", "no_globals", "open_manager", "session"]
