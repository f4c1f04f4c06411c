"""Our messages as a chat model is given them. Pure functions.

What this very model said is given back as it came (`provider_payload`). Of everybody else's answers only what any
model can be given travels: text, tool calls and results; reasoning, raw blocks and the ids of other servers stay here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.messages import ToolCall as LangChainCall

from langswarm_sessions.messages import (
    FilePart,
    MessageKind,
    OtherPart,
    Part,
    Role,
    SessionMessage,
    TextPart,
    ToolCall,
    ToolResult,
)
from langswarm_sessions.providers.mapping import CallIds, call_id_within, newness, tool_name_within
from langswarm_sessions.providers.media import Medium, in_words, is_foreign_file, noted
from langswarm_sessions_langchain.messages import restored_langchain, to_langchain
from langswarm_sessions_langchain.messages.building import build

__all__ = ["Speaker", "crossing_to", "given_messages", "without_server_ids"]

Content = str | list[str | dict[Any, Any]]

_legal_call_id = call_id_within(re.compile(r"[A-Za-z0-9_-]{1,40}"), prefix="call_")
_SAFE_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaker:
    """Who said an answer: only the same one is given it back as it came.

    Args:
        provider: The provider's name.
        model: The session's model.
        chat_model: The class of the chat model, and the model it asks.
        vendor: Which provider's API the chat model speaks, as far as its package tells: files are known by ids there.
    """

    provider: str
    model: str
    chat_model: str
    vendor: str | None = None

    def to_json(self) -> dict[str, str]:
        """Return the entries of a payload that say who said it."""
        return {"provider": self.provider, "model": self.model, "chat_model": self.chat_model}

    def said(self, payload: Mapping[str, Any]) -> bool:
        """Whether a payload is this speaker's."""
        return all(payload.get(name) == value for name, value in self.to_json().items())


def given_messages(
    messages: Sequence[SessionMessage], *, instructions: str | None, speaker: Speaker
) -> list[BaseMessage]:
    """Return what a chat model is given, in order.

    There is one system message, the first: many models take no other. It holds the instructions, and after them what
    system messages of the conversation say. A message that would be empty is left out.

    Args:
        messages: The window, from the planner.
        instructions: The instructions in force.
        speaker: Whose answers are given back as they came.
    """
    told: list[Content] = [instructions] if instructions else []
    given: list[BaseMessage] = []
    calls = CallIds(_legal_call_id)
    for message, is_readable in zip(messages, _readables(messages, speaker), strict=True):
        if message.role is Role.SYSTEM:
            if message.kind is MessageKind.SAID:
                told.append(to_langchain(message).content)
        elif message.role is Role.ASSISTANT:
            given += _answer(message, speaker, calls)
        elif message.role is Role.TOOL and message.tool_results:
            given += _results(_readable(message, is_readable), calls)
        elif (said := _said(_readable(message, is_readable))).content:
            given.append(said)
    return [SystemMessage(_joined(told)), *given] if told else given


def _joined(contents: Sequence[Content]) -> Content:
    texts = [content for content in contents if isinstance(content, str)]
    if len(texts) == len(contents):
        return "\n\n".join(texts)
    blocks: list[str | dict[Any, Any]] = []
    for content in contents:
        blocks += [{"type": "text", "text": content}] if isinstance(content, str) else content
    return blocks


# Answers


def _answer(message: SessionMessage, speaker: Speaker, calls: CallIds) -> list[BaseMessage]:
    own = _own(message, speaker) if calls.are_free([call.id for call in message.tool_calls]) else None
    named = calls.made if own is None else calls.kept
    sent = [
        LangChainCall(
            name=call.name if own is not None else _legal_name(call.name),
            args=call.arguments,
            id=named(call.id),
            type="tool_call",
        )
        for call in message.tool_calls
    ]
    answer = AIMessage(in_words(message.parts)) if own is None else without_server_ids(own)
    # A call that was no JSON has a result all the same: to every model it is a call without arguments.
    answer = answer.model_copy(update={"tool_calls": sent, "invalid_tool_calls": []})
    return [answer] if answer.content or sent else []


def _own(message: SessionMessage, speaker: Speaker) -> AIMessage | None:
    """Return what this speaker said, unless it was edited since."""
    if not speaker.said(message.provider_payload or {}):
        return None
    restored = restored_langchain(message)
    if not isinstance(restored, AIMessage):
        return None
    # A refusal beside empty content would be left out: it is told as text instead.
    return restored if restored.content or restored.tool_calls or restored.invalid_tool_calls else None


