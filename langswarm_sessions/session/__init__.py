"""One conversation."""

from __future__ import annotations

from langswarm_sessions.session.conversation import Session

__all__ = ["Session"]
