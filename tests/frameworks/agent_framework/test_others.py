"""One set of rows: what others wrote, read by Agent Framework, and what it wrote, read by others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from agent_framework import AgentSession, Content, Message
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from langswarm_sessions import Role, SessionManager
from langswarm_sessions.messages import SessionMessage, part_to_json, parts_from_json
from langswarm_sessions_frameworks.agent_framework import AGENT_FRAMEWORK, SessionHistoryProvider
from langswarm_sessions_frameworks.formats import message_of, read_as
from langswarm_sessions_frameworks.openai_agents.items import ItemsFormat
from langswarm_sessions_langchain import SessionChatMessageHistory
from tests.frameworks.agent_framework.scripted import ScriptedClient, agent_of, calls, said

HERE = Path(__file__).parent

MESSAGES = [
    Message("user", ["How is Oslo?"]),
    Message("assistant", [Content.from_function_call("c1", "weather", arguments='{"city": "Oslo"}')], message_id="r1"),
    Message("tool", [Content.from_function_result("c1", result="sunny")]),
    Message("assistant", [Content.from_text_reasoning(text="easy"), "Sunny."], author_name="guide", message_id="r2"),
]
TOLD = [
    ("user", "How is Oslo?"),
    ("assistant", "weather(c1)"),
    ("tool", "c1=sunny"),
    ("assistant", "Sunny."),
]


async def test_an_agent_goes_on_with_what_langchain_began(manager: SessionManager) -> None:
    history = SessionChatMessageHistory(manager=manager, session_id="s1")
    await history.aadd_messages(
        [
            HumanMessage("How is Oslo?"),
            AIMessage("", tool_calls=[{"name": "weather", "args": {"city": "Oslo"}, "id": "c1", "type": "tool_call"}]),
            ToolMessage("sunny", tool_call_id="c1"),
            AIMessage("Sunny."),
        ]
    )
    client = ScriptedClient(["You are welcome."])
    provider = SessionHistoryProvider(manager)
    await agent_of(client, provider).run("Thanks", session=AgentSession(session_id="s1"))
    assert client.told == [[*TOLD, ("user", "Thanks")]]
    assert (await provider.loss_report("s1")).is_lossless

    back = await history.aget_messages()
    assert [(message.type, message.text) for message in back[-2:]] == [("human", "Thanks"), ("ai", "You are welcome.")]


async def test_an_agent_goes_on_with_what_a_provider_said(manager: SessionManager) -> None:
    session = await manager.create_session("ada", "mock", "mock-model", session_id="s1")
    await session.send_message("Hi")
    client = ScriptedClient(["Hello."])
    await agent_of(client, SessionHistoryProvider(manager)).run("Hi again", session=AgentSession(session_id="s1"))
    assert client.told == [[("user", "Hi"), ("assistant", "Mock response to: Hi"), ("user", "Hi again")]]
    assert (await session.send_message("And you?")).content == "Mock response to: And you?"


async def test_a_provider_goes_on_with_what_an_agent_said(manager: SessionManager) -> None:
    client = ScriptedClient([calls("Oslo"), "Sunny."])
    await agent_of(client, SessionHistoryProvider(manager)).run("Oslo?", session=AgentSession(session_id="s1"))
    session = await manager.get_session("s1")
    report = await session.handoff("mock", "mock-model")
    assert report.crossing.crossed == {"text": 2, "tool_call": 1, "tool_result": 1}
    assert (await session.send_message("And Rome?")).content == "Mock response to: And Rome?"
    assert [message.role for message in await session.get_messages(role=Role.ASSISTANT)] == ["assistant"] * 3


def test_the_openai_agents_sdk_reads_what_an_agent_said() -> None:
    rows = [message_of(AGENT_FRAMEWORK, [message], message_id=f"m{at}") for at, message in enumerate(MESSAGES)]
    reading = read_as(ItemsFormat(), rows, session_id="s")
    assert [item.get("type") or item["role"] for item in reading.items] == [
        "message",
        "function_call",
        "function_call_output",
        "message",
    ]
    assert [note.part for note in reading.report.crossing.dropped] == ["reasoning"]


def rows_in(folder: str) -> list[SessionMessage]:
    written: list[dict[str, Any]] = json.loads((HERE.parent / folder / "rows.json").read_text())
    return [SessionMessage(parts=parts_from_json(row.pop("parts")), **row) for row in written]


def test_events_of_google_adk_are_read() -> None:
    reading = read_as(AGENT_FRAMEWORK, rows_in("google_adk"), session_id="s")
    assert [(message.role, said(message)) for message in reading.items] == TOLD
    assert [note.part for note in reading.report.crossing.dropped] == ["reasoning"]


def as_json(row: SessionMessage) -> dict[str, Any]:
    return {
        "role": row.role,
        "parts": [part_to_json(part) for part in row.parts],
        "metadata": row.metadata,
        "provider_payload": row.provider_payload,
    }


def test_rows_are_written_as_ever() -> None:
    """The tests of Google ADK read the same file: they cannot run in one environment with these."""
    written = [as_json(message_of(AGENT_FRAMEWORK, [message])) for message in MESSAGES]
    assert written == json.loads((HERE / "rows.json").read_text())


def test_rows_that_were_written_are_read() -> None:
    back = read_as(AGENT_FRAMEWORK, rows_in("agent_framework"), session_id="s").items
    assert [message.to_dict() for message in back] == [message.to_dict() for message in MESSAGES]
