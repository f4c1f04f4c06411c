"""Messages that hold everything a LangChain message can hold, and what got lost of them."""

from __future__ import annotations

from typing import Any

from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)

__all__ = ["chunk", "content_blocks", "every_type", "lost_of", "odd_texts", "rich_answer", "tool_exchange"]


def every_type() -> list[BaseMessage]:
    """Return one message of each of LangChain's types."""
    return [
        SystemMessage("rules", id="s-1"),
        HumanMessage("question", id="h-1", name="Ada"),
        AIMessage("answer", id="a-1", name="assistant"),
        ToolMessage("result", tool_call_id="call-1", id="t-1", name="clock"),
        FunctionMessage(content="returned", name="clock", id="f-1"),
        ChatMessage(content="aside", role="critic", id="c-1"),
        RemoveMessage(id="r-1"),
    ]


def tool_exchange() -> list[BaseMessage]:
    """Return parallel tool calls, one of which could not be parsed, and their results."""
    return [
        HumanMessage("what time is it here and there?", id="h-1"),
        AIMessage(
            "",
            id="a-1",
            tool_calls=[
                {"name": "clock", "args": {"zone": "UTC", "at": [1, None, 2.5]}, "id": "call-1", "type": "tool_call"},
                {"name": "clock", "args": {}, "id": "call-2", "type": "tool_call"},
            ],
            invalid_tool_calls=[
                {"name": "clock", "args": "{zone:", "id": "call-3", "error": "no JSON", "type": "invalid_tool_call"}
            ],
        ),
        ToolMessage("12:00", tool_call_id="call-1", name="clock", status="success", artifact={"raw": [1, {"a": "b"}]}),
        ToolMessage("no such zone", tool_call_id="call-2", name="clock", status="error"),
    ]


def rich_answer() -> AIMessage:
    """Return an answer with all that a provider tells beside it."""
    return AIMessage(
        "answer",
        id="run-1",
        additional_kwargs={"refusal": None, "nested": {"list": [1, 2, {"deep": True}]}},
        response_metadata={
            "model_name": "some-model",
            "finish_reason": "stop",
            "id": "resp_1",
            "logprobs": [{"token": "a", "logprob": -0.25}],
        },
        usage_metadata={
            "input_tokens": 12,
            "output_tokens": 34,
            "total_tokens": 46,
            "input_token_details": {"cache_read": 5},
            "output_token_details": {"reasoning": 6},
        },
    )


def content_blocks() -> list[BaseMessage]:
    """Return messages whose content is a list of blocks."""
    return [
        HumanMessage(
            [
                {"type": "text", "text": "what is this?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"}},
                {"type": "file", "base64": "JVBERi0=", "mime_type": "application/pdf", "id": "file-1"},
            ],
            id="h-1",
        ),
        AIMessage(
            [
                {"type": "reasoning", "reasoning": "looking", "extras": {"signature": "c2ln"}},
                {"type": "text", "text": "a dot", "annotations": [{"type": "citation", "url": "about:blank"}]},
                "and a plain string",
            ],
            id="a-1",
        ),
    ]


def chunk() -> AIMessageChunk:
    """Return a streamed answer as it stands when its chunks were added up."""
    return AIMessageChunk(
        content="answer",
        id="run-1",
        tool_call_chunks=[
            {"name": "clock", "args": '{"zone": "UTC"}', "id": "call-1", "index": 0, "type": "tool_call_chunk"}
        ],
        response_metadata={"finish_reason": "tool_calls"},
        usage_metadata={"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
        chunk_position="last",
    )


def odd_texts() -> dict[str, str]:
    """Return texts that storages stumble over."""
    return {
        "emoji": "👩‍👩‍👧‍👦 🇪🇺 café",
        "right to left": "שלום \u202eolleh\u202c",
        "quotes and markup": "'; DROP TABLE x; -- \" \\ \\u0041 <b>{{x}} %s {0} \r\n\t",
        "blank": " \n ",
        "empty": "",
        "a megabyte": "ä" * 500_000,
    }


def lost_of(before: BaseMessage, after: BaseMessage, *, fields: frozenset[str] | None = None) -> list[str]:
    """Return the names of what is not the same in a message that was read again.

    Args:
        before: As it was added. An id it did not have may have been given to it since.
        after: As it was read.
        fields: Look at these alone; the type and all fields by default.
    """
    was, found = _values(before), _values(after)
    if before.id is None:
        found.pop("id", None)
        was.pop("id", None)
    names = sorted({*was, *found} if fields is None else fields)
    lost = [name for name in names if was.get(name) != found.get(name)]
    return lost if fields is not None or type(after) is type(before) else ["type", *lost]


def _values(message: BaseMessage) -> dict[str, Any]:
    return {name: value for name, value in message if value not in (None, [], {}) or name in ("content", "artifact")}
