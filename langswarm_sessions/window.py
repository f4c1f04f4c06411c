"""The window: what of a transcript a model is given for one turn. Pure functions.

Trimming goes by whole turns (a user message and what followed it), keeps every system message, and never parts a
tool call from its result. Repair changes what is sent, never what is stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from langswarm_sessions.messages import MessageKind, Role, SessionMessage, ToolResult
from langswarm_sessions.messages.tokens import estimate_tokens

__all__ = ["INTERRUPTED_RESULT", "Window", "estimate_tokens", "fit", "repair"]

INTERRUPTED_RESULT = "The tool call was interrupted; there is no result."


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What fits, and how much was left out."""

    messages: tuple[SessionMessage, ...]
    dropped: int = 0
    tokens: int = 0


def fit(
    messages: Sequence[SessionMessage], *, max_messages: int | None = None, max_tokens: int | None = None
) -> Window:
    """Keep the newest whole turns that fit both bounds; the newest turn stays whatever it costs.

    Args:
        messages: In order, the new input last.
        max_messages: At most this many messages, system messages not counted.
        max_tokens: At most about this many tokens, system messages counted.

    Returns:
        The window, its estimated tokens, and how many messages were left out.
    """
    spoken = [message for message in messages if message.role is not Role.SYSTEM]
    turns = _whole_turns(spoken)
    room = None if max_tokens is None else max_tokens - _total(message for message in messages if _is_system(message))
    kept: list[list[SessionMessage]] = []
    count = tokens = 0
    for turn in reversed(turns):
        count += len(turn)
        tokens += _total(turn)
        too_much = (max_messages is not None and count > max_messages) or (room is not None and tokens > room)
        if kept and (too_much or _lacks_its_start(turn)):
            break
        kept.append(turn)
    chosen = {id(message) for turn in kept for message in turn}
    window = tuple(message for message in messages if _is_system(message) or id(message) in chosen)
    return Window(messages=window, dropped=len(messages) - len(window), tokens=_total(window))


def repair(messages: Sequence[SessionMessage], *, open_calls: Iterable[str] = ()) -> tuple[SessionMessage, ...]:
    """Return the messages with every tool call answered exactly once and no result without its call.

    The results stand right after the message that made the calls, in the order of the calls, one message each. A
    call without a result gets one that says it was interrupted; of results that were sent again the newest counts,
    and what was said in the turn they replace is left out. Ids that come again in later messages are told apart by
    their place. Instructions are left out: they travel by themselves. Repairing twice changes nothing.

    Args:
        messages: In order.
        open_calls: Ids of calls the provider already holds and waits for.
    """
    places: list[SessionMessage | _Call] = []
    made_calls: dict[str, _Call] = {}
    replaced: set[str | None] = set()

    def expect(call_id: str, turn_id: str | None) -> None:
        made_calls[call_id] = _Call(call_id, turn_id)
        places.append(made_calls[call_id])

    for call_id in dict.fromkeys(open_calls):
        expect(call_id, None)
    for message in messages:
        if message.kind is MessageKind.INSTRUCTIONS:
            continue
        results = message.tool_results if message.role is Role.TOOL else []
        for result in results:
            if call := made_calls.get(result.tool_call_id):
                if call.answer.turn_id != message.turn_id:
                    replaced.add(call.answer.turn_id)
                call.answer = message if len(results) == 1 else replace(message, content="", parts=[result])
        if not results:
            places.append(message)
            for made in message.tool_calls:
                expect(made.id, message.turn_id)
    replaced.discard(None)
    left = (place for place in places if place.turn_id not in replaced)
    return tuple(place.answer if isinstance(place, _Call) else place for place in left)


class _Call:
    """The place of a call's result among what is sent; it goes with the message of `turn_id` that made the call."""

    def __init__(self, call_id: str, turn_id: str | None) -> None:
        self.turn_id = turn_id
        interrupted = ToolResult(tool_call_id=call_id, content=INTERRUPTED_RESULT, is_error=True)
        self.answer = SessionMessage(role=Role.TOOL, parts=[interrupted])


def _whole_turns(messages: Sequence[SessionMessage]) -> list[list[SessionMessage]]:
    turns: list[list[SessionMessage]] = []
    for message in messages:
        starts = message.role is Role.USER and (not turns or turns[-1][-1].role is not Role.USER)
        if starts or not turns:
            turns.append([])
        turns[-1].append(message)
    return turns


def _lacks_its_start(turn: Sequence[SessionMessage]) -> bool:
    """Whether the beginning of a turn was not read: half a turn is none. What was added outside any turn is whole."""
    return turn[0].role is not Role.USER and turn[0].turn_id is not None


def _is_system(message: SessionMessage) -> bool:
    return message.role is Role.SYSTEM


def _total(messages: Iterable[SessionMessage]) -> int:
    return sum(estimate_tokens(message) for message in messages)
