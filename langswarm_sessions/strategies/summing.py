"""A summary in place of what it covers. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile

from langswarm_sessions.messages import Role, SessionMessage
from langswarm_sessions.messages.tokens import shortened, text_tokens
from langswarm_sessions.records import SessionRecord, SessionSummary
from langswarm_sessions.strategies.plan import TurnPlan, TurnStrategy

__all__ = ["after_summary", "planned", "summary_message"]

_HEADING = "Summary of the conversation so far:\n\n"


def after_summary(
    history: Sequence[SessionMessage], summary: SessionSummary | None, *, at_most: int
) -> tuple[SessionMessage, ...]:
    """Return the history with the summary in place of what it covers; all system messages stay.

    The summary stands behind the system messages at the head, which never change, and in front of all that is said.

    Args:
        history: In order.
        summary: What stands for its beginning (None: nothing does).
        at_most: About how many tokens the summary may take; a longer one loses its end.
    """
    if summary is None:
        return tuple(history)
    left = [message for message in history if _is_system(message) or (message.seq or 0) > summary.up_to_seq]
    head = list(takewhile(_is_system, left))
    return (*head, summary_message(summary, at_most=at_most), *left[len(head) :])


def planned(
    strategy: TurnStrategy,
    record: SessionRecord,
    history: Sequence[SessionMessage],
    inputs: Sequence[SessionMessage],
    *,
    instead: TurnPlan,
    summary: SessionSummary | None,
    at_once: bool,
) -> TurnPlan:
    """Return the plan of a window, made again with what has become known of it.

    Args:
        strategy: The planner.
        record: The session's row.
        history: What the planner asked for.
        inputs: The new input.
        instead: The plan it takes the place of, and the reasons of.
        summary: What stands for the beginning of the transcript.
        at_once: Whether what is left out is going to be summarised.
    """
    window = strategy.rebuild(record, history, inputs, summary=summary, at_once=at_once)
    return replace(window, replaces=instead.replaces, reason=instead.reason)


def summary_message(summary: SessionSummary, *, at_most: int | None = None) -> SessionMessage:
    """Return a summary as the model is given it: the same bytes every turn, until it is another one.

    Args:
        summary: The summary.
        at_most: About how many tokens it may take (None: as many as it does).
    """
    text = _HEADING + (summary.text if at_most is None else shortened(summary.text, tokens=at_most))
    return SessionMessage(role=Role.SYSTEM, content=text, timestamp=summary.created_at, tokens=text_tokens(text) + 4)


def _is_system(message: SessionMessage) -> bool:
    return message.role is Role.SYSTEM
