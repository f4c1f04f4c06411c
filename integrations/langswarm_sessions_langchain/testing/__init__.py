"""A conformance kit for chat message histories, published as `langswarm_sessions.testing.langchain`.

Every name is loaded when it is first used; `HistoryContract` alone needs pytest and pytest-asyncio.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langswarm_sessions_langchain.testing.contract import HistoryContract
    from langswarm_sessions_langchain.testing.kit import Check
    from langswarm_sessions_langchain.testing.report import CheckResult, HistoryReport, Verdict, compare_histories
    from langswarm_sessions_langchain.testing.runner import HISTORY_CHECKS, check_history
    from langswarm_sessions_langchain.testing.subject import Face, HistorySubject

__all__ = [
    "HISTORY_CHECKS",
    "Check",
    "CheckResult",
    "Face",
    "HistoryContract",
    "HistoryReport",
    "HistorySubject",
    "Verdict",
    "check_history",
    "compare_histories",
]

_HOMES = {
    "HISTORY_CHECKS": "runner",
    "Check": "kit",
    "CheckResult": "report",
    "Face": "subject",
    "HistoryContract": "contract",
    "HistoryReport": "report",
    "HistorySubject": "subject",
    "Verdict": "report",
    "check_history": "runner",
    "compare_histories": "report",
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for."""
    if name in _HOMES:
        value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
