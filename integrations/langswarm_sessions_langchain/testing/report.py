"""What was found out about a history, and how it is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

__all__ = ["CheckResult", "HistoryReport", "Verdict", "compare_histories"]


class Verdict(StrEnum):
    """What a check found."""

    HOLDS = "holds"
    BROKEN = "broken"
    NOT_APPLICABLE = "not applicable"
    UNFINISHED = "unfinished"
    """It did not come to its end in time, which says as much of the machine as of the history."""


_SIGNS = {
    Verdict.HOLDS: "✓",
    Verdict.BROKEN: "✗ broken",
    Verdict.NOT_APPLICABLE: "–",
    Verdict.UNFINISHED: "? unfinished",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """What one check found.

    Args:
        check: Its name.
        group: What it is about.
        about: What it does, in a sentence.
        reason: Why users need it.
        verdict: Whether it holds.
        detail: What was seen instead, or why it is not applicable, or what is worth noting; may be empty.
        error: What the history raised, with its traceback, where that is why it is broken.
    """

    check: str
    group: str
    about: str
    reason: str
    verdict: Verdict
    detail: str = ""
    error: Exception | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryReport:
    """What all checks found of one history. `print(report)` shows it as a table.

    Args:
        name: Which history.
        results: In the order of the checks.
    """

    name: str
    results: tuple[CheckResult, ...]

    @property
    def conforms(self) -> bool:
        """Whether nothing is broken, and nothing unfinished."""
        return not self.broken and not self.unfinished

    @property
    def broken(self) -> tuple[CheckResult, ...]:
        """What does not hold."""
        return self._with(Verdict.BROKEN)

    @property
    def not_applicable(self) -> tuple[CheckResult, ...]:
        """What could not be said."""
        return self._with(Verdict.NOT_APPLICABLE)

    @property
    def unfinished(self) -> tuple[CheckResult, ...]:
        """What did not come to its end in time."""
        return self._with(Verdict.UNFINISHED)

    def table(self) -> str:
        """Return the results as a Markdown table, one row a check."""
        rows = [(result.group, result.check, _SIGNS[result.verdict], result.detail) for result in self.results]
        return markdown_table(("About", "Check", self.name or "History", "Seen"), rows)

    def __str__(self) -> str:
        """Return the table and how many checks hold."""
        holds = len(self._with(Verdict.HOLDS))
        told = f"{holds} hold, {len(self.broken)} broken, {len(self.not_applicable)} not applicable"
        rest = f", {len(self.unfinished)} unfinished" if self.unfinished else ""
        return f"{self.table()}\n\n{self.name or 'The history'}: {told}{rest}"

    def _with(self, verdict: Verdict) -> tuple[CheckResult, ...]:
        return tuple(result for result in self.results if result.verdict is verdict)


def compare_histories(reports: Sequence[HistoryReport]) -> str:
    """Return reports side by side as a Markdown table: one row a check, one column a history.

    Args:
        reports: Of the same checks.

    Raises:
        ValueError: They are not of the same checks.
    """
    if len({tuple(result.check for result in report.results) for report in reports}) > 1:
        raise ValueError("reports: run the same checks on each history to compare them")
    if not reports:
        return ""
    header = ("About", "Check", *(report.name for report in reports))
    rows = [
        (results[0].group, f"`{results[0].check}`", *(_SIGNS[result.verdict] for result in results))
        for results in zip(*(report.results for report in reports), strict=True)
    ]
    counts = (f"{len(report.broken)}" for report in reports)
    return markdown_table(header, [*rows, ("", "broken", *counts)])


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(0x2758)) for cell in line)} |" for line in lines)
