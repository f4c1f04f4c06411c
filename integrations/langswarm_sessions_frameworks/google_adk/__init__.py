"""Google ADK: sessions as the session service of its runners."""

from __future__ import annotations

from langswarm_sessions_frameworks.extras import needed

try:
    from langswarm_sessions_frameworks.google_adk.format import EventFormat
    from langswarm_sessions_frameworks.google_adk.service import AdkSessionService
except ModuleNotFoundError as error:
    if not (error.name or "").startswith("google"):
        raise
    raise needed("google-adk", "google-adk") from error

__all__ = ["AdkSessionService", "EventFormat"]
