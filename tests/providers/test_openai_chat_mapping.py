"""Any legal history maps to a chat request the SDK's own types and the API's rules accept."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langswarm_sessions.errors import InvalidRequestError
from langswarm_sessions.interfaces.provider import ProviderRequest
from langswarm_sessions.messages import (
    AudioPart,
    FilePart,
    ImagePart,
    OtherPart,
    Part,
    Role,
    SessionMessage,
    TextPart,
    ToolCall,
    ToolResult,
)
from langswarm_sessions.providers.failures import Failure
from langswarm_sessions.providers.media import told_instead
from langswarm_sessions.providers.openai.chat_messages import chat_messages
from langswarm_sessions.providers.openai.chat_request import ChatDialect, chat_body, first_dialect
from langswarm_sessions.records import TurnOptions
from langswarm_sessions.window import fit, repair
from tests.support.histories import SPEAKERS, Said, for_model, options, transcripts
from tests.support.openai_server.chat_rules import check_chat_body
from tests.support.openai_server.request_judge import find_type_errors

MODEL = SPEAKERS["openai chat"].model
CUSTOM = {"type": "custom", "custom": {"name": "free"}}
dialects = st.builds(
    ChatDialect,
    is_own=st.booleans(),
    limit=st.sampled_from(["max_tokens", "max_completion_tokens"]),
    takes_stream_options=st.booleans(),
)


def body_of(request: ProviderRequest, dialect: ChatDialect, **config: Any) -> dict[str, Any]:
    return cast(dict[str, Any], chat_body(request, session_id="session", model=MODEL, config=config, dialect=dialect))


@given(history=transcripts(), options=options, dialect=dialects, told=st.sampled_from([None, "Be brief."]))
def test_any_history_is_a_legal_request(
    history: list[SessionMessage], options: TurnOptions, dialect: ChatDialect, told: str | None
) -> None:
    tools = tuple(CUSTOM if tool.get("type") == "web_search" else tool for tool in options.tools)
    request = ProviderRequest(
        messages=repair(fit(for_model(history), max_messages=7).messages),
        options=TurnOptions(tools=tools, tool_choice=options.tool_choice),
        instructions=told,
    )
    body = body_of(request, dialect, temperature=1.0, max_tokens=50, user="u", stop=["a", "b"])
    raw = json.dumps(body).encode()
    known = [error for error in find_type_errors(raw, json.loads(raw), "chat") if "reasoning_content" not in error]
    assert known == []
    check_chat_body(body)


def test_a_server_gets_the_ids_and_names_it_gave_itself() -> None:
    """Of others' calls OpenAI takes ids of 40 characters and plain names; a compatible server takes back its own."""
    call = ToolCall(id="chatcmpl-tool-" + "0" * 32, name="files.read")
    answer = SPEAKERS["openai chat"].answer(Said(calls=(call,)))
    result = SessionMessage(role=Role.TOOL, parts=[ToolResult(tool_call_id=call.id)])
    asked, told = chat_messages([answer, result], model=MODEL)
    assert (asked["tool_calls"][0]["id"], told["tool_call_id"]) == (call.id, call.id)
    assert asked["tool_calls"][0]["function"]["name"] == "files.read"
    asked, told = chat_messages([answer, result], model="another")
    assert asked["tool_calls"][0]["id"] == told["tool_call_id"] == "call_" + asked["tool_calls"][0]["id"][5:]
    assert len(told["tool_call_id"]) <= 40
    assert asked["tool_calls"][0]["function"]["name"] == "files_read"


def test_pictures_files_and_sound_go_along() -> None:
    parts: list[Part] = [
        TextPart("look"),
        ImagePart(url="https://example.org/a.png", detail="low"),
        ImagePart(data="aGk=", media_type="image/jpeg"),
        FilePart(file_id="file-1"),
        FilePart(data="aGk=", media_type="application/pdf", name="a.pdf"),
        AudioPart(data="aGk=", media_type="audio/wav", transcript="spoken"),
        AudioPart(data="aGk=", media_type="audio/mpeg"),
        AudioPart(data="aGk=", media_type="audio/flac", transcript="spoken"),
    ]
    (message,) = chat_messages([SessionMessage(role=Role.USER, parts=parts)], model=MODEL)
    assert message["content"] == [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,aGk="}},
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,aGk=", "filename": "a.pdf"}},
        {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}},
        {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "mp3"}},
        {"type": "text", "text": "spoken"},
    ]


