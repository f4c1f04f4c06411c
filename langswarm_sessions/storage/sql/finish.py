"""Finish a turn: answer, native state, usage, counters and the turn's end in one transaction; extend its lease."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection, bindparam, null, update

from langswarm_sessions.errors import SessionNotFoundError, TurnConflictError
from langswarm_sessions.messages import SessionMessage, TurnState
from langswarm_sessions.records import Begun, Finished, FinishTurn, Lease, NativeState, SessionRecord, Usage
from langswarm_sessions.storage.sql.counting import added_to, additions, count_messages, counter_updates
from langswarm_sessions.storage.sql.locate import find_session
from langswarm_sessions.storage.sql.message_rows import identified, place_messages
from langswarm_sessions.storage.sql.prepared import Prepared
from langswarm_sessions.storage.sql.session_rows import native_to_json
from langswarm_sessions.storage.sql.tables import COUNTER_NAMES, sessions
from langswarm_sessions.storage.sql.turn_rows import close_turn, end_turn

__all__ = ["OpenTurn", "abandon_turn", "beat", "finish_turn", "open_turn", "release_lease"]

_COUNTED = tuple(name for name in COUNTER_NAMES if name != "turns")
_NO_USAGE = Usage()

_HELD = (
    sessions.c.session_id == bindparam("of_session"),
    sessions.c.lease_fence == bindparam("of_fence"),
    sessions.c.lease_turn_id == bindparam("of_turn"),
)
_ENDED = (
    update(sessions)
    .where(*_HELD)
    .values(
        lease_turn_id=bindparam("new_lease_turn_id"),
        last_activity=bindparam("new_last_activity"),
        next_seq=bindparam("new_next_seq"),
        last_message_id=bindparam("new_last_message_id"),
        native=bindparam("new_native"),
        traceparent=bindparam("new_traceparent"),
        version=sessions.c.version + 1,
        **counter_updates(_COUNTED),
    )
)
_RELEASE = Prepared(_ENDED)
_RELEASE_UNCHANGED = Prepared(_ENDED.where(sessions.c.version == bindparam("of_version")))
_BEAT = Prepared(update(sessions).where(*_HELD).values(lease_expires_at=bindparam("new_expires_at")))
_GIVEN_BACK = update(sessions).where(*_HELD).values(lease_turn_id=null(), version=sessions.c.version + 1)
_LET_GO = Prepared(_GIVEN_BACK)
_ABANDON = Prepared(_GIVEN_BACK.values(traceparent=null()))  # the turn is over, and its trace is not known


@dataclass(frozen=True, slots=True)
class OpenTurn:
    """What the beginning of a turn knew of its session: still true at its end, unless the row's version has moved."""

    record: SessionRecord
    last_message_id: str | None


def open_turn(begun: Begun) -> OpenTurn | None:
    """Return what the end of the turn can start from; None when the end of the transcript is not known."""
    if not begun.inputs or begun.inputs[-1].seq != begun.session.next_seq - 1:
        return None
    return OpenTurn(begun.session, begun.inputs[-1].message_id)


def finish_turn(connection: Connection, finish: FinishTurn, known: OpenTurn | None = None) -> Finished:
    """Do what `EngineStorage.finish_turn` says, within the transaction of `connection`.

    Args:
        connection: Within the transaction of the unit of work.
        finish: How the turn ended.
        known: The session's row as the beginning left it, which saves reading it again if nothing touched it since.
    """
    lease = finish.lease
    answers = identified(
        connection, finish.answers, session_id=lease.session_id, turn_id=lease.turn_id, status=finish.state
    )
    after = None if known is None else _release(connection, finish, known, answers, unchanged=True)
    if known is None or after is None:
        session = find_session(connection, lease.session_id)
        if session is None:
            raise SessionNotFoundError("The session was purged while its turn ran.", session_id=lease.session_id)
        known = OpenTurn(session.record, session.last_message_id)
        after = _release(connection, finish, known, answers, unchanged=False)
    if after is None or not end_turn(connection, finish, last_seq=after.next_seq - 1):
        raise TurnConflictError(
            "The turn's lease was taken over by another process or ended before; nothing was stored. Send it again.",
            session_id=lease.session_id,
        )
    place_messages(connection, answers, first_seq=known.record.next_seq, parent_id=known.last_message_id)
    return Finished(session=after, answers=answers)


