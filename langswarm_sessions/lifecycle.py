"""A session's life: created, archived, restored, deleted, cleared. One way for manager and session."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from langswarm_sessions.checks import check_name, check_strategy
from langswarm_sessions.config import SessionConfig, Strategy
from langswarm_sessions.errors import SessionNotFoundError
from langswarm_sessions.events import EventType
from langswarm_sessions.ids import new_id, now
from langswarm_sessions.messages import SessionMessage, content_bytes, plain_mapping
from langswarm_sessions.providers import canonical_name
from langswarm_sessions.records import Finished, SessionContext, SessionRecord, SessionStatus
from langswarm_sessions.runtime import Runtime
from langswarm_sessions.turns import context_of
from langswarm_sessions_otel import LifecycleScope

__all__ = [
    "ARCHIVE",
    "DELETE",
    "RESTORE",
    "Transition",
    "append_messages",
    "change_record",
    "clear_messages",
    "new_record",
    "not_found",
    "settle",
    "step_span",
    "stored_record",
    "take_step",
    "tell",
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


def new_record(
    user_id: str,
    provider: str,
    model: str,
    *,
    session_id: str | None,
    strategy: Strategy | str,
    session_config: SessionConfig | Mapping[str, Any] | None = None,
    provider_config: Mapping[str, Any] | None = None,
) -> SessionRecord:
    """Return the row of a new session; see `SessionManager.create_session`.

    Raises:
        ConfigurationError: A setting is unknown.
        InvalidInputError: An id or name is empty or of the wrong type.
    """
    moment = now()
    return SessionRecord(
        session_id=new_id() if session_id is None else check_name(session_id, field="session_id"),
        user_id=check_name(user_id, field="user_id"),
        provider=canonical_name(check_name(provider, field="provider")),
        model=check_name(model, field="model"),
        strategy=check_strategy(strategy),
        created_at=moment,
        last_activity=moment,
        config=SessionConfig.of(session_config),
        provider_config=plain_mapping({} if provider_config is None else provider_config, field="provider_config"),
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
    before: SessionStatus | None = None

    def apply(record: SessionRecord) -> SessionRecord:
        nonlocal before
        before = None  # it may be asked several times: what it said last is stored
        if record.status is SessionStatus.DELETED and step is not RESTORE:
            raise not_found(session_id)
        if record.status is step.status:
            return record
        before = record.status
        return with_status(record, step.status, moment)

    with step_span(runtime, step.name, session_id) as span:
        tell(span, await _last_seen(runtime, session_id))
        record = await _changed(runtime, session_id, apply)
        if before is not None:
            span.stored()
            await settle(runtime, step, record, before=before)
            return record, True
        span.unchanged()
        if held := runtime.handles.get(session_id):
            held.adopt(record)
    return record, False


def step_span(runtime: Runtime, name: str, session_id: str) -> LifecycleScope:
    """Open the span of a step in a session's life; its end is counted as a transition."""
    return runtime.services.telemetry.lifecycle(name, session_id=session_id)


def tell(span: LifecycleScope, record: SessionRecord) -> None:
    """Tell a step's span whose it is."""
    span.known(mode=record.strategy.value, provider=record.provider)


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
    record = held.record if held else await stored_record(runtime, session_id)
    if record is None:
        raise not_found(session_id)
    return record


async def stored_record(runtime: Runtime, session_id: str) -> SessionRecord | None:
    """Return a session's row as it is stored, None when there is no such session."""
    with runtime.services.storage_span("load", session_id):
        return await runtime.services.storage.load_session(session_id)


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

    return await _changed(runtime, session_id, apply)


async def _changed(
    runtime: Runtime, session_id: str, change: Callable[[SessionRecord], SessionRecord]
) -> SessionRecord:
    with runtime.services.storage_span("replace", session_id):
        record = await runtime.services.storage.change_session(session_id, change)
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

    with step_span(runtime, "clear", session_id) as span:
        tell(span, await _last_seen(runtime, session_id))
        return await change_record(runtime, session_id, cleared)


async def update_context(
    runtime: Runtime, session_id: str, values: Mapping[str, Any]
) -> tuple[SessionRecord, SessionContext]:
    """Merge values into the session's context at the top level."""
    record = await change_record(
        runtime, session_id, lambda record: replace(record, context={**record.context, **values})
    )
    return record, context_of(record)


async def append_messages(runtime: Runtime, session_id: str, messages: Sequence[SessionMessage]) -> Finished:
    """Store messages outside any turn, all or none.

    Raises:
        SessionNotFoundError: No such session, or it is deleted.
        SessionArchivedError: The session is archived.
    """
    with runtime.services.storage_span("append", session_id) as op:
        stored = await runtime.services.storage.append_messages(session_id, messages)
        op.done(count=len(stored.answers), size=content_bytes(stored.answers))
    if held := runtime.handles.get(session_id):
        held.adopt(stored.session)
    return stored