@pytest.mark.parametrize(
    "part",
    [
        FilePart(url="https://example.org/a.pdf"),
        AudioPart(data="aGk=", media_type="audio/flac"),
        AudioPart(url="https://example.org/a.wav"),
        OtherPart(data={"type": "strange"}),
        ImagePart(),
    ],
    ids=["file url", "flac", "sound url", "other", "no image"],
)
def test_what_the_api_does_not_take_is_refused_when_new_and_noted_when_old(part: Part) -> None:
    message = SessionMessage(role=Role.USER, parts=[TextPart("see"), part])
    with pytest.raises(InvalidRequestError, match="Chat Completions"):
        chat_messages([message], model=MODEL)
    later = [SessionMessage(role=Role.ASSISTANT, content="seen"), SessionMessage(role=Role.USER, content="and?")]
    noted = [{"type": "text", "text": text} for text in ("see", told_instead(part)) if text]
    assert chat_messages([message, *later], model=MODEL)[0]["content"] == noted


def test_pictures_among_tool_results_follow_them() -> None:
    picture = ImagePart(url="https://example.org/a.png")
    calls = [ToolCall(id="c1", name="see"), ToolCall(id="c2", name="see")]
    messages = [
        SessionMessage(role=Role.USER, content="look"),
        SessionMessage(role=Role.ASSISTANT, parts=list(calls)),
        SessionMessage(role=Role.TOOL, parts=[ToolResult(tool_call_id="c1", content="this"), picture]),
        SessionMessage(role=Role.TOOL, parts=[ToolResult(tool_call_id="c2", content="nothing")]),
    ]
    wire = chat_messages(messages, model=MODEL)
    assert [message["role"] for message in wire] == ["user", "assistant", "tool", "tool", "user"]
    assert wire[-1]["content"] == [{"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}]


def test_system_messages_stay_in_place() -> None:
    messages = [
        SessionMessage(role=Role.USER, content="one"),
        SessionMessage(role=Role.SYSTEM, content="be kind"),
        SessionMessage(role=Role.USER, content="two"),
    ]
    wire = chat_messages(messages, model=MODEL, instructions="be brief")
    assert [(message["role"], message["content"]) for message in wire] == [
        ("system", "be brief"),
        ("user", "one"),
        ("system", "be kind"),
        ("user", "two"),
    ]


@pytest.mark.parametrize(
    ("base_url", "is_own"),
    [
        ("https://api.openai.com/v1", True),
        ("https://eu.api.openai.com/v1/", True),
        ("https://mine.openai.azure.com/openai/v1", True),
        ("http://localhost:8000/v1", False),
        ("https://openai.com.example.org/v1", False),
        ("https://notopenai.com/v1", False),
    ],
)
def test_the_address_tells_what_is_likely_taken(base_url: str, is_own: bool) -> None:
    request = ProviderRequest(messages=(SessionMessage(role=Role.USER, content="hi"),))
    body = body_of(request, first_dialect(base_url), max_tokens=50, user="u")
    fields = {"max_completion_tokens", "safety_identifier", "prompt_cache_key"} if is_own else {"max_tokens", "user"}
    assert set(body) == {"model", "messages", "stream", "stream_options", *fields}


def unknown(message: str, status: int = 400, **fields: Any) -> Failure:
    return Failure(status=status, message=message, **fields)


@pytest.mark.parametrize(
    ("failure", "changed"),
    [
        (unknown("Use 'max_completion_tokens' instead.", code="unsupported_parameter", param="max_tokens"), "limit"),
        (unknown("'max_tokens' is not supported with this model."), "limit"),
        (unknown("{'loc': ['body', 'stream_options'], 'msg': 'Extra inputs are not permitted'}", 422), "stream"),
        (unknown("Unrecognized request argument supplied: stream_options"), "stream"),
        (unknown("property 'messages.1.reasoning_content' is unsupported"), "reasoning"),
        (unknown("max_tokens is too large", code="invalid_value", param="max_tokens"), None),
        (unknown("stream_options is not supported", 500), None),
        (unknown("This model does not support tools."), None),
    ],
)
def test_refusals_are_read_whatever_their_words(failure: Failure, changed: str | None) -> None:
    simpler = ChatDialect().without(failure)
    if simpler is None:
        assert changed is None
        return
    difference = {
        "limit": simpler.limit != "max_tokens",
        "stream": not simpler.takes_stream_options,
        "reasoning": not simpler.replays_reasoning,
    }
    assert [name for name, differs in difference.items() if differs] == [changed]
    again = simpler.without(failure)
    assert again is None, "no field is given up twice"
