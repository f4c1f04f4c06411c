"""The window: what of a transcript a model is given for one turn, and how much room there is for it."""

from __future__ import annotations

from langswarm_sessions.messages.tokens import estimate_tokens
from langswarm_sessions.window.fitting import Window, fit
from langswarm_sessions.window.models import ModelWindows
from langswarm_sessions.window.repair import INTERRUPTED_RESULT, LATE_RESULTS, repair
from langswarm_sessions.window.room import DEFAULT_WINDOW_TOKENS, RoomSource, WindowRoom

__all__ = [
    "DEFAULT_WINDOW_TOKENS",
    "INTERRUPTED_RESULT",
    "LATE_RESULTS",
    "ModelWindows",
    "RoomSource",
    "Window",
    "WindowRoom",
    "estimate_tokens",
    "fit",
    "repair",
]
