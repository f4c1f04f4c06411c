"""Any legal history maps to a body that the SDK's request types and the API's rules accept."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langswarm_sessions.errors import InvalidInputError, ProviderError
from langswarm_sessions.interfaces.provider import ProviderRequest
from langswarm_sessions.messages import (
    AudioPart,
    FilePart,
    ImagePart,
    MessageKind,
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
from langswarm_sessions.providers.cohere.answers import StreamedAnswer, call_arguments, parts_of, usage_of
from langswarm_sessions.providers.cohere.mapping import Senses, chat_messages
from langswarm_sessions.providers.cohere.request import request_body, senses_of
from langswarm_sessions.records import TurnOptions, Usage
from langswarm_sessions.window import fit, repair
from tests.support.cohere_server.request_judge import find_type_errors
from tests.support.cohere_server.rules import find_broken_rule
from tests.support.cohere_server.views import content_text

MODEL = "command-a-03-2025"
ALL = Senses()

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
names = st.sampled_from(["clock", "weather", "search"])
arguments = st.dictionaries(texts, st.none() | st.booleans() | st.integers(-9, 9) | texts, max_size=2)
media: st.SearchStrategy[Part] = st.one_of(
    st.builds(ImagePart, url=st.just("https://example.org/a.png"), detail=st.sampled_from([None, "low", "odd"])),
    st.builds(ImagePart, data=st.just("aGk="), media_type=st.sampled_from([None, "image/png"])),
    st.builds(AudioPart, transcript=st.just("spoken")),
)
strange: st.SearchStrategy[Part] = st.one_of(
    st.builds(AudioPart, data=st.just("aGk=")),
    st.builds(FilePart, data=st.just("aGk="), name=st.sampled_from([None, "a.pdf"])),
    st.builds(FilePart, file_id=st.just("file-1")),
    st.builds(OtherPart, data=st.just({"type": "strange"})),
    st.builds(ImagePart),
)


@st.composite
def answers(draw: st.DrawFn, turn: int) -> SessionMessage:
    """Draw an answer: from parts, or with the provider's own message as payload."""
    calls = [
        ToolCall(id=f"call {turn}/{at}", name=draw(names), arguments=draw(arguments))
        for at in range(draw(st.integers(0, 2)))
    ]
    if draw(st.booleans()):
        text = draw(st.lists(st.builds(TextPart, texts) | st.builds(RefusalPart, texts), max_size=2))
        thought = [ReasoningPart(text=draw(texts))] if draw(st.booleans()) else []
        return SessionMessage(role=Role.ASSISTANT, parts=[*thought, *text, *calls])
    said = draw(st.lists(st.tuples(st.sampled_from(["text", "thinking"]), texts.filter(bool)), max_size=2))
    content: list[dict[str, Any]] = [{"type": kind, kind: text} for kind, text in said]
    item: dict[str, Any] = {"role": "assistant"}
    if content:
        item["content"] = content
    if draw(st.booleans()):
        item["tool_plan"] = draw(texts)
    if calls:
        item["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": _dumped(call)}}
            for call in calls
        ]
    payload = {"provider": "cohere", "model": draw(st.sampled_from([MODEL, "another"])), "items": [item]}
    return SessionMessage(role=Role.ASSISTANT, parts=parts_of(item), provider_payload=payload)


def _dumped(call: ToolCall) -> str:
    return json.dumps(call.arguments)


@st.composite
def histories(draw: st.DrawFn) -> list[SessionMessage]:
    """Draw a transcript as sessions hold it: unanswered calls and orphan results included."""
    messages: list[SessionMessage] = []
    for turn in range(draw(st.integers(0, 4))):
        if draw(st.booleans()):
            kind = draw(st.sampled_from(list(MessageKind)))
            messages.append(SessionMessage(role=Role.SYSTEM, content=draw(texts), kind=kind))
        parts = draw(st.lists(st.builds(TextPart, texts) | media | strange, max_size=3))
        messages.append(SessionMessage(role=Role.USER, parts=parts))
        answer = draw(answers(turn))
        messages.append(answer)
        for call in answer.tool_calls:
            if draw(st.booleans()):
                result = ToolResult(tool_call_id=call.id, content=draw(texts), is_error=draw(st.booleans()))
                messages.append(SessionMessage(role=Role.TOOL, parts=[result, *draw(st.lists(media, max_size=1))]))
        if draw(st.booleans()):
            messages.append(SessionMessage(role=Role.TOOL, parts=[ToolResult(tool_call_id="orphan")]))
    newest = draw(st.lists(st.builds(TextPart, texts) | media, max_size=2))
    return [
        *messages,
        SessionMessage(role=Role.ASSISTANT),
        SessionMessage(role=Role.USER, parts=[TextPart("new"), *newest]),
    ]


