"""Answers as each provider's adapter stores them: parts, and the provider's raw items beside them.

`tests/fidelity/test_speakers.py` holds the items built here against those of real runs of the adapters.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage

from langswarm_sessions.interfaces.provider import Completed
from langswarm_sessions.messages import (
    Part,
    ReasoningPart,
    RefusalPart,
    Role,
    SessionMessage,
    TextPart,
    ToolCall,
)
from langswarm_sessions.providers.anthropic import answers as anthropic_answers
from langswarm_sessions.providers.cohere import answers as cohere_answers
from langswarm_sessions.providers.gemini.contents import parts_of_items
from langswarm_sessions.providers.gemini.steps import parts_of_steps
from langswarm_sessions.providers.mistral.answers import completed_answer as mistral_answer
from langswarm_sessions.providers.openai import answers as openai_answers
from langswarm_sessions.providers.openai.mapping import arguments_text
from langswarm_sessions.records import Usage
from langswarm_sessions_langchain.provider.answers import completed_answer as langchain_answer
from langswarm_sessions_langchain.provider.mapping import Speaker as LangChainSpeaker

__all__ = ["LANGCHAIN_SPEAKER", "SPEAKERS", "Said", "Speaker"]

Item = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What an answer says, whoever gives it.

    Args:
        number: Tells the answer from all others of its transcript.
        text: Its text.
        is_refusal: Whether the text declines.
        thought: The reasoning before it; empty for none.
        is_sealed: Whether the reasoning is signed or encrypted, so that it can be sent back.
        calls: Tool calls.
        has_own_item: Whether something only the provider knows stands among its items.
    """

    number: int = 0
    text: str = ""
    is_refusal: bool = False
    thought: str = ""
    is_sealed: bool = True
    calls: tuple[ToolCall, ...] = ()
    has_own_item: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaker:
    """One way a provider is asked, and what is stored of its answers.

    Args:
        provider: The provider's name.
        model: A model of it.
        call_ids: Ids of tool calls in its style, `{}` where the number goes.
        call_names: Names of tools it takes.
        stored: The parts and the payload of an answer.
    """

    provider: str
    model: str
    call_ids: tuple[str, ...]
    call_names: tuple[str, ...] = ("clock", "search", "get-weather_2", "1st-tool")
    stored: Callable[[Said, str], tuple[Sequence[Part], Mapping[str, Any] | None]]

    def answer(self, said: Said, *, model: str | None = None, **fields: Any) -> SessionMessage:
        """Return an answer as a session stores it.

        Args:
            said: What it says.
            model: Another model of the same provider.
            **fields: Of the message: its turn, its place.
        """
        parts, payload = self.stored(said, model or self.model)
        return SessionMessage(
            role=Role.ASSISTANT,
            parts=list(parts),
            provider_payload=None if payload is None else json.loads(json.dumps(payload)),
            **fields,
        )


def _signature(said: Said) -> str:
    return base64.b64encode(f"signature {said.number}".encode()).decode()


def _openai(said: Said, model: str) -> tuple[Sequence[Part], Item]:
    items: list[Item] = []
    if said.thought:
        sealed = {"encrypted_content": f"gAAAA{said.number}"} if said.is_sealed else {}
        summary = [{"text": said.thought, "type": "summary_text"}]
        items.append({"id": f"rs_{said.number}", "summary": summary, "type": "reasoning", **sealed})
    if said.has_own_item:
        items.append({"id": f"ws_{said.number}", "type": "web_search_call", "status": "completed"})
    if said.text:
        block: Item = {"annotations": [], "text": said.text, "type": "output_text", "logprobs": []}
        content: Item = {"refusal": said.text, "type": "refusal"} if said.is_refusal else block
        message: Item = {"id": f"msg_{said.number}", "content": [content], "role": "assistant", "status": "completed"}
        items.append({**message, "type": "message"})
    for place, call in enumerate(said.calls):
        made = {"arguments": arguments_text(call), "call_id": call.id, "name": call.name, "type": "function_call"}
        items.append({**made, "id": f"fc_{said.number}_{place}", "status": "completed"})
    return openai_answers.parts_of(items), {"provider": "openai", "model": model, "items": items}


def _openai_chat(said: Said, model: str) -> tuple[Sequence[Part], Item]:
    message: Item = {"role": "assistant", "content": None if said.is_refusal else said.text or None}
    if said.thought:
        message["reasoning_content"] = said.thought
    if said.text and said.is_refusal:
        message["refusal"] = said.text
    if said.calls:
        message["tool_calls"] = [_chat_call(call) for call in said.calls]
    return _plain_parts(said), {"provider": "openai", "api": "chat", "model": model, "items": [message]}


