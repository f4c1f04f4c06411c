"""Fixtures of tests/kills/fixtures.py, for this folder."""

from __future__ import annotations

from tests.kills.fixtures import zygote

__all__ = ["zygote"]
