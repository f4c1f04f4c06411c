"""From what a provider said to messages and native state. Pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import count

from langswarm_sessions.interfaces.provider import Completed, EngineProvider
from langswarm_sessions.messages import Role, SessionMessage, ToolCall
from langswarm_sessions.providers.base import answer_message
from langswarm_sessions.records import COST_KEY, Begun, NativeState, plain_amount
from langswarm_sessions.strategies import TurnPlan

__all__ = ["answer_of", "native_after", "partial_answer", "with_calls_apart"]


def with_calls_apart(completed: Completed) -> Completed:
    """Return an answer whose calls have an id each; nearly always it is the answer as it is.

    A provider that gave two calls one id could not be told their results apart: what it keeps of the answer is not gone
    on with, nor is the answer sent back in its own words.
    """
    calls = [part for part in completed.parts if isinstance(part, ToolCall)]
    if len({call.id for call in calls}) == len(calls):
        return completed
    ids = _apart([call.id for call in calls])
    parts = tuple(replace(part, id=next(ids)) if isinstance(part, ToolCall) else part for part in completed.parts)
    return replace(completed, parts=parts, native_id=None, payload=None)


def _apart(ids: Sequence[str]) -> Iterator[str]:
    """Yield ids; those that come again with the next number that makes them one of a kind."""
    taken, given = set(ids), set[str]()
    for call_id in ids:
        if call_id in given:
            call_id = next(name for number in count(2) if (name := f"{call_id}_{number}") not in taken)
            taken.add(call_id)
        given.add(call_id)
        yield call_id


def answer_of(completed: Completed, *, provider: str, cost: Decimal | None = None) -> SessionMessage:
    """Return the answer as a message, before middleware has seen it.

    Args:
        completed: The answer.
        provider: Who gave it.
        cost: What the turn cost up to it, in US dollars; None when that is not known.
    """
    message = answer_message(completed)
    priced = {} if cost is None else {COST_KEY: plain_amount(cost)}
    message.provider_metadata = {"provider": provider, **message.provider_metadata, **priced}
    return message


def partial_answer(text: str, *, provider: str, model: str) -> SessionMessage:
    """Return what was said before a turn was interrupted."""
    return SessionMessage(
        role=Role.ASSISTANT,
        content=text,
        provider_metadata={
            "provider": provider,
            "model": model,
            "usage": {},
            "finish_reason": "interrupted",
            "request_id": None,
        },
    )


def native_after(completed: Completed, *, plan: TurnPlan, begun: Begun, provider: EngineProvider) -> NativeState | None:
    """Return the provider's state after an answer; None when it kept nothing."""
    if not plan.keep_native or completed.native_id is None:
        return None
    return NativeState(
        provider=provider.name,
        kind=provider.profile.native,
        id=completed.native_id,
        cursor=_newest(begun),
        turn_id=begun.turn.turn_id,
        model=completed.model,
        memo=completed.native_memo,
        # Not the answer's: a middleware may have taken calls out that the provider still waits for.
        open_calls=tuple(part.id for part in completed.parts if isinstance(part, ToolCall)),
    )


def _newest(begun: Begun) -> int:
    known: Sequence[SessionMessage] = (*begun.history, *begun.inputs)
    return max((message.seq for message in known if message.seq is not None), default=0)
