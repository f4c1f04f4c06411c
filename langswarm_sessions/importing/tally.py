"""Counting while an import runs."""

from __future__ import annotations

from dataclasses import dataclass, field

from langswarm_sessions.importing.report import ImportProblem, ImportProgress, ImportReport
from langswarm_sessions.importing.source import SourceSurvey

__all__ = ["Tally"]

_MOST_PROBLEMS = 1000


@dataclass(slots=True, kw_only=True)
class Tally:
    """The figures of one import, as they grow; see ImportReport."""

    survey: SourceSurvey
    dry_run: bool
    found: int = 0
    imported: int = 0
    extended: int = 0
    unchanged: int = 0
    skipped: int = 0
    read: int = 0
    stored: int = 0
    already_there: int = 0
    refused: int = 0
    problems: list[ImportProblem] = field(default_factory=list[ImportProblem])
    left_out: int = 0

    def note(self, problem: ImportProblem) -> None:
        """Keep a problem, or count it where there are too many."""
        if len(self.problems) < _MOST_PROBLEMS:
            self.problems.append(problem)
        else:
            self.left_out += 1

    def progress(self) -> ImportProgress:
        """Return how far the import is."""
        return ImportProgress(
            sessions=self.imported + self.extended + self.unchanged + self.skipped,
            messages=self.stored + self.already_there + self.refused,
            total_sessions=self.survey.sessions,
            total_messages=self.survey.entries,
        )

    def report(self, source: str) -> ImportReport:
        """Return what was done."""
        return ImportReport(
            source=source,
            dry_run=self.dry_run,
            sessions_found=self.found,
            sessions_imported=self.imported,
            sessions_extended=self.extended,
            sessions_already_there=self.unchanged,
            sessions_skipped=self.skipped,
            messages_read=self.read,
            messages_stored=self.stored,
            messages_already_there=self.already_there,
            messages_refused=self.refused,
            problems=tuple(self.problems),
            problems_left_out=self.left_out,
            notes=self.survey.notes,
        )
