"""Fixtures of tests/e2e/openai_kit.py and tests/session/kit.py, for this folder."""

from __future__ import annotations

from tests.e2e.openai_kit import manager, recorded, say, server
from tests.session.kit import open_manager

__all__ = ["manager", "open_manager", "recorded", "say", "server"]
