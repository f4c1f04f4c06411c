"""Results of several tool calls in one message, as other frameworks keep them: LangChain has a message for each."""

from __future__ import annotations

from dataclasses import replace

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.runnables import RunnableLambda

from langswarm_sessions import (
    ImagePart,
    InvalidInputError,
    Role,
    SessionManager,
    SessionMessage,
    ToolCall,
    ToolResult,
)
from langswarm_sessions_langchain import (
    SessionChatMessageHistory,
    SessionRunnable,
    messages_to_langchain,
    to_langchain,
)
from langswarm_sessions_langchain.chat_model.newness import new_messages

SEVERAL = SessionMessage(
    role=Role.TOOL,
    parts=[
        ToolResult(tool_call_id="a", content="1", name="look"),
        ToolResult(tool_call_id="b", content="2", is_error=True),
        ImagePart(url="https://example.com/seen.png"),
    ],
    message_id="m",
)


def test_several_results_in_one_message_are_a_message_each() -> None:
    """As other frameworks keep the results of parallel tool calls."""
    first, second = messages_to_langchain([SEVERAL])
    assert first == ToolMessage("1", tool_call_id="a", name="look", id="m")
    assert isinstance(second, ToolMessage)
    assert (second.tool_call_id, second.status, second.id, second.text) == ("b", "error", "m:1", "2")
    assert isinstance(second.content, list), "what came beside them is with the last"
    assert second.content[-1]["type"] == "image"  # type: ignore[index]  # pyright: ignore[reportArgumentType]
    apart = [replace(SEVERAL, content="", parts=[part]) for part in SEVERAL.parts[:2]]
    assert [message.id for message in messages_to_langchain(apart)] == ["m", "m:1"], "parted before"
    with pytest.raises(InvalidInputError, match="messages_to_langchain"):
        to_langchain(SEVERAL)


async def test_several_results_in_one_row_reach_every_reader(durable: SessionManager) -> None:
    await durable.create_session("user", "runnable", "runnable", session_id="adk")
    calls = [ToolCall(id=id_, name="look", arguments={}) for id_ in ("a", "b")]
    rows = [
        SessionMessage(role=Role.USER, content="both"),
        SessionMessage(role=Role.ASSISTANT, parts=list(calls)),
        SessionMessage(role=Role.TOOL, parts=SEVERAL.parts[:2]),
        SessionMessage(role=Role.ASSISTANT, content="1 and 2"),
    ]
    await durable.append_messages("adk", rows)
    history = SessionChatMessageHistory(manager=durable, session_id="adk")
    kinds = ["human", "ai", "tool", "tool", "ai"]
    assert [message.type for message in await history.aget_messages()] == kinds
    heard: list[list[BaseMessage]] = []

    def answer(messages: list[BaseMessage]) -> str:
        heard.append(messages)
        return "yes"

    runnable = SessionRunnable(RunnableLambda(answer), manager=durable)
    await runnable.ainvoke("sure?", {"configurable": {"session_id": "adk"}})
    assert [message.type for message in heard[0]] == [*kinds, "human"]
    assert len({message.id for message in heard[0]}) == len(heard[0])


def test_a_conversation_with_such_a_message_is_known_again() -> None:
    held = [
        SessionMessage(role=Role.USER, content="both", message_id="1"),
        SessionMessage(role=Role.ASSISTANT, parts=[ToolCall(id="a", name="look"), ToolCall(id="b", name="look")]),
        replace(SEVERAL, content="", parts=SEVERAL.parts[:2]),
        SessionMessage(role=Role.ASSISTANT, content="1 and 2", message_id="4"),
    ]
    given = [*messages_to_langchain(held), HumanMessage("sure?")]
    assert [message.text for message in new_messages(given, held).messages] == ["sure?"]
    unnamed = [message.model_copy(update={"id": None}) for message in given if not isinstance(message, AIMessage)]
    again = [*unnamed[:1], given[1], *unnamed[1:3], given[4], HumanMessage("sure?")]
    assert [message.text for message in new_messages(again, held).messages] == ["sure?"]
