"""Handed back to the first provider, its answers are sent as it gave them; ids of calls are mapped there and back."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import pytest
from hypothesis import given

from langswarm_sessions.messages import Role, SessionMessage
from langswarm_sessions.window import repair
from tests.fidelity.targets import TARGETS, Target
from tests.fidelity.test_pairs import given_to, speakers_of
from tests.support.histories import SPEAKERS, entries_in, transcripts

Item = dict[str, Any]


def fields(item: Item, *names: str) -> Item:
    return {name: item[name] for name in names if item.get(name) is not None}


def _openai(items: Sequence[Item]) -> list[Item]:
    """Ids are not sent to a server that may have dropped what they name; a message goes as its text."""
    sent: list[Item] = []
    for item in items:
        if item["type"] == "reasoning" and "encrypted_content" in item and items[-1]["type"] != "reasoning":
            sent.append(fields(item, "id", "type", "summary", "encrypted_content"))
        elif item["type"] == "function_call":
            sent.append(fields(item, "type", "call_id", "name", "arguments"))
        elif item["type"] == "message":
            text = "".join(block.get("text") or block.get("refusal") for block in item["content"])
            sent.append({"type": "message", "role": "assistant", "content": text})
        elif item["type"] == "web_search_call":
            sent = [one for one in sent if one["type"] != "reasoning"]
    return sent


def _openai_chat(items: Sequence[Item]) -> list[Item]:
    (message,) = items
    text = (message.get("content") or "") + message.get("refusal", "")
    if "tool_calls" in message:
        return [{**fields(message, "role", "tool_calls", "reasoning_content"), "content": text or None}]
    return [{"role": "assistant", "content": text}] if text else []


def _anthropic(items: Sequence[Item]) -> list[Item]:
    """Thinking without a signature, or that led to nothing, is refused."""
    blocks = [block for block in items if block["type"] != "thinking" or block["signature"]]
    while blocks and blocks[-1]["type"] in {"thinking", "redacted_thinking"}:
        blocks.pop()
    return blocks


def _gemini(items: Sequence[Item]) -> list[Item]:
    """Unsigned thoughts cannot be sent."""
    return [item for item in items if item["type"] != "thought" or "signature" in item]


def _gemini_contents(items: Sequence[Item]) -> list[Item]:
    return [item for item in items if "thought" not in item or "thoughtSignature" in item]


def _mistral(items: Sequence[Item]) -> list[Item]:
    """Ids and times are another conversation's."""
    sent: list[Item] = []
    for item in items:
        names = (
            ("type", "content") if item["type"] == "message.output" else ("type", "tool_call_id", "name", "arguments")
        )
        role = {"role": "assistant"} if item["type"] == "message.output" else {}
        sent.append({**fields(item, *names), **role})
    return sent


def _cohere(items: Sequence[Item]) -> list[Item]:
    """Beside calls the API takes text as the plan alone."""
    (message,) = items
    content: list[Item] = message.get("content", [])
    text = "".join(block["text"] for block in content if block["type"] == "text")
    if "tool_calls" in message:
        plan = "\n\n".join(filter(None, [message.get("tool_plan"), text]))
        kept = [block for block in content if block["type"] != "text"]
        return [{**{name: value for name, value in {"content": kept, "tool_plan": plan}.items() if value},
                 **fields(message, "role", "tool_calls")}]  # fmt: skip
    if not text:
        return []
    return [{"role": "assistant", "content": text if all(one["type"] == "text" for one in content) else content}]


SENT_BACK: Mapping[str, Callable[[Sequence[Item]], list[Item]]] = {
    "openai responses": _openai,
    "openai chat": _openai_chat,
    "anthropic": _anthropic,
    "gemini interactions": _gemini,
    "gemini contents": _gemini_contents,
    "mistral conversations": _mistral,
    "cohere": _cohere,
}
"""What of an answer's raw items goes back: all the rest is byte for byte what came."""


@pytest.mark.parametrize("name", SENT_BACK)
def test_own_answers_go_back_as_they_came(name: str) -> None:
    target = TARGETS[name]

    @given(transcript=transcripts([target.speaker, target.speaker, *SPEAKERS]))
    def check(transcript: list[SessionMessage]) -> None:
        messages = given_to(target, transcript)
        mine = [message for message in messages if is_replayable(target, message)]
        sent = as_lines(target, target.conversation(target.request(messages)))
        for message in mine:
            expected = [line for item in SENT_BACK[name](items_of(message)) for line in as_lines(target, [item])]
            assert contains(sent, expected), (expected, sent)

    check()


