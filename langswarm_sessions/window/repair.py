"""Making what is sent well-formed, never what is stored. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from langswarm_sessions.messages import MessageKind, Role, SessionMessage, ToolResult

__all__ = ["INTERRUPTED_RESULT", "LATE_RESULTS", "repair"]

INTERRUPTED_RESULT = "The tool call was interrupted; there is no result."
LATE_RESULTS = "(The results of the tool calls have come in.)"


def repair(messages: Sequence[SessionMessage], *, open_calls: Iterable[str] = ()) -> tuple[SessionMessage, ...]:
    """Return the messages with every tool call answered exactly once and no result without its call.

    The results stand right after the message that made the calls, in the order of the calls, one message each; what
    came beside several of them stands with the last. A call without a result gets one that says it was interrupted;
    of results that were sent again the newest counts, and what was said in the turn they replace is left out. Ids that
    come again in later messages are told apart by their place. Where the newest are results, and an answer came since
    their calls, a message of the user says that they are there: no model goes on from its own words. Instructions are
    left out: they travel by themselves. Repairing twice changes nothing.

    Args:
        messages: In order.
        open_calls: Ids of calls the provider already holds and waits for.
    """
    places: list[SessionMessage | _Call] = []
    made_calls: dict[str, _Call] = {}
    replaced: set[str | None] = set()

    def expect(call_id: str, turn_id: str | None) -> None:
        made_calls[call_id] = _Call(call_id, turn_id, place=len(places))
        places.append(made_calls[call_id])

    for call_id in dict.fromkeys(open_calls):
        expect(call_id, None)
    for message in messages:
        if message.kind is MessageKind.INSTRUCTIONS:
            continue
        results = message.tool_results if message.role is Role.TOOL else []
        answered = {result.tool_call_id: result for result in results if result.tool_call_id in made_calls}
        for call in (calls := [made_calls[call_id] for call_id in answered]):
            if call.answer.turn_id != message.turn_id:
                replaced.add(call.answer.turn_id)
            call.answer = message if len(results) == 1 else _part_of(message, answered[call.id])
        if calls and len(results) > 1:
            last = max(calls, key=lambda call: call.place)
            last.answer = _part_of(message, answered[last.id], with_rest=True)
        if not results:
            places.append(message)
            for made in message.tool_calls:
                expect(made.id, message.turn_id)
    replaced.discard(None)
    left = (place for place in places if place.turn_id not in replaced)
    sent = [place.answer if isinstance(place, _Call) else place for place in left]
    return (*sent, SessionMessage(role=Role.USER, content=LATE_RESULTS)) if _came_late(messages, sent) else tuple(sent)


def _part_of(message: SessionMessage, result: ToolResult, *, with_rest: bool = False) -> SessionMessage:
    """Return one of a message's results as a message, with what is no result if it is to stand there."""
    rest = [part for part in message.parts if not isinstance(part, ToolResult)] if with_rest else []
    return replace(message, content="", parts=[result, *rest])


def _came_late(messages: Sequence[SessionMessage], sent: Sequence[SessionMessage]) -> bool:
    """Whether results are the newest of all, and an answer is the last of what is sent."""
    roles = (message.role for message in reversed(sent) if message.role is not Role.SYSTEM)
    return bool(messages and messages[-1].tool_results) and next(roles, None) is Role.ASSISTANT


class _Call:
    """The place of a call's result among what is sent; it goes with the message of `turn_id` that made the call."""

    def __init__(self, call_id: str, turn_id: str | None, *, place: int) -> None:
        self.id = call_id
        self.place = place
        self.turn_id = turn_id
        interrupted = ToolResult(tool_call_id=call_id, content=INTERRUPTED_RESULT, is_error=True)
        self.answer = SessionMessage(role=Role.TOOL, parts=[interrupted], seq=0)  # older than anything said
