"""The checks as tests of pytest."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from langswarm_sessions.errors import MissingDependencyError

try:
    import pytest
except ImportError as error:
    raise MissingDependencyError(
        "HistoryContract needs pytest and pytest-asyncio. Install them with: pip install pytest pytest-asyncio"
    ) from error

from langswarm_sessions_langchain.testing.kit import Check, Rig
from langswarm_sessions_langchain.testing.report import CheckResult, Verdict
from langswarm_sessions_langchain.testing.runner import HISTORY_CHECKS, run_check
from langswarm_sessions_langchain.testing.subject import HistorySubject

__all__ = ["HistoryContract"]

_KIT = Path(__file__).parent
"""Whose lines are left out of tracebacks."""


class HistoryContract:
    """What users rely on of a `BaseChatMessageHistory`: one test for each check of `HISTORY_CHECKS`.

    Inherit it in a test module and override the fixture `subject`; it may be async. pytest-asyncio runs it, in
    either mode. A test that fails tells what was seen, why that matters, and where the history raised what it did.

    Attributes:
        not_applicable: Checks that say nothing about this history, each with the reason; they are no tests then. One
            that turns out not to be applicable, and is not named here, fails.
        known_broken: Checks that do not hold yet, each with the reason. They must fail: one that holds is told.
        patience: Seconds after which a check is given up, and fails.

    Example:
        >>> class TestMine(HistoryContract):
        ...     not_applicable = {"processes": "it is kept in memory"}
        ...
        ...     @pytest.fixture
        ...     def subject(self, tmp_path):
        ...         return HistorySubject(open=lambda session_id: MyHistory(tmp_path, session_id))
    """

    not_applicable: ClassVar[Mapping[str, str]] = {}
    known_broken: ClassVar[Mapping[str, str]] = {}
    patience: ClassVar[float] = 120.0

    @pytest.fixture
    def subject(self) -> HistorySubject:
        """Override: the history under test."""
        pytest.fail("give the contract a fixture `subject`: a HistorySubject around your history")

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Make a test of each check that is applicable."""
        named = {*self.not_applicable, *self.known_broken}
        unknown = sorted(named - {entry.name for entry in HISTORY_CHECKS})
        if unknown:
            raise ValueError(f"{type(self).__name__} names a check there is not: {unknown[0]!r}")
        if "history_check" in metafunc.fixturenames:
            checks = [entry for entry in HISTORY_CHECKS if entry.name not in self.not_applicable]
            metafunc.parametrize("history_check", checks, ids=lambda entry: entry.name)

    @pytest.mark.asyncio
    async def test_history(self, subject: HistorySubject, history_check: Check) -> None:
        """The check holds, or is known to be broken and is."""
        result = await run_check(history_check, Rig(subject), patience=self.patience)
        if result.verdict is Verdict.NOT_APPLICABLE:
            told = f"{result.check}: {result.detail}; name it in not_applicable if that is meant"
            pytest.fail(told, pytrace=False)
        if result.check in self.known_broken:
            if result.verdict is Verdict.HOLDS:
                pytest.fail(f"{result.check} holds now: take it out of known_broken", pytrace=False)
        elif result.verdict is not Verdict.HOLDS:
            pytest.fail(_what_failed(result), pytrace=False)


def _what_failed(result: CheckResult) -> str:
    """Return what was seen, what was checked and why, and the traceback of what the history raised."""
    lines = [f"{result.check}: {result.detail}", f"The check: {result.about}", f"Why it matters: {result.reason}"]
    if result.error is not None:
        raised = traceback.TracebackException.from_exception(result.error)
        raised.stack = traceback.StackSummary.from_list([at for at in raised.stack if Path(at.filename).parent != _KIT])
        lines += ["", *(part.rstrip() for part in raised.format())]
    return "\n".join(lines)