def without_server_ids(answer: AIMessage) -> AIMessage:
    """Leave out the ids by which OpenAI's server keeps items, which it may have dropped by now.

    Reasoning that is only a reference to what is kept there goes with them; encrypted reasoning stays.
    """
    content = answer.content
    if not isinstance(content, str):
        content = [block if isinstance(block, str) else _unkept(block) for block in content if not _is_reference(block)]
    return answer.model_copy(
        update={
            "content": content,
            "additional_kwargs": {k: v for k, v in answer.additional_kwargs.items() if not _is_reference(v)},
            "response_metadata": {k: v for k, v in answer.response_metadata.items() if k != "id"},
        }
    )


def _is_reference(block: object) -> bool:
    entries = cast("Mapping[str, Any]", block) if isinstance(block, Mapping) else dict[str, Any]()
    extras: Mapping[str, Any] = entries.get("extras") or {}
    is_kept = str(entries.get("id")).startswith("rs_")
    return is_kept and not (entries.get("encrypted_content") or extras.get("encrypted_content"))


def _unkept(block: dict[Any, Any]) -> dict[Any, Any]:
    if not str(block.get("id")).startswith(("msg_", "fc_")):
        return block
    return {name: value for name, value in block.items() if name != "id"}


def _legal_name(name: str) -> str:
    return tool_name_within(name, longest=64, first="a-zA-Z_")


# Input


def _said(message: SessionMessage) -> HumanMessage:
    content = to_langchain(message).content
    name = message.metadata.get("name")
    named = {"name": name} if isinstance(name, str) and _SAFE_NAME.fullmatch(name) else {}
    return HumanMessage(content, id=message.message_id or None, **named)


def _readables(messages: Sequence[SessionMessage], speaker: Speaker) -> list[Callable[[Part], bool]]:
    """Return of each message what tells whether a part can be read by the chat model.

    Ids of files and raw blocks mean something to one server. They are new input for this one, or it was this speaker
    that answered the turn they came in; an id may also be of the style of the chat model's own API.
    """
    heard = {message.turn_id for message in messages if _is_said_by(message, speaker)} - {None}

    def readable(message: SessionMessage, *, is_new: bool) -> Callable[[Part], bool]:
        is_known = is_new or message.turn_id in heard

        def is_readable(part: Part) -> bool:
            if isinstance(part, OtherPart):
                return is_known
            if isinstance(part, FilePart) and not is_known and is_foreign_file(part, provider=speaker.vendor):
                return False
            return not isinstance(part, Medium) or bool(part.url or part.data or getattr(part, "file_id", None))

        return is_readable

    return [readable(message, is_new=is_new) for message, is_new in zip(messages, newness(messages), strict=True)]


def _is_said_by(message: SessionMessage, speaker: Speaker) -> bool:
    return message.role is Role.ASSISTANT and speaker.said(message.provider_payload or {})


def _readable(message: SessionMessage, is_readable: Callable[[Part], bool]) -> SessionMessage:
    """Return a message with notes in place of what cannot be read; the same one if there is nothing like it."""
    if all(map(is_readable, message.parts)):
        return message
    kept = [part for part in message.parts if isinstance(part, Medium) or is_readable(part)]
    return replace(message, content="", parts=noted(kept, is_taken=is_readable))


def crossing_to(speaker: Speaker, messages: Sequence[SessionMessage]) -> list[list[Part]]:
    """Return of each message the parts that a chat model is given as they are.

    Args:
        speaker: The chat model.
        messages: What was said before; nothing of it is new input.
    """
    follow_up = SessionMessage(role=Role.ASSISTANT)  # behind it, nothing said before is new
    return [
        _crossing(message, speaker, is_readable)
        for message, is_readable in zip(messages, _readables([*messages, follow_up], speaker), strict=False)
    ]


def _crossing(message: SessionMessage, speaker: Speaker, is_readable: Callable[[Part], bool]) -> list[Part]:
    if message.role is not Role.ASSISTANT:
        return [part for part in message.parts if is_readable(part)]
    if _own(message, speaker) is not None:
        return message.parts
    return [part for part in message.parts if isinstance(part, TextPart | ToolCall)]


def _results(message: SessionMessage, calls: CallIds) -> list[BaseMessage]:
    results = message.tool_results
    beside = [part for part in message.parts if not isinstance(part, ToolResult)] if len(results) == 1 else []
    return [_result(replace(message, content="", parts=[result, *beside]), result, calls) for result in results]


def _result(message: SessionMessage, result: ToolResult, calls: CallIds) -> BaseMessage:
    restored = restored_langchain(message)
    sent = restored if isinstance(restored, ToolMessage) else build(message)
    return sent.model_copy(update={"tool_call_id": calls.answered(result.tool_call_id)})