def items_of(message: SessionMessage) -> list[Item]:
    items: list[Item] = (message.provider_payload or {})["items"]
    return items


def is_replayable(target: Target, message: SessionMessage) -> bool:
    """Whether the target itself said it through the same API; calls of an id that came before get one of their own."""
    payload = message.provider_payload or {}
    api = {"openai chat": "chat", "gemini": "interactions", "gemini contents": "generate_content"}.get(target.speaker)
    same = (payload.get("provider"), payload.get("model"), payload.get("api")) == (target.provider, target.model, api)
    return same and all(call.raw_arguments is None for call in message.tool_calls)


_KEPT_WHOLE = {"function_result", "model_output", "user_input"}


def as_lines(target: Target, conversation: Sequence[Item]) -> list[str]:
    """Return the smallest pieces that are kept whole, as text: blocks of messages, parts of contents, items."""
    lines: list[str] = []
    for entry in conversation:
        is_spread = target.provider in {"anthropic", "gemini"} and entry.get("type") not in _KEPT_WHOLE
        inner = entries_in(entry.get("parts") or entry.get("content")) if is_spread else []
        lines += [_line(one) for one in inner or [entry]]
    return lines


def _line(value: Item) -> str:
    """Return JSON without ids of calls, which may be numbered where they came twice."""
    calls = [{**call, "id": ""} for call in value.get("tool_calls") or ()]
    plain = {**value, **({"tool_calls": calls} if calls else {})}
    for name in ("call_id", "tool_call_id"):
        plain |= {name: ""} if name in plain else {}
    if plain.get("type") in {"tool_use", "function_call"}:
        plain |= {"id": ""} if "id" in plain else {}
    return json.dumps(plain, sort_keys=True)


def contains(sent: Sequence[str], expected: Sequence[str]) -> bool:
    size = len(expected)
    return any(list(sent[at : at + size]) == list(expected) for at in range(len(sent) - size + 1))


# Ids


def call_ids(target: Target, messages: Sequence[SessionMessage]) -> tuple[list[str], list[str]]:
    """Return the ids of calls and of results as they are sent, in order."""
    made: list[str] = []
    answered: list[str] = []
    for entry in walk(target.conversation(target.request(messages))):
        kind = entry.get("type")
        if kind in {"function_call", "tool_use", "function.call", "function", "tool_call"}:
            made.append(str(entry.get("call_id") or entry.get("tool_call_id") or entry.get("id")))
        elif kind in {"function_call_output", "function_result", "tool_result", "function.result", "tool"}:
            answered.append(str(entry.get("call_id") or entry.get("tool_use_id") or entry.get("tool_call_id")))
        elif entry.get("role") == "tool":
            answered.append(str(entry["tool_call_id"]))
    return made, answered


def walk(value: object) -> list[Item]:
    inner = [found for entry in entries_in(value) for found in walk(entry)]
    return [cast("Item", value), *inner] if isinstance(value, dict) else inner


@pytest.mark.parametrize("name", [name for name in TARGETS if name != "gemini contents"])
def test_ids_are_told_apart_and_always_the_same(name: str) -> None:
    """Gemini's generate_content pairs by place and name: there ids are only told where the model gave them."""
    target = TARGETS[name]

    @given(transcript=transcripts([target.speaker, "langchain of others", "openai chat"]))
    def check(transcript: list[SessionMessage]) -> None:
        ids_are_told_apart(target, transcript)

    check()


def ids_are_told_apart(target: Target, transcript: list[SessionMessage]) -> None:
    messages = given_to(target, transcript)
    made, answered = call_ids(target, messages)
    given_ids = [call.id for message in messages for call in message.tool_calls]
    assert len(made) == len(set(made)) == len(given_ids), "two calls never share an id"
    assert answered == made, "each result goes with its call"
    own = [call.id for message in messages if is_replayable(target, message) for call in message.tool_calls]
    assert set(own) <= set(made), "the ids a provider gave are its own again"
    grown = [*messages, SessionMessage(role=Role.ASSISTANT, content="ok"), SessionMessage(role=Role.USER, content="go")]
    assert call_ids(target, repair(grown))[0] == made, "an id stays the same from turn to turn"


def test_every_speaker_is_somebodys() -> None:
    sides = ("openai", "anthropic", "gemini", "mistral", "cohere", "mychat")
    assert set(speakers_of(*sides)) == set(SPEAKERS) - {"langchain of others"}
