"""Finish a turn: answer, native state, usage, counters and the turn's end in one transaction; extend its lease."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, bindparam, null, update

from langswarm_sessions.errors import SessionNotFoundError, TurnConflictError
from langswarm_sessions.messages import TurnState
from langswarm_sessions.records import Begun, Finished, FinishTurn, Lease, NativeState, SessionRecord, Usage
from langswarm_sessions.storage.sql.counting import added_to, additions, count_messages, counter_updates
from langswarm_sessions.storage.sql.locate import find_session
from langswarm_sessions.storage.sql.message_rows import insert_messages
from langswarm_sessions.storage.sql.prepared import Prepared
from langswarm_sessions.storage.sql.session_rows import native_to_json
from langswarm_sessions.storage.sql.tables import COUNTER_NAMES, sessions
from langswarm_sessions.storage.sql.turn_rows import close_turn, end_turn

__all__ = ["abandon_turn", "beat", "finish_turn"]

_COUNTED = tuple(name for name in COUNTER_NAMES if name != "turns")
_NO_USAGE = Usage()

_HELD = (
    sessions.c.session_id == bindparam("of_session"),
    sessions.c.lease_fence == bindparam("of_fence"),
    sessions.c.lease_turn_id == bindparam("of_turn"),
)
_RELEASE = Prepared(
    update(sessions)
    .where(*_HELD)
    .values(
        lease_turn_id=null(),
        last_activity=bindparam("new_last_activity"),
        next_seq=bindparam("new_next_seq"),
        last_message_id=bindparam("new_last_message_id"),
        native=bindparam("new_native"),
        traceparent=bindparam("new_traceparent"),
        version=sessions.c.version + 1,
        **counter_updates(_COUNTED),
    )
)
_BEAT = Prepared(update(sessions).where(*_HELD).values(lease_expires_at=bindparam("new_expires_at")))
_LET_GO = Prepared(update(sessions).where(*_HELD).values(lease_turn_id=null(), version=sessions.c.version + 1))


def finish_turn(connection: Connection, finish: FinishTurn) -> Finished:
    """Do what `EngineStorage.finish_turn` says, within the transaction of `connection`."""
    lease = finish.lease
    session = find_session(connection, lease.session_id)
    if session is None:
        raise SessionNotFoundError("The session was purged while its turn ran.", session_id=lease.session_id)
    before = session.record
    answers = insert_messages(
        connection,
        finish.answers,
        session_id=lease.session_id,
        first_seq=before.next_seq,
        parent_id=session.last_message_id,
        turn_id=lease.turn_id,
        status=finish.state,
    )
    next_seq = before.next_seq + len(answers)
    amounts = {**_amounts(finish), **count_messages(answers)}
    native = _native_after(finish, before, next_seq=next_seq)
    traceparent = finish.traceparent or before.traceparent
    held = _RELEASE.write(
        connection,
        {
            **_of(lease),
            "new_last_activity": finish.now,
            "new_next_seq": next_seq,
            "new_last_message_id": answers[-1].message_id if answers else session.last_message_id,
            "new_native": native_to_json(native),
            "new_traceparent": traceparent,
            **additions(amounts, _COUNTED),
        },
    )
    if held != 1:
        raise TurnConflictError(
            "The turn's lease was taken over by another process or ended before; nothing was stored. Send it again.",
            session_id=lease.session_id,
        )
    end_turn(connection, finish, last_seq=next_seq - 1)
    after = replace(
        before,
        last_activity=finish.now,
        next_seq=next_seq,
        native=native,
        traceparent=traceparent,
        version=before.version + 1,
        counters=added_to(before.counters, amounts),
    )
    return Finished(session=after, answers=answers)


def abandon_turn(connection: Connection, begun: Begun, now: datetime) -> None:
    """Undo what can be undone of a begun turn whose caller went away: release the lease, end the turn."""
    if _LET_GO.write(connection, _of(begun.lease)):
        close_turn(connection, begun.lease.session_id, begun.lease.turn_id, now)


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


def _amounts(finish: FinishTurn) -> dict[str, float]:
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
    }
