"""Runs the checks on a history."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Collection

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
from langswarm_sessions_langchain.testing.kit import Broken, Check, NotApplicable, Rig, registered
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
        patience: Seconds after which a check that does not come to its end is broken.

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
    """Run one check and tell what it found."""
    verdict, detail = Verdict.HOLDS, ""
    try:
        async with asyncio.timeout(patience):
            detail = await entry.run(rig) or ""
    except NotApplicable as why:
        verdict, detail = Verdict.NOT_APPLICABLE, str(why)
    except TimeoutError:
        verdict, detail = Verdict.BROKEN, f"did not come to its end within {patience:g} seconds"
    except Broken as seen:
        verdict, detail = Verdict.BROKEN, str(seen)
    except Exception as error:  # noqa: BLE001 - whatever somebody's history raises is a verdict on it
        first = (str(error).strip().splitlines() or [""])[0]
        verdict, detail = Verdict.BROKEN, f"raised {type(error).__name__}: {first}"
    finally:
        await rig.close()
    return CheckResult(
        check=entry.name,
        group=entry.group,
        about=(inspect.getdoc(entry.run) or "").partition("\n")[0],
        reason=entry.reason,
        verdict=verdict,
        detail=detail if len(detail) <= _DETAIL_LENGTH else f"{detail[: _DETAIL_LENGTH - 1]}…",
    )


async def _class_of(rig: Rig) -> str:
    try:
        return type(await rig.open()).__name__
    except Exception:  # noqa: BLE001 - the report tells of it
        return ""
