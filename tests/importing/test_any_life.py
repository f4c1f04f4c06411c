"""Whatever a session lived through, what is imported of it is exported as it was."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from langswarm_sessions import (
    AudioPart,
    FilePart,
    ImagePart,
    ModelPrice,
    Session,
    SessionManager,
    SessionMessage,
    TextPart,
    ToolCall,
    ToolResult,
)
from langswarm_sessions.errors import ProviderUnavailableError
from langswarm_sessions.messages import OtherPart, Part, ReasoningPart, RefusalPart, Role
from langswarm_sessions.records import Amendment, SessionSummary
from tests.importing.held import LONG_AGO, exported
from tests.session.kit import AT_ONCE

PRICES = {"mock/m": ModelPrice(input=1, output="2.000001", cached_input="0.5")}  # the other model's is not known
TOOLS = [{"name": "clock", "parameters": {"type": "object"}}]
MEDIA: list[Part] = [
    TextPart("Look"),
    ImagePart(url="https://example.org/a.png", detail="low"),
    FilePart(data="aGk=", media_type="text/plain", name="ä.txt"),
    AudioPart(data="aGk=", media_type="audio/wav", transcript="hi"),
    TextPart(" here."),
]
ANSWER = SessionMessage(
    role=Role.ASSISTANT,
    parts=[ReasoningPart(text="hm"), RefusalPart("No. "), OtherPart(data={"type": "odd", "deep": [None, 1.5]})],
    group_id="group",
    provider_payload={"raw": [{"deep": None}, 2**53]},
    provider_metadata={"model": "m", "usage": {"total_tokens": 3}, "cost_usd": "0.000000000001"},
    provider_message_id="resp_1",
)


async def say(session: Session) -> None:
    await session.send_message("Where?", metadata={"from": ["app", {"deep": None}]}, idempotency_key=None)


async def instruct(session: Session) -> None:
    await session.send_message("Where?", instructions=f"Be brief, {session.message_count}.")


async def use_tools(session: Session) -> None:
    calls = [ToolCall(id=f"call_{name}", name="clock", arguments={"zone": name}) for name in ("CET", "UTC")]
    session.provider_session.set_responses([calls, "Noon."])
    await session.send_message("What time is it?", tools=TOOLS)
    results = [ToolResult(tool_call_id=call.id, content="12:00", is_error=call is calls[1]) for call in calls]
    await session.send_tool_results(results)


async def leave_call_open(session: Session) -> None:
    session.provider_session.set_responses([[ToolCall(id="open", name="clock", raw_arguments="{")]])
    await session.send_message("What time is it?", tools=TOOLS)


async def fail(session: Session) -> None:
    session.provider_session.fail_next("unavailable", times=AT_ONCE.max_attempts)
    with pytest.raises(ProviderUnavailableError):
        await session.send_message("Are you there?", idempotency_key="again")


async def interrupt(session: Session) -> None:
    stream = session.send_message_stream("a b c d e f")
    async for _ in stream:
        break
    await stream.aclose()


async def fail_and_ask_again(session: Session) -> None:
    key = f"key {session.message_count}"
    stream = session.send_message_stream("a b c d e f", idempotency_key=key)
    async for _ in stream:
        break
    await stream.aclose()
    await session.add_message("user", "meanwhile")
    await session.send_message("a b c d e f", idempotency_key=key)


async def add(session: Session) -> None:
    await session.add_message("user", MEDIA, LONG_AGO, metadata={"added": True})
    await session.send_system_message("Mind the gap.")


async def append_answer(session: Session) -> None:
    await session.amend(Amendment(append=(ANSWER,)))


async def hand_over(session: Session) -> None:
    await session.handoff("mock", "other" if session.model == "m" else "m")


async def summarise(session: Session) -> None:
    shown = await session.get_messages()
    if shown:
        summary = SessionSummary(
            up_to_seq=shown[len(shown) // 2].seq or 0, text="in short", tokens=2, created_at=LONG_AGO, provider="mock"
        )
        await session._runtime.services.storage.save_summary(session.session_id, summary)


async def take_back(session: Session) -> None:
    shown = await session.get_messages()
    if len(shown) > 2 and await session.get_summary() is None:
        await session.retract_messages([shown[1].message_id])


async def clear(session: Session) -> None:
    await session.clear_messages()


async def change(session: Session) -> None:
    await session.update_context({"city": {"name": "Rome", "days": [1, None, 2.5]}})
    await session.update_config({"name": "Trip", "tags": ["food", "rome"], "max_messages": 50})


EVENTS: list[Callable[[Session], Awaitable[None]]] = [
    say,
    instruct,
    use_tools,
    leave_call_open,
    fail,
    interrupt,
    fail_and_ask_again,
    add,
    append_answer,
    hand_over,
    summarise,
    take_back,
    clear,
    change,
]
ALL_BUT_CLEARING = [event for event in EVENTS if event is not clear]


def comparable(data: dict[str, Any]) -> dict[str, Any]:
    """Leave out where messages stand among what was cleared or taken back, which an export does not hold."""
    summary = data["summary"] and {**data["summary"], "up_to_seq": None}
    messages = [{**message, "parent_id": None} for message in data["messages"]]
    return {**data, "messages": messages, "summary": summary}


@given(st.lists(st.sampled_from(EVENTS), max_size=7), st.booleans())
@example(ALL_BUT_CLEARING, False)
@example([*ALL_BUT_CLEARING, *ALL_BUT_CLEARING], True)
@settings(max_examples=25, deadline=None)
def test_an_export_imported_and_exported_is_the_same(
    events: list[Callable[[Session], Awaitable[None]]], is_archived: bool
) -> None:
    async def play() -> None:
        options: dict[str, Any] = {"retry": AT_ONCE, "prices": PRICES, "telemetry": False}
        async with SessionManager("memory", **options) as here, SessionManager("memory", **options) as there:
            session = await here.create_session("ada", "mock", "m", session_id="s", strategy="hybrid")
            for event in events:
                await event(session)
            if is_archived:
                await session.archive()
            data = await exported(session)
            copy = await there.import_conversation(data)
            again = await exported(copy)
            assert comparable(again) == comparable(data)
            assert await copy.get_metrics() == await session.get_metrics()
            assert await there.import_conversation(data) is copy
            if not is_archived:
                await copy.send_message("It goes on.")
        async with SessionManager("memory", **options) as elsewhere:
            assert await exported(await elsewhere.import_conversation(again)) == again

    asyncio.run(play())
