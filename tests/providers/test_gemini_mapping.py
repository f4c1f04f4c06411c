"""Our messages on their way to Gemini and back, without a wire."""

from __future__ import annotations

from typing import Any

import pytest

from langswarm_sessions.errors import InvalidRequestError
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
    text_of,
)
from langswarm_sessions.providers.gemini.answers import CandidateCollector, StepCollector
from langswarm_sessions.providers.gemini.contents import UNSIGNED, input_contents, made_id, parts_of_items
from langswarm_sessions.providers.gemini.steps import input_steps, parts_of_steps
from langswarm_sessions.providers.mapping import OPENING

MODEL = "gemini-4-carbon"
Item = dict[str, Any]


def say(role: Role, *parts: Part, **fields: Any) -> SessionMessage:
    return SessionMessage(role=role, parts=list(parts), **fields)


def user(text: str) -> SessionMessage:
    return say(Role.USER, TextPart(text))


CALLS = (ToolCall(id="toolu_1", name="clock", arguments={"z": "UTC"}), ToolCall(id="toolu_2", name="dice"))
ASKED = say(Role.ASSISTANT, ReasoningPart(text="secret thought"), TextPart("Let me see."), *CALLS)
RESULTS = [
    say(Role.TOOL, ToolResult(tool_call_id="toolu_2", content="6")),
    say(Role.TOOL, ToolResult(tool_call_id="toolu_1", content="broken", is_error=True)),
]
HISTORY = [
    SessionMessage(role=Role.SYSTEM, content="Old instructions.", kind=MessageKind.INSTRUCTIONS),
    user("what time?"),
    ASKED,
    *RESULTS,
    say(Role.ASSISTANT, RefusalPart("I would rather not.")),
    SessionMessage(role=Role.SYSTEM, content="By the way."),
    user("thanks"),
]


def test_steps_of_a_foreign_history() -> None:
    assert input_steps(HISTORY, model=MODEL) == [
        {"type": "user_input", "content": [{"type": "text", "text": "what time?"}]},
        {"type": "model_output", "content": [{"type": "text", "text": "Let me see."}]},
        {"type": "function_call", "id": "toolu_1", "name": "clock", "arguments": {"z": "UTC"}},
        {"type": "function_call", "id": "toolu_2", "name": "dice", "arguments": {}},
        {"type": "function_result", "call_id": "toolu_1", "name": "clock", "result": "broken", "is_error": True},
        {"type": "function_result", "call_id": "toolu_2", "name": "dice", "result": "6"},
        {"type": "model_output", "content": [{"type": "text", "text": "I would rather not."}]},
        {"type": "user_input", "content": [{"type": "text", "text": "By the way."}]},
        {"type": "user_input", "content": [{"type": "text", "text": "thanks"}]},
    ]


def test_contents_of_a_foreign_history() -> None:
    first = {"functionCall": {"id": "toolu_1", "name": "clock", "args": {"z": "UTC"}}, "thoughtSignature": UNSIGNED}
    second: Item = {"functionCall": {"id": "toolu_2", "name": "dice", "args": {}}}
    failed = {"id": "toolu_1", "name": "clock", "response": {"error": "broken"}}
    rolled = {"id": "toolu_2", "name": "dice", "response": {"output": "6"}}
    assert input_contents(HISTORY, model=MODEL) == [
        {"role": "user", "parts": [{"text": "what time?"}]},
        {"role": "model", "parts": [{"text": "Let me see."}, first, second]},
        {"role": "user", "parts": [{"functionResponse": failed}, {"functionResponse": rolled}]},
        {"role": "model", "parts": [{"text": "I would rather not."}]},
        {"role": "user", "parts": [{"text": "By the way."}]},
        {"role": "user", "parts": [{"text": "thanks"}]},
    ]


def test_older_models_are_not_told_that_a_call_is_unsigned() -> None:
    for model in ("gemini-2.5-pro", "models/gemini-2.5-flash"):
        _, said = input_contents([ASKED], model=model)
        assert all("thoughtSignature" not in part for part in said["parts"])


def test_a_longer_history_begins_like_the_shorter_one() -> None:
    for build in (input_steps, input_contents):
        longer = build(HISTORY, model=MODEL)
        for end in (2, 5, 6, 7):
            shorter = build(HISTORY[:end], model=MODEL)
            assert longer[: len(shorter)] == shorter


