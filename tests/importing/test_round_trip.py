"""Whatever is in an export, importing it and exporting it again gives the same."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from langswarm_sessions import (
    ImagePart,
    RetryPolicy,
    Role,
    SessionManager,
    SessionMessage,
    TextPart,
    ToolCall,
    ToolResult,
)
from langswarm_sessions.export import exported as as_export
from langswarm_sessions.messages import ReasoningPart, TurnState
from langswarm_sessions.records import MessageFilter
from tests.importing.held import exported, plain_export

TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
ID = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=5,
)
OBJECT = st.dictionaries(TEXT, JSON, max_size=3)
PART = st.one_of(
    st.builds(TextPart, TEXT),
    st.builds(ReasoningPart, text=TEXT),
    st.builds(ImagePart, url=TEXT, detail=st.none() | TEXT),
    st.builds(ToolCall, id=ID, name=TEXT, arguments=OBJECT),
    st.builds(ToolResult, tool_call_id=ID, content=TEXT, is_error=st.booleans()),
)
TIMES = st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))
ANY_TIME = st.datetimes(timezones=st.just(UTC))


@st.composite
def conversations(draw: st.DrawFn) -> tuple[list[SessionMessage], dict[str, TurnState]]:
    """Messages, and how the turn of each of them ended."""
    ends = draw(
        st.dictionaries(ID, st.sampled_from([TurnState.COMPLETED, TurnState.FAILED, TurnState.INTERRUPTED]), max_size=3)
    )
    messages: list[SessionMessage] = []
    for place in range(draw(st.integers(0, 5))):
        turn_id = draw(st.sampled_from([None, *ends]))
        messages.append(
            SessionMessage(
                role=draw(st.sampled_from(Role)),
                parts=draw(st.lists(PART, max_size=3)),
                message_id=f"{draw(TEXT)}-{place}",
                timestamp=draw(ANY_TIME),
                metadata=draw(OBJECT),
                provider_metadata=draw(OBJECT),
                provider_payload=draw(st.none() | OBJECT),
                provider_message_id=draw(st.none() | ID),
                group_id=draw(st.none() | ID),
                turn_id=turn_id,
                status=TurnState.COMPLETED if turn_id is None else ends[turn_id],
            )
        )
    return messages, ends


@given(conversations(), OBJECT, TIMES)
@settings(max_examples=25, deadline=None)
def test_any_conversation_makes_the_round_trip(
    conversation: tuple[list[SessionMessage], dict[str, TurnState]], context: dict[str, Any], moment: datetime
) -> None:
    async def play() -> None:
        async with SessionManager("memory", retry=RetryPolicy(max_attempts=1), telemetry=False) as manager:
            seed = await manager.import_conversation(plain_export(context=context, created_at=moment.isoformat()))
            given_data = as_export(seed._record, conversation[0])
            given_data["figures"]["turns"] = len({message.turn_id for message in conversation[0]} - {None})
            data = json.loads(json.dumps(given_data))
            session = await manager.import_conversation(data, session_id="other")
            back = await exported(session)
            del data["exported_at"]
            for message, before in zip(back["messages"], [None, *back["messages"]], strict=False):
                assert message["parent_id"] == (None if before is None else before["message_id"])
                message["parent_id"] = None
            assert back["session"].pop("session_id") == "other"
            del data["session"]["session_id"]
            assert back == data
            stored = await session.list_messages(MessageFilter())
            assert [message.seq for message in stored] == list(range(1, len(stored) + 1))
            assert await manager.import_conversation({**given_data}, session_id="other") is session

    asyncio.run(play())