def _chat_call(call: ToolCall) -> Item:
    return {"type": "function", "id": call.id, "function": {"name": call.name, "arguments": arguments_text(call)}}


def _plain_parts(said: Said) -> list[Part]:
    parts: list[Part] = [ReasoningPart(text=said.thought)] if said.thought else []
    if said.text:
        parts.append(RefusalPart(said.text) if said.is_refusal else TextPart(said.text))
    return [*parts, *said.calls]


def _anthropic(said: Said, model: str) -> tuple[Sequence[Part], Item]:
    blocks: list[Item] = []
    if said.thought:
        signature = _signature(said) if said.is_sealed else ""
        blocks.append({"signature": signature, "thinking": said.thought, "type": "thinking"})
    if said.has_own_item:
        blocks.append({"type": "redacted_thinking", "data": f"sealed {said.number}"})
    if said.text:
        blocks.append({"text": said.text, "type": "text"})
    broken: dict[int, str | None] = {}
    for call in said.calls:
        broken[len(blocks)] = call.raw_arguments
        blocks.append({"id": call.id, "input": call.arguments, "name": call.name, "type": "tool_use"})
    parts = anthropic_answers.parts_of(blocks, broken=broken, is_refusal=said.is_refusal)
    return parts, {"provider": "anthropic", "model": model, "items": blocks}


def _gemini_steps(said: Said, model: str) -> tuple[Sequence[Part], Item]:
    steps: list[Item] = []
    if said.thought:
        signed = {"signature": _signature(said)} if said.is_sealed else {}
        steps.append({"type": "thought", "summary": [{"text": said.thought, "type": "text"}], **signed})
    if said.has_own_item:
        steps.append({"type": "thought", "signature": _signature(said)})
    if said.text:
        steps.append({"type": "model_output", "content": [{"type": "text", "text": said.text}]})
    for call in said.calls:
        given = call.arguments if call.raw_arguments is None else {"raw_arguments": call.raw_arguments}
        steps.append({"arguments": given, "id": call.id, "name": call.name, "type": "function_call"})
    return parts_of_steps(steps), {"provider": "gemini", "model": model, "api": "interactions", "items": steps}


def _gemini_contents(said: Said, model: str) -> tuple[Sequence[Part], Item]:
    items: list[Item] = [{"text": said.thought, "thought": True}] if said.thought else []
    if said.text:
        items.append({"text": said.text})
    signed = {"thoughtSignature": _signature(said)}
    for place, call in enumerate(said.calls):
        named = {"id": call.id} if said.has_own_item else {}  # only newer servers name calls
        made: Item = {"functionCall": {**named, "args": call.arguments, "name": call.name}}
        items.append({**made, **signed} if place == 0 else made)
    if said.thought and said.is_sealed and not said.calls:
        items.append({"text": "", **signed})
    parts = parts_of_items(items, seed=f"resp_{said.number}")
    return parts, {"provider": "gemini", "model": model, "api": "generate_content", "items": items}


def _mistral(said: Said, model: str) -> tuple[Sequence[Part], Item]:
    named = {"id": f"msg_{said.number}"} if said.has_own_item else {}  # in conversations, not in chat completions
    entries: list[Item] = []
    if said.text or said.thought:
        text: list[Item] = [{"type": "text", "text": said.text}] if said.text else []
        sealed = {"signature": _signature(said)} if said.is_sealed else {}
        thought: Item = {"thinking": [{"text": said.thought, "type": "text"}], "type": "thinking", **sealed}
        content = [thought, *text] if said.thought else said.text
        entries.append({"type": "message.output", **named, "model": model, "content": content})
    for call in said.calls:
        made = {"type": "function.call", **named, "tool_call_id": call.id, "name": call.name}
        entries.append({**made, "arguments": arguments_text(call)})
    return _parts_and_payload(mistral_answer(entries, model=model, usage=Usage(), answer_id=None))


def _cohere(said: Said, model: str) -> tuple[Sequence[Part], Item]:
    thought: list[Item] = [{"type": "thinking", "thinking": said.thought}] if said.thought and said.is_sealed else []
    content = [*thought, *([{"type": "text", "text": said.text}] if said.text else [])]
    fields: Item = {
        "content": content,
        "tool_plan": said.thought if said.calls and not said.is_sealed else None,
        "tool_calls": [_chat_call(call) for call in said.calls],
    }
    message = {"role": "assistant", **{name: value for name, value in fields.items() if value}}
    return cohere_answers.parts_of(message), {"provider": "cohere", "model": model, "items": [message]}


