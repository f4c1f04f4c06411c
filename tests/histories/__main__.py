"""Runs the well-known histories through the kit and prints how they do; `--write` puts it into the docs."""

from __future__ import annotations

import asyncio
import sys

from langswarm_sessions.testing.langchain import HistoryReport, check_history, compare_histories
from tests.histories.known import KNOWN, opened
from tests.histories.page import PAGE, page_with, written


async def _run(wanted: list[str]) -> list[HistoryReport]:
    reports: list[HistoryReport] = []
    for name in KNOWN:
        if not wanted or any(part.lower() in name.lower() for part in wanted):
            async with opened(name) as subject:
                reports.append(await check_history(subject, name=name))
            sys.stderr.write(f"{name}: {len(reports[-1].broken)} broken\n")
    return reports


def main() -> int:
    """Run all, or those whose names hold one of the arguments; the status is 1 if one of ours is broken."""
    reports = asyncio.run(_run([argument for argument in sys.argv[1:] if argument != "--write"]))
    if "--write" in sys.argv[1:]:
        PAGE.write_text(page_with(written(reports)), encoding="utf-8")
    for report in reports:
        if report.broken:
            print(f"\n{report}")
    print(f"\n{compare_histories(reports)}")
    return int(any(report.broken for report in reports if report.name.startswith("Session")))


sys.exit(main())
