"""Which of a session's spans are looked at: one turn, the last ones, those that failed or never ended."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from langswarm_sessions_otel import semconv
from langswarm_sessions_otel.reading.records import SpanRecord


@dataclass(frozen=True, slots=True)
class SessionStep:
    """A turn of a session, or a transition outside of one.

    Attributes:
        root: Its outermost span; of a turn that left nothing of itself, the first of its parts.
        records: All its spans.
        ended: Whether it ended; else its process was killed, or it is still going on.
    """

    root: SpanRecord
    records: tuple[SpanRecord, ...]
    ended: bool = True

    @property
    def turn(self) -> int | None:
        """The number of the turn; None for a transition, and for a turn that ended too early to have one."""
        index = self.root.attributes.get(semconv.TURN_INDEX)
        return index if isinstance(index, int) else None

    @property
    def is_turn(self) -> bool:
        """Whether it is a turn."""
        return semconv.SESSION_OPERATION in self.root.attributes or not self.ended

    @property
    def failed(self) -> bool:
        """Whether it never ended, or anything in it failed, be it made good later."""
        return not self.ended or any(record.error is not None for record in self.records)


def steps_of(records: Sequence[SpanRecord], session_id: str) -> list[SessionStep]:
    """Divide the spans of a session into its turns and transitions.

    Args:
        records: Spans as `read_span_file` returns them for a session.
        session_id: The session.

    Returns:
        The steps in the order of their start. Spans of the user's around them are in none.
    """
    children: defaultdict[tuple[str, str | None], list[SpanRecord]] = defaultdict(list)
    for record in records:
        children[record.trace, record.parent].append(record)

    def below(record: SpanRecord) -> Iterator[SpanRecord]:
        waiting = [record]
        while waiting:
            yield (current := waiting.pop())
            waiting += children.pop((current.trace, current.span), [])

    by_id = {(record.trace, record.span): record for record in records}
    tops: defaultdict[tuple[str, str], list[SpanRecord]] = defaultdict(list)
    for record in sorted(records, key=lambda record: record.start):
        if _is_top(record, by_id, session_id):
            tops[record.trace, _missing_turn(record, by_id) or record.span].append(record)
    return [
        SessionStep(
            group[0],
            tuple(found for top in group for found in below(top)),
            ended=not group[0].open and _missing_turn(group[0], by_id) is None,
        )
        for group in tops.values()
    ]


def _missing_turn(top: SpanRecord, by_id: dict[tuple[str, str], SpanRecord]) -> str | None:
    """Return the id of the turn that an outermost span is a part of, though there is nothing of that turn itself."""
    names = top.attributes.keys()
    if top.parent is None or top.remote or (top.trace, top.parent) in by_id or semconv.CONVERSATION_ID not in names:
        return None  # outside of turns there is no conversation id
    return None if names & {semconv.SESSION_OPERATION, semconv.SESSION_TRANSITION} else top.parent


def _is_top(record: SpanRecord, by_id: dict[tuple[str, str], SpanRecord], session_id: str) -> bool:
    if record.attributes.get(semconv.LANGSWARM_SESSION_ID) != session_id:
        return False
    seen: set[str] = set()
    while record.parent is not None and record.span not in seen:
        seen.add(record.span)
        above = by_id.get((record.trace, record.parent))
        if above is None:
            return True
        if above.attributes.get(semconv.LANGSWARM_SESSION_ID) == session_id:
            return False
        record = above
    return True


def select_steps(
    steps: Sequence[SessionStep], *, turn: int | None = None, last: int | None = None, failed: bool = False
) -> list[SessionStep]:
    """Keep some of a session's steps.

    Args:
        steps: The steps of `steps_of`.
        turn: Only the turn of this number.
        last: Only this many of the last turns, with what came after the first of them.
        failed: Only what has an error in it, or never ended.

    Returns:
        The steps that are left.
    """
    kept = [step for step in steps if (turn is None or step.turn == turn) and (not failed or step.failed)]
    if last is not None:
        turns = [step for step in kept if step.is_turn][-last:]
        kept = [step for step in kept if turns and step.root.start >= turns[0].root.start]
    return kept


def spans_of(steps: Sequence[SessionStep], records: Sequence[SpanRecord]) -> list[SpanRecord]:
    """Return the spans of steps, and the user's spans that they stand in.

    Args:
        steps: The steps.
        records: All spans at hand.

    Returns:
        Records in the order of `records`.
    """
    by_id = {(record.trace, record.span): record for record in records}
    kept = {(record.trace, record.span) for step in steps for record in step.records}
    for step in steps:
        above = by_id.get((step.root.trace, step.root.parent or ""))
        while above is not None and (above.trace, above.span) not in kept:
            kept.add((above.trace, above.span))
            above = by_id.get((above.trace, above.parent or ""))
    return [record for record in records if (record.trace, record.span) in kept]
