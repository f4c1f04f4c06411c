"""Every message there can be has the form of the conventions, in whatever room it is given, and can be exported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from opentelemetry._logs import LogRecord
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.resources import Resource

from langswarm_sessions.messages import (
    AudioPart,
    FilePart,
    ImagePart,
    OtherPart,
    Part,
    ReasoningPart,
    RefusalPart,
    Role,
    SessionMessage,
    TextPart,
    ToolCall,
    ToolResult,
)
from langswarm_sessions.turns.captured import captured_messages, captured_tools
from langswarm_sessions_otel.content.capture import ContentCapture, ContentRecorder, ContentSettings
from langswarm_sessions_otel.content.fitting import Said, fitted, said
from langswarm_sessions_otel.degradation import Degradation

SCHEMA: dict[str, Any] = json.loads(Path(__file__).with_name("parts.schema.json").read_text())
QUIET = Degradation(NoOpMeterProvider().get_meter("test").create_counter("test"))


# Also what no encoder takes: halves of characters, numbers too large for a receiver, numbers that are none.
def repeated(text: str, times: int) -> str:
    return text * times


def message(role: Role, parts: list[Part]) -> SessionMessage:
    return SessionMessage(role=role, parts=parts)


def chat_form(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name}}


odd_texts = st.sampled_from(["\ud83d half", "\x00", '"' * 300])
texts: st.SearchStrategy[str] = st.builds(repeated, st.text(max_size=8), st.sampled_from([1, 1, 200])) | odd_texts
optional: st.SearchStrategy[str | None] = st.none() | texts
urls = st.sampled_from(["https://u:p@host/a.png?sig=canary#f", "gs://b/o", "data:image/png;base64,AAAA", "http://["])
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.sampled_from([0, 2**63, -(2**70)]) | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=5,
)
objects: st.SearchStrategy[dict[str, Any]] = st.dictionaries(texts, json_values, max_size=2)
PARTS: dict[type[Part], st.SearchStrategy[Part]] = {
    TextPart: st.builds(TextPart, texts),
    ImagePart: st.builds(ImagePart, url=st.none() | urls, data=optional, media_type=optional),
    FilePart: st.builds(
        FilePart, url=st.none() | urls, data=optional, file_id=optional, name=optional, media_type=optional
    ),
    AudioPart: st.builds(AudioPart, url=st.none() | urls, data=optional, media_type=optional, transcript=optional),
    ReasoningPart: st.builds(ReasoningPart, text=texts),
    RefusalPart: st.builds(RefusalPart, texts),
    ToolCall: st.builds(ToolCall, id=texts, name=texts, arguments=objects, raw_arguments=optional),
    ToolResult: st.builds(ToolResult, tool_call_id=texts, content=texts, is_error=st.booleans(), name=optional),
    OtherPart: st.builds(OtherPart, data=objects | st.just({"type": "compaction"})),
}
messages = st.builds(
    message,
    st.sampled_from(Role),
    st.lists(st.one_of(*PARTS.values()), max_size=3),
)


def checker(form: str) -> Any:
    return Draft202012Validator({**SCHEMA, "$ref": f"#/$defs/{form}"})


def recorder(limit: int) -> ContentRecorder:
    wanted = ContentSettings(capture=ContentCapture.SPAN_AND_EVENT, span_limit=limit, event_limit=limit)
    return ContentRecorder(wanted, QUIET)


def test_every_kind_of_part_is_generated() -> None:
    assert set(PARTS) == set(Part.__args__)


@pytest.mark.parametrize("limit", [60, 256, 2_000, 32_768])
@settings(max_examples=25, deadline=None)
@given(said=st.lists(messages, max_size=4))
def test_messages_follow_the_schema_and_fit(limit: int, said: list[SessionMessage]) -> None:
    content = recorder(limit)
    redacted = content.objects("input", captured_messages(said))
    text, structure = content.for_span(redacted), content.for_event(redacted)
    if text is None or structure is None:  # not even a note of what is missing fits
        assert limit == 60
        return
    assert len(text) <= limit
    assert json.loads(text) == structure
    checker("messages").validate(structure)
    text.encode()
    sent = encode_logs([ReadableLogRecord(LogRecord(attributes={"said": structure}), Resource.get_empty())])
    assert sent.resource_logs[0].scope_logs[0].log_records[0].attributes


@pytest.mark.parametrize("newest", [True, False])
@settings(max_examples=25, deadline=None)
@given(sizes=st.lists(st.integers(0, 120), max_size=12), limit=st.integers(60, 600))
def test_only_what_is_looked_at_is_made(newest: bool, sizes: list[int], limit: int) -> None:
    items = [{"role": "user", "parts": [{"type": "text", "content": "x" * size}]} for size in sizes]
    made: list[str] = []

    def change(text: str) -> str:
        made.append(text)
        return text

    lazily = fitted(Said(items, change), limit, newest=newest)
    assert lazily == fitted([said(item, str) for item in items], limit, newest=newest)
    if lazily is not None and len(lazily) < len(items):  # the note of what is missing, and the first one that is
        assert len(made) <= len(lazily) + 1
    assert len(made) <= len(items)


def test_only_what_is_written_is_redacted() -> None:
    redacted: list[str] = []

    def redact(_: str, text: str) -> str:
        redacted.append(text)
        return text

    wanted = ContentSettings(capture=ContentCapture.SPAN_AND_EVENT, span_limit=600, event_limit=300, redact=redact)
    content = ContentRecorder(wanted, QUIET)
    spoken = [SessionMessage(role=Role.USER, content=f"{number:0>100}") for number in range(1_000)]
    written = content.objects("input", captured_messages(spoken))
    assert len(content.for_event(written) or []) < len(json.loads(content.for_span(written) or "[]"))
    assert [int(text) for text in redacted] == list(range(999, 999 - len(redacted), -1))
    assert len(redacted) < 6


@pytest.mark.parametrize("limit", [300, 32_768])
def test_of_a_structure_that_is_too_long_its_beginning_stays(limit: int) -> None:
    rows = {"rows": list(range(20_000))}
    content = recorder(limit)
    call = ToolCall(id="1", name="write", arguments=rows)
    spoken = [SessionMessage(role=Role.USER, content="Write."), SessionMessage(role=Role.ASSISTANT, parts=[call])]
    text = content.for_span(content.objects("output", captured_messages(spoken))) or ""
    assert len(text) <= limit
    checker("messages").validate(json.loads(text))
    *_, part = json.loads(text)[-1]["parts"]
    assert part["name"] == "write"
    assert part["arguments"]["cut"].startswith('{"rows":[0,1,2,')
    assert part["arguments"]["cut"].endswith(" characters cut]")

    alone = content.value("tool_arguments", rows)
    assert len(alone) <= limit
    assert json.loads(alone)["cut"].startswith('{"rows":[0,1,2,')
    tool = {"name": "write", "parameters": {"enum": rows["rows"]}}
    tools = content.objects("tool_definitions", captured_tools([tool]))
    written = content.for_span(tools, newest=False) or ""
    assert len(written) <= limit
    checker("tool_definitions").validate(json.loads(written))
    assert json.loads(written)[0]["parameters"]["cut"].startswith('{"enum":[0,1,2,')


@settings(max_examples=15, deadline=None)
@given(texts=st.lists(texts, min_size=1, max_size=3))
def test_instructions_follow_the_schema(texts: list[str]) -> None:
    content = recorder(256)
    parts = content.objects("instructions", [{"type": "text", "content": text} for text in texts])
    checker("system_instructions").validate(json.loads(content.for_span(parts) or "[]"))


tool_definitions: st.SearchStrategy[list[dict[str, Any]]] = st.lists(
    st.fixed_dictionaries({"name": texts}, optional={"description": texts, "parameters": objects})
    | st.builds(chat_form, texts)
    | st.fixed_dictionaries({"type": st.sampled_from(["web_search", "mcp"])}, optional={"name": texts}),
    max_size=5,
)


@pytest.mark.parametrize("limit", [256, 32_768])
@settings(max_examples=15, deadline=None)
@given(tools=tool_definitions)
def test_definitions_of_tools_follow_the_schema(limit: int, tools: list[dict[str, Any]]) -> None:
    content = recorder(limit)
    text = content.for_span(content.objects("tool_definitions", captured_tools(tools)), newest=False)
    assert text is not None
    assert len(text) <= limit
    checker("tool_definitions").validate(json.loads(text))


def test_what_parts_become() -> None:
    said = SessionMessage(
        role=Role.USER,
        parts=[
            TextPart("look"),
            ImagePart(url="https://me:secret@host/cat.png?signature=secret"),
            ImagePart(url="data:image/png;base64,QUJDRA=="),
            AudioPart(data="QUJD", media_type="audio/wav", transcript="meow"),
            FilePart(file_id="file-1", name="cats.pdf", media_type="application/pdf"),
            RefusalPart("no"),
            ReasoningPart(text="hm"),
            ToolCall(id="c1", name="clock", arguments={"zone": "UTC"}),
            ToolResult(tool_call_id="c1", content="noon", is_error=True),
            OtherPart(data={"type": "web_search_call", "query": "cats"}),
            OtherPart(data={"type": "compaction", "encrypted": "x"}),
        ],
    )
    [message] = captured_messages([said])
    assert message == {
        "role": "user",
        "parts": [
            {"type": "text", "content": "look"},
            {"type": "uri", "modality": "image", "uri": "https://host/cat.png"},
            {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "", "size": 4},
            {
                "type": "blob",
                "modality": "audio",
                "mime_type": "audio/wav",
                "transcript": "meow",
                "content": "",
                "size": 3,
            },
            {
                "type": "file",
                "modality": "document",
                "mime_type": "application/pdf",
                "name": "cats.pdf",
                "file_id": "file-1",
            },
            {"type": "text", "content": "no", "refusal": True},
            {"type": "reasoning", "content": "hm"},
            {"type": "tool_call", "id": "c1", "name": "clock", "arguments": {"zone": "UTC"}},
            {"type": "tool_call_response", "id": "c1", "response": "noon", "is_error": True},
            {"type": "other", "kind": "web_search_call"},
            {"type": "compaction"},
        ],
    }


def test_a_schema_that_takes_everything_would_prove_nothing() -> None:
    for wrong in ({"type": "text"}, {"type": "blob", "modality": "image"}, {"type": "tool_call"}, {"content": "x"}):
        assert not checker("messages").is_valid([{"role": "user", "parts": [wrong]}])
