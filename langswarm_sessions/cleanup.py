"""Retention: archiving, deleting and purging many sessions at once."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

from langswarm_sessions.config import CleanupConfig
from langswarm_sessions.errors import SessionNotFoundError
from langswarm_sessions.ids import now
from langswarm_sessions.lifecycle import ARCHIVE, DELETE, Transition, settle, step_span, stored_record, take_step, tell
from langswarm_sessions.records import SessionFilter, SessionStatus
from langswarm_sessions.runtime import Runtime

__all__ = ["archive_inactive", "clean_up", "delete_archived", "purge_deleted"]

_ACTIVE = (SessionStatus.ACTIVE,)
_ARCHIVED = (SessionStatus.ARCHIVED,)
_PAGE = 500


async def archive_inactive(runtime: Runtime, days: float) -> int:
    """Archive active sessions without activity for this many days; return how many."""
    with runtime.services.telemetry.job("cleanup") as job:
        archived = await _archive_inactive(runtime, days)
        job.done(sessions=archived)
    return archived


async def delete_archived(runtime: Runtime, days: float) -> int:
    """Delete sessions that were archived this many days ago or earlier; return how many."""
    with runtime.services.telemetry.job("cleanup") as job:
        deleted = await _delete_archived(runtime, days)
        job.done(sessions=deleted)
    return deleted


async def _archive_inactive(runtime: Runtime, days: float) -> int:
    before = now() - timedelta(days=days)
    return await _sweep(runtime, SessionFilter(statuses=_ACTIVE, inactive_since=before), ARCHIVE)


async def _delete_archived(runtime: Runtime, days: float) -> int:
    before = now() - timedelta(days=days)
    return await _sweep(runtime, SessionFilter(statuses=_ARCHIVED, archived_before=before), DELETE)


async def purge_deleted(runtime: Runtime, days: float) -> int:
    """Destroy sessions deleted this many days ago or earlier; return how many."""
    with runtime.services.telemetry.job("purge") as job:
        with runtime.services.storage_span("delete") as op:
            purged = len(await runtime.services.storage.purge_sessions(now() - timedelta(days=days)))
            op.done(count=purged)
        job.done(sessions=purged)
        job.purged(purged)
    return purged


async def clean_up(runtime: Runtime, config: CleanupConfig) -> dict[str, int]:
    """Apply a cleanup configuration once, and each session's own auto_archive_after."""
    with runtime.services.telemetry.job("cleanup") as job:
        done = await _clean_up(runtime, config)
        job.done(sessions=sum(done.values()))
    return done


async def _clean_up(runtime: Runtime, config: CleanupConfig) -> dict[str, int]:
    archived = await _archive_due(runtime)
    deleted = 0
    if config.archive_after_days is not None:
        archived += await _archive_inactive(runtime, config.archive_after_days)
    if config.max_messages_per_session is not None:
        full = SessionFilter(statuses=_ACTIVE, more_messages_than=config.max_messages_per_session)
        archived += await _sweep(runtime, full, ARCHIVE)
    if config.delete_after_days is not None:
        deleted += await _delete_archived(runtime, config.delete_after_days)
    return {"archived": archived, "deleted": deleted}


async def _archive_due(runtime: Runtime) -> int:
    """Archive the sessions whose own auto_archive_after has passed."""
    due: list[str] = []
    wanted = SessionFilter(statuses=_ACTIVE, limit=_PAGE)
    while True:
        page = await runtime.services.storage.list_sessions(wanted)
        for record in page:
            after = record.config.auto_archive_after
            if after is not None and record.last_activity + after <= now():
                due.append(record.session_id)
        if page.next_cursor is None:
            break
        wanted = SessionFilter(statuses=_ACTIVE, limit=_PAGE, cursor=page.next_cursor)
    archived = 0
    for session_id in due:
        with suppress(SessionNotFoundError):  # deleted since it was listed
            _, was_active = await take_step(runtime, session_id, ARCHIVE)
            archived += was_active
    return archived


async def _sweep(runtime: Runtime, wanted: SessionFilter, step: Transition) -> int:
    """Take every session a filter of one status matches through a step, in one statement, and tell of each."""
    (before,) = wanted.statuses
    with runtime.services.storage_span("replace") as op:
        ids = await runtime.services.storage.change_status(wanted, step.status, now())
        op.done(count=len(ids))
    for session_id in ids:
        with step_span(runtime, step.name, session_id) as span:
            record = await stored_record(runtime, session_id)
            if record is None:  # purged since
                continue
            tell(span, record)
            span.stored()
            await settle(runtime, step, record, before=before)
    return len(ids)
