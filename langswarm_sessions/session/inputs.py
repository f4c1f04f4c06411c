"""From the arguments of a send to the engine's input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langswarm_sessions.checks import check_name, check_seconds, check_text
from langswarm_sessions.messages import SessionMessage, ToolCall
from langswarm_sessions.records import TurnOptions
from langswarm_sessions.turns import TurnInput

__all__ = ["Tools", "turn_input", "unanswerable"]

Tools = Sequence[Mapping[str, Any]]


def turn_input(
    messages: Sequence[SessionMessage],
    *,
    options: TurnOptions,
    idempotency_key: str | None,
    timeout: float | None,
    instructions: str | None = None,
    stream: bool = False,
    operation: str | None = None,
) -> TurnInput:
    """Check the arguments of a send and return them in the engine's terms.

    Raises:
        InvalidInputError: An argument is wrong; the message names it.
    """
    return TurnInput(
        messages=tuple(messages),
        instructions=check_text(instructions, field="instructions"),
        options=options,
        idempotency_key=None if idempotency_key is None else check_name(idempotency_key, field="idempotency_key"),
        timeout=check_seconds(timeout, field="timeout"),
        stream=stream,
        operation=operation or ("stream" if stream else "send"),
    )


def unanswerable(results: Sequence[SessionMessage], *, calls: Sequence[ToolCall]) -> str | None:
    """Return why these results do not answer these calls, naming the entry; None when they do."""
    known = {call.id for call in calls}
    if not known:
        return "results: the last answer asks for no tool. Send results right after an answer with tool_calls."
    answered: set[str] = set()
    for position, message in enumerate(results):
        for result in message.tool_results:
            if result.tool_call_id not in known:
                return f"results[{position}]: 'tool_call_id' must be one of {', '.join(sorted(known))}."
            if result.tool_call_id in answered:
                return f"results[{position}]: call {result.tool_call_id!r} is answered twice. Send one result a call."
            answered.add(result.tool_call_id)
    return None
