"""Our messages to the Messages API's messages. Pure functions.

The rules kept here: the first message is the user's; roles alternate; all results of one answer's tool calls stand in
the one message after it, first of all; ids of calls match a pattern and are unique; a system message stands behind a
user's message and is followed by an answer or the end; thinking goes only with what it led to.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from langswarm_sessions.errors import InvalidRequestError
from langswarm_sessions.messages import (
    MessageKind,
    Part,
    Role,
    SessionMessage,
    TextPart,
    ToolCall,
    ToolResult,
)
from langswarm_sessions.providers.anthropic.answers import parts_of
from langswarm_sessions.providers.anthropic.content import Block, content_blocks, text_block
from langswarm_sessions.providers.mapping import OPENING, CallIds, call_id_within, newness, tool_name_within
from langswarm_sessions.providers.media import in_words

__all__ = ["OPENING", "Conversation", "conversation_of", "given_back", "legal_call_id", "replayed_blocks"]

_LEGAL_ID = re.compile(r"[a-zA-Z0-9_-]+", re.ASCII)
_LONGEST_NAME = 128
_THINKING = frozenset({"redacted_thinking", "thinking"})
_REPLAYED_FIELDS = {
    "redacted_thinking": ("type", "data"),
    "text": ("type", "text", "citations"),
    "thinking": ("type", "thinking", "signature"),
    "tool_use": ("type", "id", "name", "input", "caller", "toolset_name"),
}


@dataclass(slots=True)
class Conversation:
    """What a request says.

    Args:
        messages: The messages, in the API's form.
        system: Texts of system messages that go into the system prompt, behind the instructions.
    """

    messages: list[Block] = field(default_factory=list[Block], repr=False)
    system: list[str] = field(default_factory=list[str], repr=False)

    def say(self, role: str, blocks: list[Block]) -> None:
        """Append content; the same speaker's goes into one message."""
        if not blocks:
            return
        if not self.messages and role == "assistant":
            self.say("user", [text_block(OPENING)])
        if not self.messages or self.messages[-1]["role"] != role:
            self.messages.append({"role": role, "content": []})
        content: list[Block] = self.messages[-1]["content"]
        content += blocks

    def put_results_first(self) -> None:
        """Let each message begin with the tool results it holds."""
        for message in self.messages:
            content: list[Block] = message["content"]
            content.sort(key=lambda block: block["type"] != "tool_result")

    @property
    def speaker(self) -> str | None:
        """Who spoke last."""
        return self.messages[-1]["role"] if self.messages else None


legal_call_id = call_id_within(_LEGAL_ID, prefix="toolu_")
"""Return an id that the API's pattern allows: the same one if it does."""


def conversation_of(
    messages: Sequence[SessionMessage], *, model: str, system_in_place: bool = True, is_whole: bool = True
) -> Conversation:
    """Return what the messages say, in the API's form.

    An answer this provider and model gave is replayed as it came, thinking included; every other message is built from
    its parts. System messages stand behind what the user said with them; those that open a whole conversation go into
    the system prompt.

    Args:
        messages: In order; tool calls and results already paired.
        model: The model the request is for.
        system_in_place: Whether the model takes system messages in the conversation; else all go into the prompt.
        is_whole: Whether the messages are all there is; else they continue what the provider keeps.

    Raises:
        InvalidRequestError: The new input holds content the API does not take, or nothing but blanks.
    """
    told, ids, waiting = Conversation(), CallIds(legal_call_id), list[str]()
    for message, is_new in zip(messages, newness(messages), strict=True):
        if message.kind is MessageKind.INSTRUCTIONS:
            continue
        if message.role is Role.SYSTEM:
            if text := in_words(message.parts).strip():
                opens = is_whole and not told.messages
                (told.system if opens or not system_in_place else waiting).append(text)
        elif message.role is Role.ASSISTANT:
            blocks = _answer_blocks(message, model=model, ids=ids)
            if blocks and told.speaker == "user":
                _place(told, waiting)
            told.say("assistant", blocks)
        else:
            told.say("user", _input_blocks(message, ids, is_new=is_new))
    if is_whole and not told.messages:
        waiting, told.system = [*told.system, *waiting], []
    _place(told, waiting)
    told.put_results_first()
    if told.speaker in (None, "assistant") and messages[-1:] and messages[-1].role is not Role.ASSISTANT:
        raise InvalidRequestError(
            "anthropic: there is nothing to send but blanks. Say something in the message.", provider="anthropic"
        )
    return told


