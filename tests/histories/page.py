"""The page of the docs that tells how the well-known histories do."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from langswarm_sessions.testing.langchain import HistoryReport, compare_histories

PAGE = Path(__file__).parents[2] / "docs" / "history-conformance.md"
BEGIN, END = "<!-- written by: make histories -->\n", "<!-- end of what is written -->"
PACKAGES = ("langchain-core", "langchain-community", "langchain-postgres", "langchain-redis")


def written(reports: Sequence[HistoryReport]) -> str:
    """Return what the page tells of reports: the table, and what was seen of whatever is broken."""
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    lines = [f"Run with {versions}.", "", compare_histories(reports), ""]
    for report in reports:
        if report.broken:
            lines += [f"**{report.name}**", ""]
            lines += [f"- `{result.check}`: {result.detail}" for result in report.broken]
            lines += [""]
    return "\n".join(lines)


def page_with(section: str) -> str:
    """Return the page with another section in place of the one that is written."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    return f"{before}{BEGIN}\n{section}\n{END}{rest.partition(END)[2]}"


def section() -> str:
    """Return what stands on the page."""
    return PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0].strip()


def columns() -> dict[str, dict[str, str]]:
    """Return the table of the page: the sign of each check, by history."""
    rows = [line.strip("| ").split(" | ") for line in section().splitlines() if line.startswith("|")]
    header, body = rows[0], [row for row in rows[2:] if row[-len(rows[0]) + 1 :]]
    return {
        name: {row[1].strip("`"): row[at] for row in body if row[1].startswith("`")}
        for at, name in enumerate(header)
        if at > 1
    }
