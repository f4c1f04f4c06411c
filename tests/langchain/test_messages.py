"""LangChain messages and ours: nothing is lost on the way there and back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    ChatMessageChunk,
    FunctionMessage,
    FunctionMessageChunk,
    HumanMessage,
    HumanMessageChunk,
    RemoveMessage,
    SystemMessage,
    SystemMessageChunk,
    ToolMessage,
    ToolMessageChunk,
    message_chunk_to_message,
)

from langswarm_sessions import (
    FilePart,
    ImagePart,
    InvalidInputError,
    ReasoningPart,
    RefusalPart,
    Role,
    SessionManager,
    SessionMessage,
    TextPart,
    ToolCall,
    ToolResult,
)
from langswarm_sessions.messages import AudioPart, OtherPart
from langswarm_sessions_langchain import from_langchain, to_langchain
from tests.langchain.chains import stored

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
scalar = (
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False) | text
)
json_value = st.recursive(
    scalar, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3), max_leaves=6
)
json_object = st.dictionaries(text, json_value, max_size=3)
key = st.text(st.characters(min_codepoint=97, max_codepoint=122), min_size=8, max_size=10).map(lambda name: f"x_{name}")


def block(kind: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A content block of a type, with any further entries."""
    named = st.fixed_dictionaries({"type": st.just(kind), **fields})
    return st.tuples(st.dictionaries(key, json_value, max_size=2), named).map(lambda both: {**both[0], **both[1]})


source = st.one_of(
    st.fixed_dictionaries({"type": st.just("base64"), "media_type": text, "data": text}),
    st.fixed_dictionaries({"type": st.just("url"), "url": text}),
)
blocks = st.one_of(
    text,
    block("text", text=text),
    block("reasoning", reasoning=text),
    block("thinking", thinking=text, signature=text),
    block("refusal", refusal=text),
    block("image", url=text),
    block("image", base64=text, mime_type=text),
    block("image", source=source),
    block("image", source_type=st.just("base64"), data=text, mime_type=text),
    block("image_url", image_url=text | st.fixed_dictionaries({"url": text, "detail": text})),
    block("audio", base64=text, mime_type=text),
    block("input_audio", input_audio=st.fixed_dictionaries({"data": text, "format": text})),
    block("file", file_id=text),
    block("file", file=st.fixed_dictionaries({"file_data": text, "filename": text})),
    block("video", url=text),
    block("text-plain", text=text),
    block("tool_call", id=text, name=text, args=json_object),
    block("tool_use", id=text, name=text, input=json_object),
    block("server_tool_call", id=text, name=text, args=json_object),
    block("server_tool_result", tool_call_id=text, output=json_value),
    block("non_standard", value=json_object),
    json_object,
)
content = text | st.lists(blocks, max_size=4)
common: dict[str, Any] = {
    "content": content,
    "id": st.none() | text,
    "name": st.none() | text,
    "additional_kwargs": st.dictionaries(key, json_value, max_size=2),
    "response_metadata": st.dictionaries(key, json_value, max_size=2),
}
tool_call = st.fixed_dictionaries({"name": text, "args": json_object, "id": st.none() | text})
invalid_call = st.fixed_dictionaries(
    {"name": st.none() | text, "args": st.none() | text, "id": st.none() | text, "error": st.none() | text}
)
count = st.integers(0, 10**6)
usage = st.fixed_dictionaries(
    {"input_tokens": count, "output_tokens": count, "total_tokens": count},
    optional={
        "input_token_details": st.fixed_dictionaries({}, optional={"cache_read": count, "audio": count}),
        "output_token_details": st.fixed_dictionaries({}, optional={"reasoning": count}),
    },
)
answer: dict[str, Any] = {
    **common,
    "tool_calls": st.lists(tool_call, max_size=2),
    "invalid_tool_calls": st.lists(invalid_call, max_size=2),
    "usage_metadata": st.none() | usage,
}
result: dict[str, Any] = {
    **common,
    "tool_call_id": text,
    "artifact": json_value,
    "status": st.sampled_from(["success", "error"]),
}


def of(kind: type[BaseMessage], fields: dict[str, Any], *, extras: bool = True) -> st.SearchStrategy[BaseMessage]:
    """A message of a type, with entries that LangChain does not know."""
    extra = st.dictionaries(key, json_value, max_size=2 if extras else 0)
    return st.tuples(extra, st.fixed_dictionaries(fields)).map(lambda both: kind.model_validate({**both[0], **both[1]}))


