"""What every public operation and every hook owes to telemetry, and how each of them can end.

The one place where this is decided: a public method that is in none of these tables turns a test red.
"""

from __future__ import annotations

from dataclasses import dataclass

from langswarm_sessions_otel import semconv

__all__ = ["BESIDE", "HOOKS", "OPERATIONS", "Owed", "rows"]


@dataclass(frozen=True, slots=True)
class Owed:
    """One ended span and one metric, with the same error type.

    Attributes:
        span: Name of the span; None: nothing is owed.
        metric: Name of the metric, whose points say how often and with what error.
        stores: What the storage is asked for, in a span of its own below; None where that is nothing, or tells of it.
        only_within: Whether there is no span where nothing is traced: it is never a root.
        outcomes: How the operation can end.
        why: Why nothing is owed.
    """

    span: str | None
    metric: str | None = None
    stores: str | None = None
    only_within: bool = False
    outcomes: tuple[str, ...] = ("ok", "error", "cancelled")
    why: str = ""


_STREAMED = ("ok", "error", "cancelled", "abandoned")
_TURN = Owed("invoke_agent session", semconv.TURN_DURATION)
_STREAM = Owed("invoke_agent session", semconv.TURN_DURATION, outcomes=_STREAMED)


def _transition(name: str, *, stores: str = "replace") -> Owed:
    return Owed(f"langswarm.session.{name}", semconv.TRANSITIONS, stores=stores)


def _job(name: str, *, stores: str | None) -> Owed:
    return Owed(f"langswarm.session.{name}", semconv.JOB_DURATION, stores=stores)


def _stored(operation: str) -> Owed:
    return Owed(f"langswarm.storage.{operation}", semconv.STORAGE_DURATION, only_within=True)


def _nothing(why: str) -> Owed:
    return Owed(None, outcomes=(), why=why)


_READ = _nothing("a plain read")
_LOCAL = _nothing("no storage and no provider is asked")

OPERATIONS: dict[str, Owed] = {
    "SessionManager.create_session": _transition("create", stores="create"),
    "SessionManager.open_session": _transition("create", stores="create"),  # where there was none; else a plain read
    "SessionManager.archive_session": _transition("archive"),
    "SessionManager.restore_session": _transition("restore"),
    "SessionManager.delete_session": _transition("delete"),
    "SessionManager.handoff": _transition("handoff"),
    "SessionManager.send_message": _TURN,
    "SessionManager.append_messages": _stored("append"),
    "SessionManager.import_from": _job("import", stores="append"),
    "SessionManager.import_conversation": _job("import", stores=None),  # below the creation that it has below it
    "SessionManager.cleanup_inactive_sessions": _job("cleanup", stores="replace"),
    "SessionManager.cleanup_archived_sessions": _job("cleanup", stores="replace"),
    "SessionManager.run_cleanup": _job("cleanup", stores=None),
    "SessionManager.cleanup_deleted_sessions": _job("purge", stores="delete"),
    "SessionManager.optimize_storage": _stored("optimize"),
    "SessionManager.get_session": _READ,
    "SessionManager.get_user_sessions": _READ,
    "SessionManager.search_sessions": _READ,
    "SessionManager.get_analytics": _READ,
    "SessionManager.health_check": _READ,
    "SessionManager.session_events": _LOCAL,
    "SessionManager.add_middleware": _LOCAL,
    "SessionManager.add_lifecycle_hook": _LOCAL,
    "SessionManager.close": _nothing("the turns that it ends tell so themselves, as cancelled"),
    "Session.send_message": _TURN,
    "Session.send_message_stream": _STREAM,
    "Session.send_tool_results": _TURN,
    "Session.resume_tools": _TURN,
    "Session.start_turn": _TURN,
    "Session.run_turn": _STREAM,
    "Session.hold_turn": _TURN,
    "Session.archive": _transition("archive"),
    "Session.restore": _transition("restore"),
    "Session.delete": _transition("delete"),
    "Session.clear_messages": _transition("clear"),
    "Session.handoff": _transition("handoff"),
    "Session.add_message": _stored("append"),
    "Session.send_system_message": _stored("append"),
    "Session.amend": _stored("append"),
    "Session.retract_messages": _stored("replace"),
    "Session.update_context": _stored("replace"),
    "Session.update_config": _stored("replace"),
    "Session.get_messages": _READ,
    "Session.list_messages": _READ,
    "Session.get_message": _READ,
    "Session.get_summary": _READ,
    "Session.get_context": _READ,
    "Session.get_metrics": _READ,
    "Session.get_provider_metadata": _READ,
    "Session.export_conversation": _READ,
    "Session.refresh": _READ,
    "Session.explain": _nothing("nothing is sent or stored: a look at what would be"),
    "Session.get_turn": _LOCAL,
    "Session.adopt": _LOCAL,
    "Session.close": _nothing("closes its manager"),
    "Session.close_with": _LOCAL,
}

# What is reached by another way than a method of these two.
BESIDE: dict[str, Owed] = {
    "provider_session.send_message": _TURN,
    "provider_session.send_message_stream": _STREAM,
    "provider_session.update_provider_config": _stored("replace"),
    "BlockingSessionManager.create_session": Owed(
        "langswarm.session.create", semconv.TRANSITIONS, outcomes=("ok", "error")
    ),
    "BlockingSession.send_message": Owed("invoke_agent session", semconv.TURN_DURATION, outcomes=("ok", "error")),
    "BlockingSession.send_message_stream": Owed(
        "invoke_agent session", semconv.TURN_DURATION, outcomes=("ok", "error", "abandoned")
    ),
    "a tool": Owed("execute_tool clock", semconv.TOOL_DURATION),
    "a tool that there is not": Owed("execute_tool", semconv.TOOL_DURATION, outcomes=("error",)),
    "a rebuild": Owed("langswarm.session.rebuild", semconv.REBUILDS),
    "a summary": Owed("langswarm.session.summarize", semconv.SUMMARIES),
}

HOOKS: dict[str, Owed] = {
    point: Owed(f"langswarm.hook Told.{point}", semconv.HOOK_DURATION)
    for point in (
        "on_session_created",
        "on_message_sent",
        "on_session_archived",
        "on_session_restored",
        "on_session_deleted",
        "on_session_rebuilt",
        "on_session_handoff",
        "on_session_error",
    )
}


def rows() -> dict[str, Owed]:
    """Return everything that owes something: ``operation × outcome`` to what it owes."""
    every = {**OPERATIONS, **BESIDE, **HOOKS}
    return {f"{name} × {outcome}": owed for name, owed in every.items() for outcome in owed.outcomes}
