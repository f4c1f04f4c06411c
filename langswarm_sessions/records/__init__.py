"""Records: stored things and units of work, as frozen data."""

from __future__ import annotations

from langswarm_sessions.records.queries import Analytics, MessageFilter, Page, SessionFilter
from langswarm_sessions.records.session import (
    NativeKind,
    NativeState,
    SessionContext,
    SessionCounters,
    SessionMetrics,
    SessionRecord,
    SessionStatus,
)
from langswarm_sessions.records.turn import ToolChoice, TurnOptions, TurnRecord, Usage
from langswarm_sessions.records.units import (
    BeginTurn,
    Begun,
    Busy,
    Finished,
    FinishTurn,
    HistoryQuery,
    Lease,
    LeaseOwner,
    Recorded,
)

__all__ = [
    "Analytics",
    "BeginTurn",
    "Begun",
    "Busy",
    "FinishTurn",
    "Finished",
    "HistoryQuery",
    "Lease",
    "LeaseOwner",
    "MessageFilter",
    "NativeKind",
    "NativeState",
    "Page",
    "Recorded",
    "SessionContext",
    "SessionCounters",
    "SessionFilter",
    "SessionMetrics",
    "SessionRecord",
    "SessionStatus",
    "ToolChoice",
    "TurnOptions",
    "TurnRecord",
    "Usage",
]
