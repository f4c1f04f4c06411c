"""A session's life: created, archived, restored, deleted, cleared. One way for manager and session."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from langswarm_sessions.errors import SessionNotFoundError
from langswarm_sessions.events import EventType
from langswarm_sessions.ids import now
from langswarm_sessions.records import SessionContext, SessionRecord, SessionStatus
from langswarm_sessions.runtime import Runtime
from langswarm_sessions.turns import context_of
from langswarm_sessions_otel import LifecycleScope

__all__ = [
    "ARCHIVE",
    "DELETE",
    "RESTORE",
    "Transition",
    "change_record",
    "clear_messages",
    "not_found",
    "settle",
    "step_span",
    "take_step",
    "transit",
    "update_context",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One step in a session's life, with everything that is named after it."""

    name: str
    hook: str
    event: EventType
    status: SessionStatus


ARCHIVE = Transition(
    name="archive",
    hook="on_session_archived",
    event=EventType.SESSION_ARCHIVED,
    status=SessionStatus.ARCHIVED,
)
RESTORE = Transition(
    name="restore",
    hook="on_session_restored",
    event=EventType.SESSION_RESTORED,
    status=SessionStatus.ACTIVE,
)
DELETE = Transition(
    name="delete",
    hook="on_session_deleted",
    event=EventType.SESSION_DELETED,
    status=SessionStatus.DELETED,
)


def not_found(session_id: str) -> SessionNotFoundError:
    """Return the error for a session that is not there."""
    return SessionNotFoundError(
        f"There is no session {session_id!r}. Create it with manager.create_session(...), or list what there is with "
        "manager.get_user_sessions(user_id).",
        session_id=session_id,
    )


async def transit(runtime: Runtime, session_id: str, step: Transition) -> SessionRecord:
    """Take a session through one step of its life; taking it again does nothing.

    Raises:
        SessionNotFoundError: No such session, or it is deleted and the step is not a restore.
    """
    record, _ = await take_step(runtime, session_id, step)
    return record


async def take_step(runtime: Runtime, session_id: str, step: Transition) -> tuple[SessionRecord, bool]:
    """Do what `transit` does; return the session's row, and whether it was not there already.

    Raises:
        SessionNotFoundError: No such session, or it is deleted and the step is not a restore.
    """
    moment = now()
    steps: list[SessionStatus] = []

    def apply(record: SessionRecord) -> SessionRecord:
        if record.status is SessionStatus.DELETED and step is not RESTORE:
            raise not_found(session_id)
        if record.status is step.status:
            return record
        steps.append(record.status)
        return with_status(record, step.status, moment)

    with step_span(runtime, step.name, await _last_seen(runtime, session_id)) as span:
        record = await runtime.services.storage.change_session(session_id, apply)
        if record is None:
            raise not_found(session_id)
        if steps:
            await settle(runtime, step, record, before=steps[0])
            return record, True
        span.unchanged()
        if held := runtime.handles.get(session_id):
            held.adopt(record)
    return record, False


def step_span(runtime: Runtime, name: str, record: SessionRecord) -> LifecycleScope:
    """Open the span of a step in a session's life; its end is counted as a transition."""
    return runtime.services.telemetry.lifecycle(
        name, session_id=record.session_id, mode=record.strategy.value, provider=record.provider
    )


async def settle(runtime: Runtime, step: Transition, record: SessionRecord, *, before: SessionStatus) -> None:
    """Do what follows once a step was stored: handle, counters, provider, hooks and subscribers learn of it.

    Args:
        runtime: The session's manager's.
        step: What was stored.
        record: The session's row.
        before: Its status before the step.
    """
    session_id, telemetry = record.session_id, runtime.services.telemetry
    if held := runtime.handles.get(session_id):
        held.adopt(record)
    if step.status is SessionStatus.ACTIVE:
        telemetry.session_opened(record.strategy.value)
    elif before is SessionStatus.ACTIVE:
        telemetry.session_closed(record.strategy.value)
    if step is DELETE:
        await runtime.providers.release(session_id)
    runtime.services.events.publish(step.event, session_id=session_id, user_id=record.user_id)
    await runtime.services.hooks.run(step.hook, session_id=session_id)


async def _last_seen(runtime: Runtime, session_id: str) -> SessionRecord:
    """Return the session's row, not necessarily the newest."""
    held = runtime.handles.get(session_id)
    record = held.record if held else await runtime.services.storage.load_session(session_id)
    if record is None:
        raise not_found(session_id)
    return record


def with_status(record: SessionRecord, status: SessionStatus, moment: datetime) -> SessionRecord:
    """Return the record in another status, with the times that belong to it."""
    return replace(
        record,
        status=status,
        archived_at=moment if status is SessionStatus.ARCHIVED else None,
        deleted_at=moment if status is SessionStatus.DELETED else None,
    )


async def change_record(
    runtime: Runtime, session_id: str, change: Callable[[SessionRecord], SessionRecord]
) -> SessionRecord:
    """Apply a pure change to a living session's row.

    Raises:
        SessionNotFoundError: No such session, or it is deleted.
    """

    def apply(record: SessionRecord) -> SessionRecord:
        if record.status is SessionStatus.DELETED:
            raise not_found(session_id)
        return change(record)

    record = await runtime.services.storage.change_session(session_id, apply)
    if record is None:
        raise not_found(session_id)
    return record


async def clear_messages(runtime: Runtime, session_id: str) -> SessionRecord:
    """Hide what was said so far from reading, window and counters, and drop the native state."""

    def cleared(record: SessionRecord) -> SessionRecord:
        kept = replace(
            record.counters, messages=0, user_messages=0, assistant_messages=0, system_messages=0, content_bytes=0
        )
        return replace(record, cleared_seq=record.next_seq - 1, native=None, instructions=None, counters=kept)

    with step_span(runtime, "clear", await _last_seen(runtime, session_id)):
        return await change_record(runtime, session_id, cleared)


async def update_context(
    runtime: Runtime, session_id: str, values: Mapping[str, Any]
) -> tuple[SessionRecord, SessionContext]:
    """Merge values into the session's context at the top level."""
    record = await change_record(
        runtime, session_id, lambda record: replace(record, context={**record.context, **values})
    )
    return record, context_of(record)
