"""Units of work: what the turn engine asks of a storage, each one transaction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from langswarm_sessions.messages import SessionMessage, TurnState
from langswarm_sessions.records.session import NativeState, SessionRecord
from langswarm_sessions.records.turn import TurnOptions, TurnRecord, Usage

__all__ = ["BeginTurn", "Begun", "Busy", "FinishTurn", "Finished", "HistoryQuery", "Lease", "LeaseOwner", "Recorded"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseOwner:
    """Who holds a lease: enough to see from outside whether that process still lives.

    Args:
        host: Host and process namespace.
        pid: Process id.
        started: The process's start time in seconds (since the boot or the epoch), so that a reused pid is told apart.
    """

    host: str
    pid: int
    started: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to write one session: the highest `fence` ever given out is the one in force."""

    session_id: str
    turn_id: str
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryQuery:
    """Which part of the transcript a turn needs, newest first until a bound is met.

    Instructions are no part of it: those in force travel by themselves. System messages count for no bound.

    Args:
        after_seq: Only messages with a higher `seq`.
        not_turn: Leave out the messages of this turn (the provider's own answer to the cursor).
        max_messages: At most this many.
        max_tokens: At most about this many tokens.
        with_system: Add every system message before the bound as well.
        down_to: Read back to the message of this `seq` at least, whatever the bounds.
    """

    after_seq: int = 0
    not_turn: str | None = None
    max_messages: int | None = None
    max_tokens: int | None = None
    with_system: bool = True
    down_to: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginTurn:
    """Take the lease, store the input, read what the plan needs.

    `needs` is pure: from the session's row to the history to load (None: none). `instructions` is stored as a message
    of its own when it differs from the instructions in force. `ticket` is the waiter's place in line, if it has one.
    With `resume_failed`, a newest turn of the session that failed with the same `input_digest` is rerun in place, as
    if this call carried its key.

    `held` is the caller's own lease, kept by the turn it finished before: the new turn follows at once, without a line.
    `resumes` names a completed turn that something is left to do for: its lease is given out again, no turn begins,
    and the key is that of the turn to come after it.
    """

    session_id: str
    turn_id: str
    inputs: tuple[SessionMessage, ...]
    owner: LeaseOwner
    lease_seconds: float
    now: datetime
    needs: Callable[[SessionRecord], HistoryQuery | None]
    input_digest: str
    idempotency_key: str | None = None
    instructions: SessionMessage | None = None
    options: TurnOptions = field(default_factory=TurnOptions)
    ticket: int | None = None
    user_id: str | None = None
    resume_failed: bool = False
    held: Lease | None = None
    resumes: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """The turn may run. `history` excludes `inputs`; both are as stored, in order.

    `down_to` is the `seq` where what is being answered begins, if that lies before the inputs.
    """

    session: SessionRecord
    turn: TurnRecord
    lease: Lease
    inputs: tuple[SessionMessage, ...]
    history: tuple[SessionMessage, ...]
    took_over: bool = False
    down_to: int | None = None

    @property
    def previous_trace(self) -> str | None:
        """What the session keeps of its traces; None where a turn came since that left no trace, for it died."""
        return None if self.took_over else self.session.traceparent


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """The idempotency key's turn was completed before; this is its answer."""

    session: SessionRecord
    turn: TurnRecord
    answer: SessionMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class Busy:
    """Another turn holds the session, or others wait before this one; come again with `ticket`."""

    ticket: int
    holder: LeaseOwner | None
    expires_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishTurn:
    """Store how the turn ended and release the lease, all or nothing.

    `native` replaces the stored native state when `native_changed`; None then means there is none. With `keep_lease`
    the caller keeps the lease of the ended turn: it has more to do before anybody else's turn.

    `cost` is what is known of what the attempt cost, in US dollars (None: nothing is); with `is_unpriced` that is not
    all. With `was_unpriced` it was so of an attempt before: the session counts each of its turns once.
    """

    lease: Lease
    state: TurnState
    now: datetime
    provider: str
    model: str
    mode: str
    answers: tuple[SessionMessage, ...] = ()
    native: NativeState | None = None
    native_changed: bool = False
    usage: Usage | None = None
    cost: Decimal | None = None
    is_unpriced: bool = False
    was_unpriced: bool = False
    duration_ms: float = 0.0
    retries: int = 0
    rebuilds: int = 0
    error_type: str | None = None
    traceparent: str | None = None
    keep_lease: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """What was stored: the answers with their `seq`, and the session's row after it."""

    session: SessionRecord
    answers: tuple[SessionMessage, ...]