def test_ids_made_here_are_the_same_each_time_and_never_sent_back() -> None:
    items = [{"functionCall": {"name": "clock"}}, {"functionCall": {"name": "clock"}}]
    calls = [part for part in parts_of_items(items, seed="resp_1") if isinstance(part, ToolCall)]
    assert [call.id for call in calls] == [made_id("resp_1", 0), made_id("resp_1", 1)]
    assert calls[0].id != calls[1].id != made_id("resp_2", 1)
    payload = {"provider": "gemini", "model": MODEL, "api": "generate_content", "items": items}
    results = say(Role.TOOL, *[ToolResult(tool_call_id=call.id, content=str(at)) for at, call in enumerate(calls)])
    for answer in (say(Role.ASSISTANT, *calls, provider_payload=payload), say(Role.ASSISTANT, *calls)):
        _, said, told = input_contents([answer, results], model=MODEL)
        assert ["id" in part["functionCall"] for part in said["parts"]] == [False, False]
        assert [part["functionResponse"] for part in told["parts"]] == [
            {"name": "clock", "response": {"output": "0"}},
            {"name": "clock", "response": {"output": "1"}},
        ]


STEPS: list[Item] = [
    {"type": "thought", "signature": "c2ln", "summary": [{"type": "text", "text": "Hm."}]},
    {"type": "thought", "summary": [{"type": "text", "text": "Unsigned."}]},
    {"type": "google_search_call", "id": "s1", "arguments": {"queries": ["x"]}},
    {"type": "model_output", "content": [{"type": "text", "text": "Yes."}, {"type": "image", "data": "aW1n"}]},
    {"type": "function_call", "id": "fc_1", "name": "clock", "arguments": {}},
]


def test_own_steps_go_back_as_they_came_but_for_unsigned_thoughts() -> None:
    payload = {"provider": "gemini", "model": MODEL, "api": "interactions", "items": STEPS}
    answer = say(Role.ASSISTANT, *parts_of_steps(STEPS), provider_payload=payload)
    assert text_of(answer.parts) == "Yes."
    assert input_steps([answer], model=MODEL) == [STEPS[0], *STEPS[2:]]


@pytest.mark.parametrize(
    "change",
    [{"model": "gemini-3.8-flash"}, {"provider": "openai"}, {"api": "generate_content"}, {"items": STEPS[:4]}],
    ids=str,
)
def test_steps_of_another_answer_are_not_replayed(change: Item) -> None:
    payload = {"provider": "gemini", "model": MODEL, "api": "interactions", "items": STEPS, **change}
    answer = say(Role.ASSISTANT, *parts_of_steps(STEPS), provider_payload=payload)
    kinds = [step["type"] for step in input_steps([answer], model=MODEL)]
    assert kinds == ["model_output", "function_call"]


def test_an_edited_answer_is_sent_as_it_reads_now() -> None:
    items = [{"text": "the password is x"}]
    payload = {"provider": "gemini", "model": MODEL, "api": "generate_content", "items": items}
    edited = say(Role.ASSISTANT, TextPart("the password is ***"), provider_payload=payload)
    assert input_contents([edited], model=MODEL)[1:] == [{"role": "model", "parts": [{"text": "the password is ***"}]}]


@pytest.mark.parametrize("build", [input_steps, input_contents])
@pytest.mark.parametrize(
    "part", [OtherPart(data={"type": "x"}), FilePart(file_id="file-1"), AudioPart(), ImagePart(data="%")], ids=str
)
def test_what_cannot_be_sent_is_refused_when_new_and_left_out_when_old(build: Any, part: Part) -> None:
    message = say(Role.USER, TextPart("look"), part)
    with pytest.raises(InvalidRequestError, match=part.type):
        build([message], model=MODEL)
    sent = build([message, say(Role.ASSISTANT, TextPart("ok")), user("more")], model=MODEL)
    assert len(sent) == 3
    assert "look" in str(sent[0])
    assert "data" not in str(sent[0])


def test_sound_goes_as_sound_or_as_its_transcript() -> None:
    sound, told = AudioPart(data="AAAA", media_type="audio/mp3"), AudioPart(transcript="hello")
    (step,) = input_steps([say(Role.USER, sound, told)], model=MODEL)
    assert step["content"] == [
        {"type": "audio", "mime_type": "audio/mp3", "data": "AAAA"},
        {"type": "text", "text": "hello"},
    ]
    (content,) = input_contents([say(Role.USER, sound, told)], model=MODEL)
    assert content["parts"] == [{"inlineData": {"mimeType": "audio/mp3", "data": "AAAA"}}, {"text": "hello"}]


