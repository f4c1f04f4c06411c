"""Strategies for transcripts as sessions hold them, and for the options of a turn."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

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
from langswarm_sessions.providers.openai.answers import parts_of
from langswarm_sessions.records import TurnOptions

__all__ = ["MODEL", "histories", "options", "texts"]

MODEL = "gpt-6-astra"

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
names = st.sampled_from(["clock", "weather", "search"])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | texts, lambda inner: st.lists(inner, max_size=2), max_leaves=4
)
arguments = st.dictionaries(texts, json_values, max_size=2)
media: st.SearchStrategy[Part] = st.one_of(
    st.builds(ImagePart, url=st.just("https://example.org/a.png"), detail=st.sampled_from([None, "low", "odd"])),
    st.builds(ImagePart, data=st.just("aGk="), media_type=st.sampled_from([None, "image/png"])),
    st.builds(FilePart, file_id=st.just("file-1")),
    st.builds(FilePart, data=st.just("aGk="), name=st.sampled_from([None, "a.pdf"])),
    st.builds(FilePart, url=st.just("https://example.org/a.pdf")),
    st.builds(AudioPart, transcript=st.just("spoken")),
)
strange: st.SearchStrategy[Part] = st.one_of(
    st.builds(AudioPart, data=st.just("aGk=")),
    st.builds(OtherPart, data=st.just({"type": "strange"})),
    st.builds(FilePart),
)


@st.composite
def answers(draw: st.DrawFn, turn: int) -> SessionMessage:
    """Draw an answer: from parts, or with the provider's own items as payload."""
    calls = [
        ToolCall(id=f"call_{turn}_{at}", name=draw(names), arguments=draw(arguments))
        for at in range(draw(st.integers(0, 2)))
    ]
    if draw(st.booleans()):
        text = draw(st.lists(st.builds(TextPart, texts) | st.builds(RefusalPart, texts), max_size=2))
        thought = [ReasoningPart(text=draw(texts))] if draw(st.booleans()) else []
        return SessionMessage(role=Role.ASSISTANT, parts=[*thought, *text, *calls])
    items: list[dict[str, Any]] = []
    for at in range(draw(st.integers(0, 2))):
        thought_item: dict[str, Any] = {
            "type": "reasoning",
            "id": f"rs_{turn}_{at}",
            "summary": [],
            "status": "completed",
        }
        if draw(st.booleans()):
            thought_item["encrypted_content"] = "gAAAA"
        items.append(thought_item)
        if draw(st.sampled_from([True, False, False])):
            items.append({"type": "compaction", "id": f"cmp_{turn}_{at}", "encrypted_content": "gAAAA"})
        if draw(st.booleans()):
            items.append({"type": "web_search_call", "id": f"ws_{turn}_{at}", "status": "completed"})
    if draw(st.booleans()):
        content: list[dict[str, Any]] = [{"type": "output_text", "text": draw(texts), "annotations": []}]
        phase = draw(st.sampled_from([{}, {"phase": "final_answer"}]))
        items.append({"type": "message", "id": f"msg_{turn}", "role": "assistant", "content": content, **phase})
    items += [
        {"type": "function_call", "id": f"fc_{call.id}", "call_id": call.id, "name": call.name,
         "arguments": json.dumps(call.arguments)}
        for call in calls
    ]  # fmt: skip
    payload = {"provider": "openai", "model": draw(st.sampled_from([MODEL, "another"])), "items": items}
    return SessionMessage(role=Role.ASSISTANT, parts=parts_of(items), provider_payload=payload)


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
        if draw(st.booleans()):
            messages.append(SessionMessage(role=Role.ASSISTANT, content=draw(texts)))
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
                {"type": "function", "name": "weather", "strict": False},
                {"type": "web_search"},
            ),
            tool_choice="clock",
        ),
    ]
)
