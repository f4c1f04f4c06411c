"""One set of rows: what one framework has written, every other one reads."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from agent_framework import Content, Message
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from pydantic_ai import messages as pydantic_ai

from langswarm_sessions import SessionManager, SessionMessage
from langswarm_sessions.messages import Role, TextPart, ToolCall, ToolResult
from langswarm_sessions.records import MessageFilter
from langswarm_sessions_frameworks import AgentsSession, SessionHistoryProvider, SessionMessages
from langswarm_sessions_langchain import SessionChatMessageHistory

ROME = {"city": "Rome"}
TOLD: list[tuple[str, str]] = [
    ("system", "Be kind."),
    ("user", "How is it?"),
    ("assistant", "Let me see."),
    ("call c1", "weather Rome"),
    ("call c2", "weather Rome"),
    ("result c1", "sun"),
    ("result c2", "rain"),
    ("assistant", "Mixed."),
    ("user", "Thanks."),
]
"""What is said, in every format."""

# ---------------------------------------------------------------- OpenAI Agents SDK


async def write_openai(manager: SessionManager) -> list[Any]:
    said = {"type": "message", "role": "assistant", "id": "msg_1", "status": "completed"}
    items: list[Any] = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "How is it?"},
        {**said, "content": [{"type": "output_text", "text": "Let me see.", "annotations": []}]},
        {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": '{"city": "Rome"}'},
        {"type": "function_call", "call_id": "c2", "name": "weather", "arguments": '{"city": "Rome"}'},
        {"type": "function_call_output", "call_id": "c1", "output": "sun"},
        {"type": "function_call_output", "call_id": "c2", "output": "rain"},
        {**said, "content": [{"type": "output_text", "text": "Mixed.", "annotations": []}]},
        {"role": "user", "content": "Thanks."},
    ]
    await AgentsSession("s", manager=manager).add_items(items)
    return items


async def read_openai(manager: SessionManager) -> tuple[list[Any], list[tuple[str, str]]]:
    items: list[Any] = await AgentsSession("s", manager=manager).get_items()
    return items, [_openai(item) for item in items]


def _openai(item: dict[str, Any]) -> tuple[str, str]:
    if item.get("type") == "function_call":
        city = "Rome" if item["arguments"] == '{"city": "Rome"}' else item["arguments"]
        return f"call {item['call_id']}", f"{item['name']} {city}"
    if item.get("type") == "function_call_output":
        return f"result {item['call_id']}", item["output"]
    content = item["content"]
    return item["role"], content if isinstance(content, str) else "".join(block["text"] for block in content)


# ---------------------------------------------------------------- pydantic-ai


async def write_pydantic(manager: SessionManager) -> list[Any]:
    messages: list[Any] = [
        pydantic_ai.ModelRequest(
            parts=[pydantic_ai.SystemPromptPart("Be kind."), pydantic_ai.UserPromptPart("How is it?")]
        ),
        pydantic_ai.ModelResponse(
            parts=[
                pydantic_ai.TextPart("Let me see."),
                pydantic_ai.ToolCallPart("weather", ROME, "c1"),
                pydantic_ai.ToolCallPart("weather", ROME, "c2"),
            ]
        ),
        pydantic_ai.ModelRequest(
            parts=[
                pydantic_ai.ToolReturnPart("weather", "sun", "c1"),
                pydantic_ai.ToolReturnPart("weather", "rain", "c2"),
            ]
        ),
        pydantic_ai.ModelResponse(parts=[pydantic_ai.TextPart("Mixed.")]),
        pydantic_ai.ModelRequest(parts=[pydantic_ai.UserPromptPart("Thanks.")]),
    ]
    await SessionMessages("s", manager=manager).add(messages)
    return messages


async def read_pydantic(manager: SessionManager) -> tuple[list[Any], list[tuple[str, str]]]:
    messages: list[Any] = await SessionMessages("s", manager=manager).load()
    return messages, [_pydantic(part) for message in messages for part in message.parts]


def _pydantic(part: Any) -> tuple[str, str]:
    match part:
        case pydantic_ai.ToolCallPart():
            return f"call {part.tool_call_id}", f"{part.tool_name} {part.args_as_dict()['city']}"
        case pydantic_ai.ToolReturnPart():
            assert part.tool_name == "weather"
            return f"result {part.tool_call_id}", str(part.content)
        case pydantic_ai.SystemPromptPart():
            return "system", part.content
        case pydantic_ai.UserPromptPart():
            return "user", str(part.content)
        case _:
            return "assistant", part.content


# ---------------------------------------------------------------- Agent Framework


async def write_agent_framework(manager: SessionManager) -> list[Any]:
    calls = [Content.from_function_call(call_id, "weather", arguments=ROME) for call_id in ("c1", "c2")]
    results = [Content.from_function_result(i, result=value) for i, value in (("c1", "sun"), ("c2", "rain"))]
    messages = [
        Message("system", ["Be kind."]),
        Message("user", ["How is it?"]),
        Message("assistant", [Content.from_text("Let me see."), *calls]),
        Message("tool", results),
        Message("assistant", ["Mixed."]),
        Message("user", ["Thanks."]),
    ]
    await SessionHistoryProvider(manager).save_messages("s", messages)
    return messages


async def read_agent_framework(manager: SessionManager) -> tuple[list[Any], list[tuple[str, str]]]:
    messages = await SessionHistoryProvider(manager).get_messages("s")
    told = [_content(str(message.role), content) for message in messages for content in message.contents]
    return messages, told


def _content(role: str, content: Any) -> tuple[str, str]:
    if content.type == "function_call":
        arguments = content.parse_arguments()
        return f"call {content.call_id}", f"{content.name} {arguments['city']}"
    if content.type == "function_result":
        return f"result {content.call_id}", str(content.result)
    return role, content.text


# ---------------------------------------------------------------- LangChain


async def write_langchain(manager: SessionManager) -> list[Any]:
    calls = [{"name": "weather", "args": ROME, "id": call_id, "type": "tool_call"} for call_id in ("c1", "c2")]
    messages: list[BaseMessage] = [
        SystemMessage("Be kind.", id="m0"),
        HumanMessage("How is it?", id="m1"),
        AIMessage("Let me see.", tool_calls=calls, id="m2"),
        ToolMessage("sun", tool_call_id="c1", id="m3"),
        ToolMessage("rain", tool_call_id="c2", id="m4"),
        AIMessage("Mixed.", id="m5"),
        HumanMessage("Thanks.", id="m6"),
    ]
    await SessionChatMessageHistory(manager=manager, session_id="s").aadd_messages(messages)
    return list(messages)


async def read_langchain(manager: SessionManager) -> tuple[list[Any], list[tuple[str, str]]]:
    messages = await SessionChatMessageHistory(manager=manager, session_id="s").aget_messages()
    return list(messages), [said for message in messages for said in _langchain(message)]


def _langchain(message: BaseMessage) -> list[tuple[str, str]]:
    if isinstance(message, ToolMessage):
        return [(f"result {message.tool_call_id}", message.text)]
    role = {"human": "user", "ai": "assistant"}.get(message.type, message.type)
    calls = message.tool_calls if isinstance(message, AIMessage) else []
    return [(role, message.text), *((f"call {call['id']}", f"{call['name']} {call['args']['city']}") for call in calls)]


# ---------------------------------------------------------------- ours


async def write_ours(manager: SessionManager) -> list[Any]:
    await manager.create_session("user", "mock", "mock-model", session_id="s")
    calls = [ToolCall(id=call_id, name="weather", arguments=ROME) for call_id in ("c1", "c2")]
    messages = [
        SessionMessage(role=Role.SYSTEM, content="Be kind."),
        SessionMessage(role=Role.USER, content="How is it?"),
        SessionMessage(role=Role.ASSISTANT, parts=[TextPart("Let me see."), *calls]),
        SessionMessage(role=Role.TOOL, parts=[ToolResult(tool_call_id="c1", content="sun")]),
        SessionMessage(role=Role.TOOL, parts=[ToolResult(tool_call_id="c2", content="rain")]),
        SessionMessage(role=Role.ASSISTANT, content="Mixed."),
        SessionMessage(role=Role.USER, content="Thanks."),
    ]
    return await manager.append_messages("s", messages)


async def read_ours(manager: SessionManager) -> tuple[list[Any], list[tuple[str, str]]]:
    rows = await (await manager.get_session("s")).list_messages(MessageFilter(for_model=True))
    return list(rows), [said for row in rows for said in _row(row)]


def _row(row: SessionMessage) -> Sequence[tuple[str, str]]:
    if row.tool_results:
        return [(f"result {result.tool_call_id}", result.content) for result in row.tool_results]
    return [
        (row.role.value, row.content),
        *((f"call {c.id}", f"{c.name} {c.arguments['city']}") for c in row.tool_calls),
    ]


Write = Callable[[SessionManager], Awaitable[list[Any]]]
Read = Callable[[SessionManager], Awaitable[tuple[list[Any], list[tuple[str, str]]]]]

WRITERS: dict[str, Write] = {
    "openai-agents": write_openai,
    "pydantic-ai": write_pydantic,
    "agent-framework": write_agent_framework,
    "langchain": write_langchain,
    "ours": write_ours,
}
READERS: dict[str, Read] = {
    "openai-agents": read_openai,
    "pydantic-ai": read_pydantic,
    "agent-framework": read_agent_framework,
    "langchain": read_langchain,
    "ours": read_ours,
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("writer", WRITERS)
async def test_every_one_reads_what_another_one_wrote(manager: SessionManager, writer: str, reader: str) -> None:
    given = await WRITERS[writer](manager)
    items, told = await READERS[reader](manager)
    assert told == TOLD
    if writer == reader and writer != "agent-framework":  # whose messages have no equality
        assert items == given


async def test_they_go_on_in_one_conversation(manager: SessionManager) -> None:
    for write in WRITERS.values():
        if write is not write_ours:
            await write(manager)
    for read in READERS.values():
        _, told = await read(manager)
        assert told == TOLD * 4


async def test_a_framework_reads_no_loss_of_its_own_and_tells_that_of_others(manager: SessionManager) -> None:
    await write_openai(manager)
    reasoning: Any = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]}
    await AgentsSession("s", manager=manager).add_items([reasoning])
    assert (await AgentsSession("s", manager=manager).loss_report()).is_lossless
    for report in (
        await SessionMessages("s", manager=manager).loss_report(),
        await SessionHistoryProvider(manager).loss_report("s"),
    ):
        assert [note.part for note in report.crossing.dropped] == ["reasoning"]
        assert report.crossing.dropped[0].why == "only the model that thought it can be given it back"
