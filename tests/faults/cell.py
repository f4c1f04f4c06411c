"""One cell of the matrix: three turns over the wire, the second of them in trouble, and what must hold after them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import StatusCode

from langswarm_sessions import Session, SessionError, SessionMessage, TurnState
from tests.faults.scene import Scene, Stage
from tests.faults.troubles import Plan, Trouble
from tests.session.kit import leftovers, rows_of, until

__all__ = ["MODES", "play"]

MODES = ("send", "stream")
_TURNS = "SELECT * FROM turns WHERE session_id = :session ORDER BY turn_index"
_WORDS = ("first", "second", "third")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What the caller of the troubled turn was told.

    Args:
        answer: The whole answer, None when there was none.
        error: What was raised.
        read: The text that came before that.
        has_left: Whether the caller went away.
    """

    answer: SessionMessage | None = None
    error: SessionError | None = None
    read: str = ""
    has_left: bool = False


async def play(stage: Stage, trouble: Trouble, plan: Plan, *, mode: str) -> str:
    """Play a cell and return its outcome in words.

    Raises:
        AssertionError: Something does not hold that must hold whatever goes wrong.
    """
    party, recorded = stage.party, stage.recorded
    tasks, contexts = asyncio.all_tasks(), len(party.contexts())
    recorded.exporter.clear()
    manager = stage.manager(timeout=trouble.timeout)
    session = await stage.session(manager)
    await session.send_message("first")
    before = party.asked(session)
    plan(Scene(stage.way, party, session))
    told = await _troubled(session, leaves=trouble.leaves, mode=mode)
    asked = party.asked(session) - before
    party.calm(session)
    last = await session.send_message("third")
    turns = await rows_of(manager, _TURNS, session=session.session_id)
    stored = await _check_transcript(session, told, last, turns[1])
    _check_contexts(party.contexts()[contexts:], told, trims=trouble.trims)
    assert not await leftovers(manager)
    await until(lambda: asyncio.all_tasks() <= tasks)
    spans = [span for span in recorded.spans if span.name.startswith("invoke_agent")]
    _check_spans(spans, told)
    words = _outcome(told, turns[1], spans[1], stored)
    return words if asked == 1 else f"{words} ({asked})"


async def _troubled(session: Session, *, leaves: bool, mode: str) -> _Told:
    if leaves:
        return await (_left(session) if mode == "stream" else _cancelled(session))
    if mode == "send":
        try:
            return _Told(answer=await session.send_message("second"))
        except SessionError as error:
            return _Told(error=error)
    read = ""
    stream = session.send_message_stream("second")
    try:
        async for chunk in stream:
            read += chunk
    except SessionError as error:
        return _Told(error=error, read=read)
    return _Told(answer=stream.message, read=read)


async def _left(session: Session) -> _Told:
    async with session.send_message_stream("second") as stream:
        return _Told(read=await anext(stream), has_left=True)


async def _cancelled(session: Session) -> _Told:
    asking = asyncio.create_task(session.send_message("second"))
    live: Any = session
    running = live._runtime.engine._live
    await until(lambda: any(log.text for _, log in running.of(session.session_id)))
    asking.cancel()
    await asyncio.wait([asking])
    assert asking.cancelled()
    return _Told(has_left=True)


async def _check_transcript(
    session: Session, told: _Told, last: SessionMessage, turn: dict[str, Any]
) -> SessionMessage | None:
    """Every input stands there once; of the turn in trouble there is what its caller was told, which is returned."""
    messages = list(await session.get_messages())
    said = [message for message in messages if message.role == "user"]
    assert [message.content for message in said] == list(_WORDS)
    answers = [message for message in messages if message.role == "assistant" and message.turn_id == said[1].turn_id]
    assert len(answers) <= 1
    stored = answers[0] if answers else None
    if told.answer is not None:
        assert stored is not None
        assert stored.message_id == told.answer.message_id
        assert (stored.content, stored.status) == (told.answer.content, TurnState.COMPLETED)
        assert told.read in {"", stored.content}
    elif told.has_left:
        assert said[1].status is TurnState.INTERRUPTED
        assert stored is None or stored.content.startswith(told.read)
    else:
        assert stored is None, "a turn that failed has no answer"
        assert said[1].status is TurnState.FAILED
    assert messages[-1].message_id == last.message_id
    assert turn["state"] == said[1].status
    return stored


def _check_contexts(contexts: list[str], told: _Told, *, trims: bool) -> None:
    """No model was told a thing twice, and the last one was told all that was answered."""
    for context in contexts:
        assert all(context.count(word) <= 1 for word in _WORDS), f"given twice: {context!r}"
    if contexts:
        known = [word for word in _WORDS if word in contexts[-1]]
        expected = ["first", "third"] if told.error is not None else list(_WORDS)
        assert known == (expected[-len(known) :] if trims else expected), f"the next model was told of {known}"


def _check_spans(spans: list[ReadableSpan], told: _Told) -> None:
    assert len(spans) == len(_WORDS), "each turn ended its span once"
    first, troubled, last = spans
    assert first.status.status_code is last.status.status_code is StatusCode.UNSET
    error_type = (troubled.attributes or {}).get("error.type")
    is_whole = told.answer is not None
    assert troubled.status.status_code is (StatusCode.UNSET if is_whole else StatusCode.ERROR)
    if told.error is not None:
        assert str(error_type).endswith(type(told.error).__name__)
    else:
        assert error_type in ({None} if is_whole else {"abandoned", "cancelled"})


def _outcome(told: _Told, turn: dict[str, Any], span: ReadableSpan, stored: SessionMessage | None) -> str:
    """Say what became of the turn."""
    if told.has_left:
        return "interrupted, with what had come" if stored else "interrupted"
    if told.error is not None:
        return type(told.error).__name__
    told_looks = [event.attributes or {} for event in span.events if "reconciled" in event.name]
    looks = [str(attributes["langswarm.reconcile.outcome"]) for attributes in told_looks]
    if "adopted" in looks:
        return "adopted"
    if turn["rebuilds"]:
        return "healed"
    return "resent" if looks else "answered"
