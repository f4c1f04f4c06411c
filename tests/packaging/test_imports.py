"""Importing the product is light: what is heavy is loaded on use."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = (
    "aiosqlite",
    "alembic",
    "google.protobuf",
    "grpc",
    "httpx",
    "httpx2",
    "langchain_core",
    "langsmith",
    "openai",
    "opentelemetry.exporter",
    "opentelemetry.sdk",
    "pydantic",
    "requests",
    "rich",
    "sqlalchemy",
    "typer",
)
LIST_MODULES = "import sys, json; import {module}; print(json.dumps(sorted(sys.modules)))"


def loaded_by(module: str) -> set[str]:
    """The modules a fresh interpreter holds after one import."""
    command = [sys.executable, "-c", LIST_MODULES.format(module=module)]
    return set(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def heavy_among(loaded: set[str], heavy: tuple[str, ...] = HEAVY) -> list[str]:
    """Those of the modules that are heavy packages or parts of one."""
    return sorted(name for name in loaded if any(name == root or name.startswith(f"{root}.") for root in heavy))


@pytest.mark.parametrize("module", ["langswarm_sessions", "langswarm_sessions_otel", "langswarm_sessions.interfaces"])
def test_importing_loads_nothing_heavy(module: str) -> None:
    assert heavy_among(loaded_by(module)) == []


@pytest.mark.parametrize("module", ["langswarm_sessions.storage", "langswarm_sessions.providers"])
def test_the_documented_folders_load_nothing_heavy(module: str) -> None:
    assert heavy_among(loaded_by(module)) == []


def test_the_langchain_faces_load_no_provider_and_no_database() -> None:
    edges = ("openai", "sqlalchemy", "alembic", "opentelemetry.sdk", "typer")
    assert heavy_among(loaded_by("langswarm_sessions_langchain"), edges) == []


def test_the_repository_folders_are_not_imported() -> None:
    assert heavy_among(loaded_by("langswarm_sessions_langchain"), ("integrations", "telemetry")) == []
