"""What building a request costs: twice the conversation, twice the work, whatever the ids of its calls are."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest

from langswarm_sessions.messages import Role, SessionMessage, ToolCall, ToolResult
from langswarm_sessions.providers.anthropic.mapping import conversation_of
from langswarm_sessions.providers.gemini.mapping import entries
from langswarm_sessions.providers.mapping import CallIds

SOME = 200


class Counted(str):
    """An id that counts how often it is hashed."""

    __slots__ = ()
    hashed = 0

    def __hash__(self) -> int:
        Counted.hashed += 1
        return super().__hash__()

    __eq__ = str.__eq__


def with_same_id(rounds: int) -> int:
    """Return how many ids are tried when each round calls with the id of the one before."""
    tried: list[str] = []

    def legal(call_id: str) -> str:
        tried.append(call_id)
        return hashlib.sha256(call_id.encode()).hexdigest()

    ids = CallIds(legal)
    given = [ids.made("call_0") for _ in range(rounds)]
    assert len({*given}) == rounds
    return len(tried)


def in_gemini(rounds: int) -> int:
    """Return how often ids are looked up while the results of each round are put in the order of its calls."""
    messages: list[SessionMessage] = []
    for number in range(rounds):
        call_id = Counted(f"call_{number}")
        messages += [
            SessionMessage(role=Role.ASSISTANT, parts=[ToolCall(id=call_id, name="clock")]),
            SessionMessage(role=Role.TOOL, parts=[ToolResult(tool_call_id=call_id, content="noon")]),
        ]
    Counted.hashed = 0
    said = list(entries(messages))
    assert [name for entry in said for _, name in entry.results] == ["clock"] * rounds
    return Counted.hashed


def in_anthropic(messages: int) -> int:
    """Return how often content is looked at when one speaker says it all, message by message."""
    looked_at = 0

    class Watched(dict[str, object]):
        def __getitem__(self, name: str) -> object:
            nonlocal looked_at
            looked_at += 1
            return super().__getitem__(name)

    told = conversation_of([], model="m")
    for number in range(messages):
        told.say("user", [Watched(type="text", text=str(number))])
    told.put_results_first()
    return looked_at


@pytest.mark.parametrize("work", [with_same_id, in_gemini, in_anthropic])
def test_work_grows_with_the_conversation_and_no_faster(work: Callable[[int], int]) -> None:
    once, twice = work(SOME), work(2 * SOME)
    assert once > 0
    assert twice <= 2.1 * once
