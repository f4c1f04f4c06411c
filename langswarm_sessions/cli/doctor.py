"""The command `doctor`: what is installed, configured, reachable and writable."""

from __future__ import annotations

from dataclasses import asdict
from itertools import groupby
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from langswarm_sessions.cli.checks import (
    Check,
    State,
    database_checks,
    package_checks,
    provider_checks,
)
from langswarm_sessions.cli.output import counted, printable, results, write_json
from langswarm_sessions.cli.telemetry_checks import telemetry_checks

__all__ = ["examine"]

_MARKS = {
    State.OK: ("✓", "green"),
    State.ABSENT: ("–", "dim"),
    State.NOTICE: ("!", "yellow"),
    State.BROKEN: ("✗", "bold red"),
}


def examine(path: Path, *, offline: bool, as_json: bool) -> int:
    """Look at everything and report.

    Args:
        path: The database.
        offline: Contact no provider.
        as_json: Write JSON.

    Returns:
        The exit code: 1 when something is broken.
    """
    checks = [
        *package_checks(),
        *provider_checks(offline=offline),
        *database_checks(path),
        *telemetry_checks(offline=offline),
    ]
    broken = [check for check in checks if check.state is State.BROKEN]
    if as_json:
        write_json({"ok": not broken, "checks": [asdict(check) for check in checks]})
    else:
        results().print(_report(checks))
        results().print(_verdict(broken))
    return 1 if broken else 0


def _report(checks: list[Check]) -> RenderableType:
    width = max(len(check.name) for check in checks)
    sections: list[RenderableType] = []
    for section, members in groupby(checks, key=lambda check: check.section):
        table = Table.grid(padding=(0, 1))
        table.add_column(width=1)
        table.add_column(width=width)
        table.add_column(overflow="fold")
        for check in members:
            mark, style = _MARKS[check.state]
            found = Text(printable(check.found), style="dim" if check.state is State.ABSENT else "default")
            if check.remedy:
                found.append(f"\n→ {printable(check.remedy)}", style=style)
            table.add_row(Text(mark, style=style), Text(check.name), found)
        sections += [Text(section, style="bold"), table, Text()]
    return Group(*sections)


def _verdict(broken: list[Check]) -> Text:
    if not broken:
        return Text("Nothing is broken.", style="green")
    return Text(f"{counted(len(broken), 'thing')} broken: see ✗ above.", style="bold red")
