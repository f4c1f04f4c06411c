"""Records: stored things and units of work, as frozen data."""

from __future__ import annotations

from langswarm_sessions.records.amendment import Amendment
from langswarm_sessions.records.checkpoints import THREAD_TURNS
from langswarm_sessions.records.cost import COST_KEY, EXACT, plain_amount, told_cost, total_of
from langswarm_sessions.records.formats import ResponseFormat, response_format_of
from langswarm_sessions.records.queries import Analytics, MessageFilter, Page, SessionFilter
from langswarm_sessions.records.schemas import check_schema
from langswarm_sessions.records.session import (
    NativeKind,
    NativeState,
    SessionContext,
    SessionCounters,
    SessionMetrics,
    SessionRecord,
    SessionStatus,
)
from langswarm_sessions.records.summary import SessionSummary
from langswarm_sessions.records.turn import UNTOLD, ModelCall, ToolChoice, TurnOptions, TurnRecord, Usage
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
    "COST_KEY",
    "EXACT",
    "THREAD_TURNS",
    "UNTOLD",
    "Amendment",
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
    "ModelCall",
    "NativeKind",
    "NativeState",
    "Page",
    "Recorded",
    "ResponseFormat",
    "SessionContext",
    "SessionCounters",
    "SessionFilter",
    "SessionMetrics",
    "SessionRecord",
    "SessionStatus",
    "SessionSummary",
    "ToolChoice",
    "TurnOptions",
    "TurnRecord",
    "Usage",
    "check_schema",
    "plain_amount",
    "response_format_of",
    "told_cost",
    "total_of",
]