def test_what_a_tool_shows_goes_with_its_result() -> None:
    shown = ImagePart(data="AAAA", media_type="image/png")
    result = say(Role.TOOL, ToolResult(tool_call_id="toolu_1", content="see"), shown)
    calling = say(Role.ASSISTANT, CALLS[0])
    image = {"type": "image", "mime_type": "image/png", "data": "AAAA"}
    assert input_steps([calling, result], model=MODEL)[-1]["result"] == [{"type": "text", "text": "see"}, image]
    *_, told, attached = input_contents([calling, result], model=MODEL)
    assert "functionResponse" in told["parts"][0]
    assert attached["parts"] == [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]


def test_signed_text_is_joined_to_nothing() -> None:
    answer = CandidateCollector(model=MODEL, seed="s")
    texts: list[Item] = [
        {"text": "a"},
        {"text": "b"},
        {"text": "c", "thoughtSignature": "c2ln"},
        {"text": "d"},
        {"text": "", "thoughtSignature": "c2lo"},
    ]
    for text in texts:
        answer.add({"candidates": [{"content": {"parts": [text]}}]})
    answer.add({"candidates": [{"finishReason": "STOP"}]})
    completed = answer.complete()
    assert text_of(completed.parts) == "abcd"
    assert (completed.payload or {})["items"] == [{"text": "ab"}, *texts[2:]]


def test_steps_are_put_together_whatever_order_they_end_in() -> None:
    answer = StepCollector(model=MODEL, kept=True, continued=False)
    answer.start({"index": 1, "step": {"type": "function_call", "id": "b", "name": "dice", "arguments": {}}})
    answer.start({"index": 0, "step": {"type": "function_call", "id": "a", "name": "clock", "arguments": {"z": 1}}})
    answer.delta({"index": 1, "delta": {"type": "arguments_delta", "arguments": '{"n":'}})
    answer.delta({"index": 1, "delta": {"type": "arguments_delta", "arguments": " 6}"}})
    completed = answer.complete({"id": "int_1", "status": "requires_action"})
    assert completed.parts == (
        ToolCall(id="a", name="clock", arguments={"z": 1}),
        ToolCall(id="b", name="dice", arguments={"n": 6}),
    )
    assert (completed.finish_reason, completed.native_id) == ("tool_calls", "int_1")


@pytest.mark.parametrize(
    ("told", "counts"),
    [
        ({"total_input_tokens": 10, "total_output_tokens": 5, "total_thought_tokens": 3, "total_tokens": 18}, (10, 8)),
        ({"total_input_tokens": 10, "total_output_tokens": 8, "total_thought_tokens": 3, "total_tokens": 18}, (10, 8)),
        ({"total_input_tokens": 10, "total_output_tokens": 5, "total_thought_tokens": 3}, (10, 8)),
        (
            {"total_input_tokens": 10, "total_tool_use_tokens": 4, "total_output_tokens": 5, "total_tokens": 19},
            (14, 5),
        ),
        ({}, (0, 0)),
    ],
)
def test_thoughts_are_counted_once_however_they_are_told(told: Item, counts: tuple[int, int]) -> None:
    usage = (
        StepCollector(model=MODEL, kept=False, continued=False).complete({"status": "completed", "usage": told}).usage
    )
    assert (usage.input_tokens, usage.output_tokens) == counts
    assert usage.total_tokens == sum(counts)


def test_the_user_begins_and_the_model_speaks_once_before_its_calls() -> None:
    """Calls come right after a turn of the user: what the model said before them stands in the same content."""
    greeting, call = say(Role.ASSISTANT, TextPart("Hello.")), say(Role.ASSISTANT, ToolCall(id="c", name="1 clock"))
    contents = input_contents([greeting, call, say(Role.TOOL, ToolResult(tool_call_id="c"))], model=MODEL)
    assert [content["role"] for content in contents] == ["user", "model", "user"]
    assert contents[0]["parts"] == [{"text": OPENING}]
    assert contents[1]["parts"][1]["functionCall"]["name"] == "_1_clock"