options = st.sampled_from(
    [
        TurnOptions(),
        TurnOptions(tools=({"name": "clock"},), tool_choice="any"),
        TurnOptions(
            tools=(
                {"type": "function", "function": {"name": "clock", "parameters": {"type": "object"}}},
                {"type": "function", "name": "weather", "strict": True},
            ),
            tool_choice="clock",
        ),
    ]
)
configs = st.fixed_dictionaries(
    {},
    optional={
        "reasoning_effort": st.sampled_from(["none", "low"]),
        "temperature": st.floats(0, 2),
        "top_k": st.integers(1, 500),
        "stop": st.just("END") | st.just(["a", "b"]),
    },
)


@settings(max_examples=300)
@given(history=histories(), options=options, config=configs)
def test_any_history_is_a_legal_request(
    history: list[SessionMessage], options: TurnOptions, config: dict[str, Any]
) -> None:
    messages = repair(fit(history, max_messages=7).messages)
    request = ProviderRequest(messages=messages, options=options, instructions="Be brief.")
    body = request_body(request, model=MODEL, config=config, senses=senses_of(config, sees=True))
    raw = json.dumps({**body, "stream": True}).encode()
    assert find_type_errors(raw) == []
    assert find_broken_rule(json.loads(raw), sees=True, window=None) is None


@given(history=histories(), more=texts)
def test_the_prefix_of_a_growing_conversation_stays_the_same(history: list[SessionMessage], more: str) -> None:
    before = chat_messages(repair(history), model=MODEL, senses=ALL)
    grown = [*history, SessionMessage(role=Role.ASSISTANT, content="ok"), SessionMessage(role=Role.USER, content=more)]
    assert chat_messages(repair(grown), model=MODEL, senses=ALL)[: len(before)] == before


@given(answer=answers(0))
def test_an_answer_goes_back_with_every_word_and_call(answer: SessionMessage) -> None:
    """Text beside calls goes as the plan; nothing but foreign reasoning is lost."""
    (wire,) = chat_messages([answer], model=MODEL, senses=ALL) or [{}]
    assert (wire.get("tool_plan") or content_text(wire.get("content"))).endswith(answer.content)
    assert [call["id"] for call in wire.get("tool_calls", [])] == [call.id for call in answer.tool_calls]


@pytest.mark.parametrize("tool", [{}, {"name": ""}, {"function": "clock"}, {"name": "clock", "parameters": "none"}])
def test_malformed_tools_are_refused(tool: dict[str, Any]) -> None:
    request = ProviderRequest(messages=(), options=TurnOptions(tools=(tool,)))
    with pytest.raises(InvalidInputError, match="tools"):
        request_body(request, model=MODEL, config={}, senses=ALL)


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        ({"tokens": {"input_tokens": 12.0, "output_tokens": 3.0}, "cached_tokens": 4.0}, (12, 3, 15, 4)),
        ({"billed_units": {"input_tokens": 9.0}}, (0, 0, 0, 0)),
        ({"tokens": {"input_tokens": float("nan"), "output_tokens": float("inf")}}, (0, 0, 0, 0)),
        ({"tokens": {"input_tokens": "12", "output_tokens": -1}, "cached_tokens": None}, (0, 0, 0, 0)),
        ({"tokens": 3}, (0, 0, 0, 0)),
    ],
)
def test_tokens_are_whole_numbers(usage: dict[str, Any], counted: tuple[int, int, int, int]) -> None:
    sent, made, total, cached = counted
    assert usage_of(usage) == Usage(
        input_tokens=sent, output_tokens=made, total_tokens=total, cached_tokens=cached, reasoning_tokens=0
    )


def test_a_call_without_parameters_may_be_null() -> None:
    assert [call_arguments(text) for text in ("", "null", " null ", "{}", "[]", "nul")] == [{}, {}, {}, {}, None, None]


@given(event=st.dictionaries(st.sampled_from(["index", "delta", "id"]), st.none() | st.integers() | texts))
def test_no_event_breaks_the_reading(event: dict[str, Any]) -> None:
    """Whatever an event holds, it is taken, left out, or an error of ours."""
    for kind in ("message-start", "content-delta", "tool-plan-delta", "tool-call-start", "citation-start", "debug"):
        with suppress(ProviderError):
            assert isinstance(StreamedAnswer(model=MODEL, request_id=None).read({**event, "type": kind}), str)
    answer = StreamedAnswer(model=MODEL, request_id=None)
    answer.read({**event, "type": "message-end"})
    assert answer.completed is not None