def _place(told: Conversation, waiting: list[str]) -> None:
    """Say the waiting system texts: behind the user's message, else as the user's (where nobody else spoke)."""
    if waiting:
        blocks = [text_block("\n\n".join(waiting))]
        told.say("system" if told.speaker == "user" else "user", blocks)
        waiting.clear()


# Answers


def _answer_blocks(message: SessionMessage, *, model: str, ids: CallIds) -> list[Block]:
    blocks = _payload_blocks(message, model=model) or _built_blocks(message)
    return [{**block, "id": ids.made(block["id"])} if block["type"] == "tool_use" else block for block in blocks]


def _payload_blocks(message: SessionMessage, *, model: str) -> list[Block]:
    """Return the provider's own blocks of an answer, fit to be sent again; empty when they cannot be.

    Nothing is replayed when the message says something else by now (a middleware edited it).
    """
    return replayed_blocks(_kept_blocks(message, model=model))


def given_back(message: SessionMessage, model: str) -> list[Part]:
    """Return the parts of an answer that go back with the provider's own blocks; empty when those cannot be sent."""
    return parts_of(_kept_blocks(message, model=model))


def _kept_blocks(message: SessionMessage, *, model: str) -> list[Block]:
    payload = message.provider_payload or {}
    if payload.get("provider") != "anthropic" or payload.get("model") != model:
        return []
    stored: list[Block] = payload.get("items") or []
    if not _says_the_same(stored, message):
        return []
    blocks = [block for block in stored if _replayed(block) is not None]
    while blocks and blocks[-1]["type"] in _THINKING:  # what it led to is missing
        blocks.pop()
    return blocks


def replayed_blocks(blocks: Iterable[Block]) -> list[Block]:
    """Return the API's own blocks of an answer as it takes them back."""
    return [replayed for block in blocks if (replayed := _replayed(block)) is not None]


def _says_the_same(stored: Iterable[Block], message: SessionMessage) -> bool:
    blocks = list(stored)
    text = "".join(block.get("text") or "" for block in blocks if block.get("type") == "text")
    sent = [(block.get("id"), block.get("name"), block.get("input")) for block in blocks if _is_call(block)]
    told = [(call.id, call.name, call.arguments) for call in message.tool_calls if call.raw_arguments is None]
    return text == message.content and sent == told and len(told) == len(message.tool_calls)


def _is_call(block: Block) -> bool:
    return block.get("type") == "tool_use"


def _replayed(block: Block) -> Block | None:
    kind = block.get("type")
    if (kind == "text" and not (block.get("text") or "").strip()) or (
        kind == "thinking" and not block.get("signature")
    ):
        return None
    names = _REPLAYED_FIELDS.get(str(kind), tuple(block))
    kept = {name: block[name] for name in names if block.get(name) is not None}
    if citations := kept.pop("citations", None):
        kept["citations"] = [_citation(citation) for citation in citations]
    return kept


def _citation(citation: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in citation.items() if name != "file_id"}  # told, but not taken back


def _built_blocks(message: SessionMessage) -> list[Block]:
    text = in_words(message.parts)
    blocks = [text_block(text)] if text.strip() else []
    return blocks + [
        {
            "type": "tool_use",
            "id": call.id,
            "name": tool_name_within(call.name, longest=_LONGEST_NAME),
            "input": _input(call),
        }
        for call in message.tool_calls
    ]


def _input(call: ToolCall) -> dict[str, Any]:
    return call.arguments if call.raw_arguments is None else {"raw_arguments": call.raw_arguments}


# Input


def _input_blocks(message: SessionMessage, ids: CallIds, *, is_new: bool) -> list[Block]:
    results = message.tool_results if message.role is Role.TOOL else []
    if not results:
        return content_blocks(message.parts, is_new=is_new)
    media = content_blocks((part for part in message.parts if not isinstance(part, TextPart)), is_new=is_new)
    if len(results) == 1:
        return [_result_block(results[0], ids, media=media)]
    return [*(_result_block(result, ids, media=[]) for result in results), *media]


def _result_block(result: ToolResult, ids: CallIds, *, media: list[Block]) -> Block:
    block: Block = {"type": "tool_result", "tool_use_id": ids.answered(result.tool_call_id)}
    text = result.content if result.content.strip() else ""
    if media:
        block["content"] = [*([text_block(text)] if text else []), *media]
    elif text:
        block["content"] = text
    return {**block, "is_error": True} if result.is_error else block
