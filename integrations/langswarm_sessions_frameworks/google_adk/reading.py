"""Which rows hold the events that are asked for, and what is read off them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from google.adk.events import Event
from google.adk.sessions import Session as AdkSession
from google.adk.sessions.base_session_service import GetSessionConfig

from langswarm_sessions.errors import InvalidInputError, MessageNotFoundError
from langswarm_sessions.messages import Role, SessionMessage
from langswarm_sessions.records import MessageFilter, SessionRecord
from langswarm_sessions.session import Session
from langswarm_sessions_frameworks.formats import read_as, restored
from langswarm_sessions_frameworks.google_adk.format import GOOGLE_ADK
from langswarm_sessions_frameworks.google_adk.rows import Mark, snapshot

__all__ = ["ALL", "last_author", "mark_of_made", "newest", "rewound", "since", "stored_row", "within"]

ALL = MessageFilter(for_model=True)
"""What a model may be given."""


async def mark_of_made(session: AdkSession, here: Session) -> Mark:
    """Return the mark of a copy that was made by hand: it is new when its last event is the newest there is."""
    record, rows = await newest(here, ALL, 1)
    newest_ids = [event.id for event in read_as(GOOGLE_ADK, rows, session_id=session.id).items[-1:]]
    known = [event.id for event in session.events[-1:]]
    mark = Mark.of(record)
    return mark if newest_ids == known else replace(mark, seq=-1)


async def newest(
    here: Session, wanted: MessageFilter, count: int | None
) -> tuple[SessionRecord, Sequence[SessionMessage]]:
    """Return a session's row, and the rows of at least its newest events; the oldest of them may be half an event."""
    if count is None:
        return await snapshot(here, wanted)

    def is_enough(rows: Sequence[SessionMessage]) -> bool:
        return len(read_as(GOOGLE_ADK, rows, session_id=here.session_id).items) > count

    return await snapshot(here, replace(wanted, limit=count + 1), is_enough=is_enough)


async def stored_row(here: Session, event: Event) -> SessionMessage | None:
    """Return the first row of this very event: whoever appends it again was not told that it is there."""
    try:
        row = await here.get_message(event.id)
    except MessageNotFoundError:
        return None
    return row if restored(GOOGLE_ADK, row) == [event] else None


async def rewound(here: Session, event: Event) -> tuple[str, ...]:
    """Return the ids of the rows an event goes back before."""
    before = event.actions.rewind_before_invocation_id
    if not before:
        return ()
    rows = await here.list_messages(ALL)
    of_invocation = [
        at for at, row in enumerate(rows) for each in restored(GOOGLE_ADK, row) or [] if each.invocation_id == before
    ]
    return tuple(row.message_id for row in rows[min(of_invocation, default=len(rows)) :])


def last_author(rows: Sequence[SessionMessage]) -> str | None:
    """Return the agent of ADK that answered last; None when none did."""
    for row in reversed(rows):
        if row.role is Role.ASSISTANT and restored(GOOGLE_ADK, row) is not None:
            return row.metadata.get("name")
    return None


def since(config: GetSessionConfig | None) -> MessageFilter:
    """Return which messages may hold the events that are asked for, by their time.

    Raises:
        InvalidInputError: There is no such time.
    """
    start = None if config is None else config.after_timestamp
    if start is None:
        return ALL
    try:
        return replace(ALL, start_time=datetime.fromtimestamp(start, UTC))
    except (OverflowError, ValueError, OSError):
        raise InvalidInputError("config.after_timestamp must be a time in seconds since 1970.") from None


def within(events: list[Event], config: GetSessionConfig | None) -> list[Event]:
    """Return the events that were asked for, of those that were read."""
    if config is not None and config.after_timestamp is not None:
        events = [event for event in events if event.timestamp >= config.after_timestamp]
    if config is None or config.num_recent_events is None:
        return events
    return events[len(events) - min(config.num_recent_events, len(events)) :]