whole = st.one_of(
    of(HumanMessage, common),
    of(AIMessage, answer),
    of(SystemMessage, common),
    of(ToolMessage, result),
    of(FunctionMessage, {**common, "name": text}),
    of(ChatMessage, {**common, "role": text | st.sampled_from(["user", "assistant", "system", "developer", "tool"])}),
    text.map(lambda id_: RemoveMessage(id=id_)),
)
chunk = st.one_of(
    of(HumanMessageChunk, common, extras=False),
    of(SystemMessageChunk, common, extras=False),
    of(ToolMessageChunk, result, extras=False),
    of(FunctionMessageChunk, {**common, "name": text}, extras=False),
    of(ChatMessageChunk, {**common, "role": text}, extras=False),
    of(AIMessageChunk, answer, extras=False),
)


@given(whole)
def test_every_message_comes_back_as_it_was(message: BaseMessage) -> None:
    ours = from_langchain(message)
    assert json.loads(json.dumps(ours.provider_payload, allow_nan=False)) == ours.provider_payload
    back = to_langchain(ours)
    assert type(back) is type(message)
    assert back == message


@given(whole, st.text(min_size=1, max_size=5))
def test_an_edited_message_says_what_it_was_edited_to(message: BaseMessage, said: str) -> None:
    ours = from_langchain(message)
    ours.content = f"edited {said}"
    ours.align()
    back = to_langchain(ours)
    if ours.role is not Role.TOOL:
        assert f"edited {said}" in str(back.text)
        again = from_langchain(back)
        assert (again.role, again.content) == (ours.role, ours.content)


@given(chunk)
def test_chunks_come_back_as_the_message_they_are_chunks_of(message: BaseMessage) -> None:
    back = to_langchain(from_langchain(message))
    assert back == message_chunk_to_message(message)


@given(whole)
def test_reading_a_message_twice_gives_the_same(message: BaseMessage) -> None:
    one, two = from_langchain(message), from_langchain(message)
    assert (one.role, one.parts, one.tool_calls, one.provider_payload) == (
        two.role,
        two.parts,
        two.tool_calls,
        two.provider_payload,
    )


async def test_nothing_is_lost_in_the_database(durable: SessionManager) -> None:
    messages: list[BaseMessage] = [
        SystemMessage("rules"),
        HumanMessage(
            [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": "https://x/y.png"}}]
        ),
        AIMessage(
            "",
            tool_calls=[{"name": "see", "args": {"deep": [1, {"a": None}]}, "id": "call-1"}],
            invalid_tool_calls=[{"name": "bad", "args": "{", "id": "call-2", "error": "no JSON"}],
            usage_metadata={"input_tokens": 3, "output_tokens": 4, "total_tokens": 7},
            response_metadata={"model_name": "m", "logprobs": [0.5]},
            id="resp-1",
            custom=[1],
        ),
        ToolMessage("a cat", tool_call_id="call-1", artifact={"raw": [1, 2]}, status="error", name="see", id="tool-1"),
        FunctionMessage(name="old", content="style", id="function-1"),
        ChatMessage(role="critic", content="meh", id="chat-1"),
        AIMessage([{"type": "reasoning", "reasoning": "hm"}, {"type": "text", "text": "done"}], id="resp-2"),
    ]
    session = await durable.create_session("user", "mock", "mock-model", session_id="kept")
    await durable.append_messages(session.session_id, [from_langchain(message) for message in messages])
    back = [to_langchain(message) for message in await stored(durable, "kept")]
    assert all(message.id for message in back)
    for message, was in zip(back, messages, strict=True):
        assert message.model_copy(update={"id": was.id}) == was


def test_what_we_understand_of_a_message() -> None:
    ours = from_langchain(
        AIMessage(
            [
                {"type": "thinking", "thinking": "hm"},
                {"type": "text", "text": "I look"},
                {"type": "tool_use", "id": "1", "name": "see", "input": {"x": 1}},
                {"type": "odd"},
            ],
            tool_calls=[{"name": "see", "args": {"x": 1}, "id": "1"}],
            invalid_tool_calls=[{"name": "see", "args": "{", "id": "2", "error": None}],
            usage_metadata={
                "input_tokens": 5,
                "output_tokens": 2,
                "total_tokens": 7,
                "input_token_details": {"cache_read": 3},
                "output_token_details": {"reasoning": 1},
            },
            response_metadata={"model_name": "m", "finish_reason": "tool_calls"},
            id="resp-1",
            name="eye",
        )
    )
    assert ours.role is Role.ASSISTANT
    assert ours.content == "I look"
    assert ours.parts == [
        ReasoningPart(text="hm"),
        TextPart("I look"),
        ToolCall(id="1", name="see", arguments={"x": 1}),
        OtherPart(data={"type": "odd"}),
        ToolCall(id="2", name="see", raw_arguments="{"),
    ]
    assert ours.provider_metadata["usage"]["cached_tokens"] == 3
    assert ours.provider_metadata["usage"]["reasoning_tokens"] == 1
    assert (ours.provider_metadata["model"], ours.provider_metadata["finish_reason"]) == ("m", "tool_calls")
    assert (ours.message_id, ours.provider_message_id, ours.metadata) == ("resp-1", "resp-1", {"name": "eye"})


@pytest.mark.parametrize(
    ("given_block", "part"),
    [
        ({"type": "image", "url": "u"}, ImagePart(url="u")),
        ({"type": "image", "base64": "AA", "mime_type": "image/png"}, ImagePart(data="AA", media_type="image/png")),
        (
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA"}},
            ImagePart(data="AA", media_type="image/png"),
        ),
        (
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA", "detail": "low"}},
            ImagePart(data="AA", media_type="image/png", detail="low"),
        ),
        ({"type": "image_url", "image_url": "u"}, ImagePart(url="u")),
        (
            {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}},
            AudioPart(data="AA", media_type="audio/wav"),
        ),
        ({"type": "file", "file_id": "f"}, FilePart(file_id="f")),
        (
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA", "filename": "a.pdf"}},
            FilePart(data="AA", media_type="application/pdf", name="a.pdf"),
        ),
        ({"type": "refusal", "refusal": "no"}, RefusalPart("no")),
        ({"type": "image"}, OtherPart(data={"type": "image"})),
        ({"type": "image_url", "image_url": 3}, OtherPart(data={"type": "image_url", "image_url": 3})),
    ],
)
def test_blocks_of_the_known_shapes_are_understood(given_block: dict[str, Any], part: object) -> None:
    assert from_langchain(HumanMessage([given_block])).parts == [part]


