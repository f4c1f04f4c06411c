"""Tables of the docs that list what the code has: nothing is missing, nothing is made up."""

from __future__ import annotations

import re
from inspect import signature
from pathlib import Path

import pytest

from langswarm_sessions.events import EventType
from langswarm_sessions.hooks import HOOK_POINTS
from langswarm_sessions.providers.cohere import CohereConnection
from langswarm_sessions.providers.settings import DOCUMENTED_SETTINGS
from langswarm_sessions.storage.sql.checkpoints.tables import metadata  # all tables there are
from langswarm_sessions_otel.setup.configure import TelemetryHandle, configure_telemetry

DOCS = Path(__file__).parents[2] / "docs"
CODE = re.compile(r"`([a-z_]+)[^`]*`")


def _members(kind: type) -> set[str]:
    return {name for name in vars(kind) if not name.startswith("_")}


def _first_cells(page: str, header: str) -> list[str]:
    """Return the names in the first column of the table with this header."""
    _, _, rest = (DOCS / page).read_text().partition(f"| {header} |")
    rows = re.match(r"[^\n]*\n((?:\|[^\n]*\n)+)", rest)
    assert rows is not None, f"{page} has no table {header!r}"
    return [name for row in rows[1].splitlines() for name in CODE.findall(row.split("|")[1])]


@pytest.mark.parametrize(
    ("page", "header", "there_are"),
    [
        ("concepts/events.md", "Type", {*map(str, EventType)}),
        ("concepts/middleware-and-hooks.md", "Method", {*HOOK_POINTS}),
        ("configuration.md", "Key | Value | OpenAI", {*DOCUMENTED_SETTINGS}),
        ("storage.md", "Table", {*metadata.tables}),
        ("telemetry/setup.md", "Argument", {*signature(configure_telemetry).parameters}),
        ("telemetry/setup.md", "Member", _members(TelemetryHandle) - {"request"}),
    ],
)
def test_a_table_lists_what_there_is(page: str, header: str, there_are: set[str]) -> None:
    listed = _first_cells(page, header)
    assert sorted(listed) == sorted(there_are)


def test_settings_of_one_provider_alone_are_named() -> None:
    page = (DOCS / "configuration.md").read_text()
    assert [name for name in {*CohereConnection.settings} - {*DOCUMENTED_SETTINGS} if f"`{name}`" not in page] == []