LANGCHAIN_SPEAKER = LangChainSpeaker(provider="mychat", model="judged-1", chat_model="tests.JudgedChat/judged-1")


def _langchain(said: Said, model: str) -> tuple[Sequence[Part], Item]:
    return _chat_model_answer(
        said, LangChainSpeaker(provider="mychat", model=model, chat_model=LANGCHAIN_SPEAKER.chat_model)
    )


def _other_langchain(said: Said, model: str) -> tuple[Sequence[Part], Item]:
    return _chat_model_answer(
        said, LangChainSpeaker(provider="otherchat", model=model, chat_model="tests.OtherChat/other-1")
    )


def _chat_model_answer(said: Said, speaker: LangChainSpeaker) -> tuple[Sequence[Part], Item]:
    content: list[str | dict[Any, Any]] = []
    if said.thought:
        content.append({"type": "thinking", "thinking": said.thought, "signature": _signature(said), "index": 0})
    if said.text and not said.is_refusal:
        content.append({"type": "text", "text": said.text, "index": 1})
    beside = {"refusal": said.text} if said.is_refusal and said.text else {}
    message = AIMessage(
        content if said.thought else "" if said.is_refusal else said.text,
        additional_kwargs=beside,
        id=f"lc_run--{said.number}",
        response_metadata={"finish_reason": "stop", "model_name": speaker.model, "model_provider": "judged"},
        tool_calls=[
            {"name": call.name, "args": call.arguments, "id": call.id, "type": "tool_call"}
            for call in said.calls
            if call.raw_arguments is None
        ],
        invalid_tool_calls=[
            {"name": call.name, "args": call.raw_arguments, "id": call.id, "error": None, "type": "invalid_tool_call"}
            for call in said.calls
            if call.raw_arguments is not None
        ],
    )
    return _parts_and_payload(langchain_answer(message, speaker=speaker, names=[speaker.model]))


def _parts_and_payload(completed: Completed) -> tuple[Sequence[Part], Item]:
    return completed.parts, dict(completed.payload or {})


SPEAKERS: Mapping[str, Speaker] = {
    "anthropic": Speaker(
        provider="anthropic",
        model="claude-sonnet-5-5",
        call_ids=("toolu_01A{}", "toolu_vrtx_{}"),
        call_names=("clock", "w" * 120),
        stored=_anthropic,
    ),
    "cohere": Speaker(
        provider="cohere",
        model="command-a-03-2025",
        call_ids=("clock_{}", "weather search/{}"),
        call_names=("clock", "get_weather"),
        stored=_cohere,
    ),
    "gemini": Speaker(
        provider="gemini",
        model="gemini-4-carbon",
        call_ids=("fc_1a{}", "{}"),
        call_names=("clock", "files.read", "ns:tool"),
        stored=_gemini_steps,
    ),
    "gemini contents": Speaker(
        provider="gemini",
        model="gemini-4-carbon",
        call_ids=("call_{}", "function-call-{}"),
        call_names=("clock", "files.read", "ns:tool"),
        stored=_gemini_contents,
    ),
    "langchain": Speaker(
        provider="mychat",
        model="judged-1",
        call_ids=("call_{}", "lc-{}"),
        call_names=("clock", "_x", "mcp__files__read"),
        stored=_langchain,
    ),
    "langchain of others": Speaker(
        provider="otherchat",
        model="other-1",
        call_ids=(
            "functions.clock:{}",
            "é{}",
            "lc|{}",
            "c" * 80 + "{}",
            "chatcmpl-tool-0123456789abcdef0123456789abcde{}",
        ),
        call_names=("clock", "files/read", "ü"),
        stored=_other_langchain,
    ),
    "mistral": Speaker(
        provider="mistral", model="mistral-medium-latest", call_ids=("rXo8OuL{:02}", "tc0{:06}"), stored=_mistral
    ),
    "openai": Speaker(provider="openai", model="gpt-6-astra", call_ids=("call_a991e99023303d8f{}",), stored=_openai),
    "openai chat": Speaker(
        provider="openai",
        model="gpt-6-astra",
        call_ids=("call_{}", "call_{:032}"),
        stored=_openai_chat,
    ),
}
"""Every way of asking that leaves another kind of items behind."""