def test_an_answer_of_another_provider_is_built_from_its_parts() -> None:
    message = SessionMessage(
        role=Role.ASSISTANT,
        parts=[
            ReasoningPart(text="hm"),
            TextPart("see: "),
            ImagePart(url="https://x/y.png"),
            ToolCall(id="1", name="see", arguments={"x": 1}),
            ToolCall(id="2", name="see", raw_arguments="{"),
        ],
        message_id="ours",
        provider_message_id="resp_1",
        provider_metadata={
            "provider": "openai",
            "model": "gpt",
            "finish_reason": "stop",
            "usage": {
                "input_tokens": 5,
                "output_tokens": 2,
                "total_tokens": 7,
                "cached_tokens": 3,
                "reasoning_tokens": 1,
            },
        },
    )
    built = to_langchain(message)
    assert isinstance(built, AIMessage)
    assert built.id == "resp_1"
    assert built.content == ["see: ", {"type": "image", "url": "https://x/y.png"}]
    assert built.text == "see: "
    assert built.tool_calls == [{"name": "see", "args": {"x": 1}, "id": "1", "type": "tool_call"}]
    assert built.invalid_tool_calls[0]["args"] == "{"
    assert built.additional_kwargs == {"reasoning_content": "hm"}
    assert built.response_metadata == {
        "model_name": "gpt",
        "model_provider": "openai",
        "finish_reason": "stop",
        "id": "resp_1",
    }
    assert built.usage_metadata == {
        "input_tokens": 5,
        "output_tokens": 2,
        "total_tokens": 7,
        "input_token_details": {"cache_read": 3},
        "output_token_details": {"reasoning": 1},
    }


def test_inputs_and_results_of_another_origin_are_built_from_their_parts() -> None:
    asked = SessionMessage(role=Role.USER, parts=[TextPart("see"), FilePart(file_id="f", name="a.pdf")], message_id="1")
    assert to_langchain(asked) == HumanMessage(
        [{"type": "text", "text": "see"}, {"type": "file", "file_id": "f", "extras": {"filename": "a.pdf"}}], id="1"
    )
    answered = SessionMessage(
        role=Role.TOOL, parts=[ToolResult(tool_call_id="1", content="42", is_error=True, name="see")], message_id="2"
    )
    assert to_langchain(answered) == ToolMessage("42", tool_call_id="1", status="error", name="see", id="2")
    rules = SessionMessage(role=Role.SYSTEM, content="rules", message_id="3")
    assert to_langchain(rules) == SystemMessage("rules", id="3")


def test_a_payload_of_another_version_is_not_trusted() -> None:
    ours = from_langchain(HumanMessage("hi", id="1"))
    assert ours.provider_payload is not None
    ours.provider_payload["version"] = 99
    ours.provider_payload["message"] = {"type": "constructor", "id": ["os", "system"]}
    assert to_langchain(ours) == HumanMessage("hi", id="1")


def test_a_message_langchain_could_not_restore_is_refused() -> None:
    class Odd(BaseMessage):
        type: str = "odd"

    with pytest.raises(InvalidInputError, match="Odd is not one of LangChain's message types"):
        from_langchain(Odd(content="x"))


def test_a_subclass_is_kept_as_what_it_is_a_subclass_of() -> None:
    class Marked(HumanMessage):
        mark: int = 3

    back = to_langchain(from_langchain(Marked(content="hi")))
    assert type(back) is HumanMessage
    assert back.model_extra == {"mark": 3}