def _release(
    connection: Connection,
    finish: FinishTurn,
    known: OpenTurn,
    answers: Sequence[SessionMessage],
    *,
    unchanged: bool,
) -> SessionRecord | None:
    """Release the lease (or keep it) and move the session on; return its row, None if lease or version differ."""
    before = known.record
    next_seq = before.next_seq + len(answers)
    amounts = {**_amounts(finish), **count_messages(answers)}
    native = _native_after(finish, before, next_seq=next_seq)
    statement = _RELEASE_UNCHANGED if unchanged else _RELEASE
    released = statement.write(
        connection,
        {
            **_of(finish.lease),
            "of_version": before.version,
            "new_lease_turn_id": finish.lease.turn_id if finish.keep_lease else None,
            "new_last_activity": finish.now,
            "new_next_seq": next_seq,
            "new_last_message_id": answers[-1].message_id if answers else known.last_message_id,
            "new_native": native_to_json(native),
            "new_traceparent": finish.traceparent,
            **additions(amounts, _COUNTED),
        },
    )
    if released != 1:
        return None
    return replace(
        before,
        last_activity=finish.now,
        next_seq=next_seq,
        native=native,
        traceparent=finish.traceparent,
        version=before.version + 1,
        counters=added_to(before.counters, amounts),
    )


def abandon_turn(connection: Connection, begun: Begun, now: datetime) -> None:
    """Undo what can be undone of a begun turn whose caller went away: release the lease, end the turn."""
    if _ABANDON.write(connection, _of(begun.lease)):
        close_turn(connection, begun.lease.session_id, begun.lease.turn_id, now)


def release_lease(connection: Connection, lease: Lease) -> None:
    """Let go of a lease whose turn has ended."""
    _LET_GO.write(connection, _of(lease))


def beat(connection: Connection, leases: Sequence[Lease], expires_at: datetime) -> list[Lease]:
    """Extend leases; return those that are no longer held."""
    return [lease for lease in leases if _BEAT.write(connection, {**_of(lease), "new_expires_at": expires_at}) != 1]


def _of(lease: Lease) -> dict[str, str | int]:
    return {"of_session": lease.session_id, "of_fence": lease.fence, "of_turn": lease.turn_id}


def _native_after(finish: FinishTurn, before: SessionRecord, *, next_seq: int) -> NativeState | None:
    """Return the native state to store.

    A session cleared meanwhile must not get back what the provider still knows. Where nothing came between the
    message the provider was sent and its answers, the cursor moves past them.
    """
    if not finish.native_changed:
        return before.native
    if finish.native is None or finish.native.cursor <= before.cleared_seq:
        return before.native if finish.native is not None else None
    if finish.native.cursor == before.next_seq - 1:
        return replace(finish.native, cursor=next_seq - 1)
    return finish.native


def _amounts(finish: FinishTurn) -> dict[str, float | Decimal]:
    usage = finish.usage or _NO_USAGE
    completed = finish.state is TurnState.COMPLETED
    return {
        "failed_turns": int(finish.state is TurnState.FAILED),
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "response_count": int(completed),
        "response_ms": finish.duration_ms if completed else 0.0,
        "retries": finish.retries,
        "rebuilds": finish.rebuilds,
        "cost": finish.cost or 0,
        "priced_turns": int(finish.cost is not None),
        "unpriced_turns": int(finish.is_unpriced and not finish.was_unpriced),
    }
