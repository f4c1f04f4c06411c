"""The public interface as a type checker sees it: read by mypy and pyright, never run."""

from __future__ import annotations
