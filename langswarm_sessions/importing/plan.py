"""What an import is told to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from langswarm_sessions.config import SessionConfig, Strategy
from langswarm_sessions.importing.report import ProgressListener

__all__ = ["ImportPlan", "UserOf"]

UserOf = str | Callable[[str], str]
"""Whose the sessions will be: one user, or a function from a conversation's id to its user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportPlan:
    """The arguments of `manager.import_from`, checked."""

    user_id: UserOf
    provider: str
    model: str
    strategy: Strategy
    session_config: SessionConfig = field(default_factory=SessionConfig)
    session_prefix: str = ""
    dry_run: bool = False
    resume: bool = False
    strict: bool = False
    on_progress: ProgressListener | None = None

    def user_of(self, session_id: str) -> str:
        """Return whose a conversation of the source will be."""
        return self.user_id if isinstance(self.user_id, str) else self.user_id(session_id)
