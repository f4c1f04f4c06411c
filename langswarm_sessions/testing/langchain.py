"""A conformance kit for LangChain's chat message histories.

Whatever is a `BaseChatMessageHistory` can be run through it.

The kit lives with the LangChain faces, for it imports LangChain, which this package does not. Every name is loaded when
it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langswarm_sessions_langchain.testing import (
        HISTORY_CHECKS,
        Check,
        CheckResult,
        Face,
        HistoryContract,
        HistoryReport,
        HistorySubject,
        Verdict,
        check_history,
        compare_histories,
    )

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


def __getattr__(name: str) -> Any:
    """Load a name of the kit when it is first asked for."""
    if name in __all__:
        return getattr(import_module("langswarm_sessions_langchain.testing"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
