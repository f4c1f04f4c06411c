"""Fixtures of tests/bad_input/kit.py, for this folder."""

from __future__ import annotations

from tests.bad_input.kit import ask, scene, wire
from tests.session.kit import open_manager

__all__ = ["ask", "open_manager", "scene", "wire"]
