"""Runs the checks on a history."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Collection

from langswarm_sessions.errors import InvalidInputError
from langswarm_sessions_langchain.testing import (
    concurrency,
    failures,
    keeping,
    losslessness,
    ordering,
    purity,
    size,
)
from langswarm_sessions_langchain.testing.kit import Broken, Check, NotApplicable, Rig, error_of, registered
from langswarm_sessions_langchain.testing.report import CheckResult, HistoryReport, Verdict
from langswarm_sessions_langchain.testing.subject import HistorySubject, OpenHistory

__all__ = ["HISTORY_CHECKS", "check_history", "run_check"]

_GROUPS = (
    ordering.GROUP,
    concurrency.GROUP,
    losslessness.GROUP,
    failures.GROUP,
    purity.GROUP,
    keeping.FACES,
    keeping.SESSIONS,
    keeping.CLEARING,
    keeping.COPIES,
    size.GROUP,
)
HISTORY_CHECKS: tuple[Check, ...] = tuple(sorted(registered(), key=lambda entry: _GROUPS.index(entry.group)))
"""All checks, in the order of reports."""
_DETAIL_LENGTH = 160


async def check_history(
    history: HistorySubject | OpenHistory,
    *,
    name: str | None = None,
    only: Collection[str] | None = None,
    patience: float = 120.0,
) -> HistoryReport:
    """Run the checks on a history and tell what was found.

    Args:
        history: What is tested; a function that opens the history of a session id will do.
        name: What it is called in the report; by default what the subject says, else its class's name.
        only: Names of checks; all by default.
        patience: Seconds after which a check that does not come to its end is given up: it is "unfinished" then. A
            call that never lets go of the event loop cannot be given up.

    Returns:
        A result for each check; nothing the history does is raised.

    Raises:
        InvalidInputError: `only` names a check there is not.

    Example:
        >>> report = await check_history(lambda session_id: FileChatMessageHistory(f"{session_id}.json"))
        >>> print(report)
    """
    subject = history if isinstance(history, HistorySubject) else HistorySubject(open=history)
    known = {entry.name for entry in HISTORY_CHECKS}
    unknown = sorted({*(only or ())} - known)
    if unknown:
        raise InvalidInputError(f"only: there is no check {unknown[0]!r}; HISTORY_CHECKS has them all.")
    wanted = [entry for entry in HISTORY_CHECKS if only is None or entry.name in only]
    rig = Rig(subject)
    results = [await run_check(entry, rig, patience=patience) for entry in wanted]
    return HistoryReport(name=name or subject.name or await _class_of(rig), results=tuple(results))


async def run_check(entry: Check, rig: Rig, *, patience: float = 120.0) -> CheckResult:
    """Run one check and tell what it found.

    Args:
        entry: The check.
        rig: What it works with; all that it opens is closed again.
        patience: Seconds after which it is given up.
    """
    verdict, detail, error = await _ended(entry, rig, patience)
    return CheckResult(
        check=entry.name,
        group=entry.group,
        about=(inspect.getdoc(entry.run) or "").partition("\n")[0],
        reason=entry.reason,
        verdict=verdict,
        detail=detail if len(detail) <= _DETAIL_LENGTH else f"{detail[: _DETAIL_LENGTH - 1]}…",
        error=error,
    )


async def _ended(entry: Check, rig: Rig, patience: float) -> tuple[Verdict, str, Exception | None]:
    """Return how a check came to its end, in what words, and by which error of the history's."""
    noted: list[str | None] = []
    closing: list[Exception | None] = []

    async def run() -> None:
        noted.append(await entry.run(rig))

    async def close() -> None:
        closing.append(await rig.close())

    raised: Exception | None = None
    finished = closed = False
    try:
        raised, finished = await _within(patience, run())
    finally:
        _, closed = await _within(patience, close())
    if not (finished and closed):
        return Verdict.UNFINISHED, f"did not come to its end within {patience:g} seconds", None
    if raised is None and closing[0] is not None:
        return Verdict.BROKEN, f"closing it raised {_told(closing[0])}", closing[0]
    match raised:
        case None:
            return Verdict.HOLDS, noted[0] or "", None
        case NotApplicable():
            return Verdict.NOT_APPLICABLE, str(raised), None
        case Broken():
            return Verdict.BROKEN, str(raised), raised.__cause__ if isinstance(raised.__cause__, Exception) else None
        case _:
            return Verdict.BROKEN, f"raised {_told(raised)}", raised


async def _within(seconds: float, work: Awaitable[object]) -> tuple[Exception | None, bool]:
    """Return what some work raised, and whether it came to its end in time: a `TimeoutError` may be its own."""
    raised: Exception | None = None
    try:
        async with asyncio.timeout(seconds):
            raised = await error_of(work)
    except TimeoutError:
        return None, False
    return raised, True


def _told(error: Exception) -> str:
    """Return an error's class and the first line of what it says."""
    first = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {first}".removesuffix(": ")


async def _class_of(rig: Rig) -> str:
    opened: list[object] = []

    async def open_one() -> None:
        opened.append(await rig.open())

    await error_of(open_one())  # the checks tell of what it raises
    await rig.close()
    return "".join(type(history).__name__ for history in opened)
