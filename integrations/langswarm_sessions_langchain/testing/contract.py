"""The checks as tests of pytest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pytest

from langswarm_sessions_langchain.testing.kit import Check, Rig
from langswarm_sessions_langchain.testing.report import Verdict
from langswarm_sessions_langchain.testing.runner import HISTORY_CHECKS, run_check
from langswarm_sessions_langchain.testing.subject import HistorySubject

__all__ = ["HistoryContract"]


class HistoryContract:
    """What users rely on of a `BaseChatMessageHistory`: one test for each check of `HISTORY_CHECKS`.

    Inherit it in a test module and override the fixture `subject`. Set `asyncio_mode = "auto"` for pytest-asyncio.

    Attributes:
        not_applicable: Checks that say nothing about this history, each with the reason; they are no tests then. One
            that turns out not to be applicable, and is not named here, fails.
        known_broken: Checks that do not hold yet, each with the reason. They must fail: one that holds is told.

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

    async def test_history(self, subject: HistorySubject, history_check: Check) -> None:
        """The check holds, or is known to be broken and is."""
        result = await run_check(history_check, Rig(subject))
        if result.verdict is Verdict.NOT_APPLICABLE:
            pytest.fail(f"{result.check}: {result.detail}; name it in not_applicable if that is meant")
        if result.check in self.known_broken:
            if result.verdict is Verdict.HOLDS:
                pytest.fail(f"{result.check} holds now: take it out of known_broken")
        elif result.verdict is Verdict.BROKEN:
            pytest.fail(f"{result.check}: {result.detail}\n{result.about}\nWhy it matters: {result.reason}")
