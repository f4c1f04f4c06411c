"""Messages in the form of the GenAI semantic conventions, for telemetry that is allowed to hold content.

Form: `gen_ai.input.messages`, `gen_ai.output.messages` and `gen_ai.tool.definitions` of the OpenTelemetry GenAI
semantic conventions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias
from urllib.parse import urlsplit, urlunsplit

from langswarm_sessions.errors import InvalidInputError
from langswarm_sessions.interfaces.provider import Completed, ProviderRequest
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
from langswarm_sessions.providers.tools import function_tool
from langswarm_sessions_otel import ChatScope, TurnScope
from langswarm_sessions_otel.degradation import guarded

__all__ = [
    "captured_answer",
    "captured_messages",
    "captured_tools",
    "tell_answer",
    "tell_broken_off",
    "tell_input",
    "tell_output",
    "tell_request",
]

Captured: TypeAlias = dict[str, Any]

_COMPACTION = "compaction"
_STAGE = "content"


@guarded(_STAGE)
def tell_request(chat: ChatScope, request: ProviderRequest) -> None:
    """Record what a provider is sent, on the span of the call or beside it."""
    chat.content(
        instructions=request.instructions,
        input_messages=captured_messages(request.messages),
        tool_definitions=captured_tools(request.options.tools),
    )


@guarded(_STAGE)
def tell_answer(chat: ChatScope, completed: Completed) -> None:
    """Record what a provider answered."""
    chat.content(output_messages=captured_answer(completed))


@guarded(_STAGE)
def tell_broken_off(chat: ChatScope, text: str) -> None:
    """Record what came of an answer that was broken off; nothing if nothing came."""
    if text:
        said = [{"type": "text", "content": text}]
        chat.content(output_messages=[{"role": Role.ASSISTANT.value, "parts": said}])


@guarded(_STAGE)
def tell_input(span: TurnScope, messages: Iterable[SessionMessage]) -> None:
    """Record what a turn was told, if its span may show it."""
    if span.shows_content:
        span.input_content(captured_messages(messages))


@guarded(_STAGE)
def tell_output(span: TurnScope, messages: Iterable[SessionMessage]) -> None:
    """Record what a turn answered, if its span may show it."""
    if span.shows_content:
        span.output_content(captured_messages(messages))


def captured_messages(messages: Iterable[SessionMessage]) -> list[Captured]:
    """Return messages as role and parts."""
    return [{"role": message.role.value, "parts": _parts(message.parts)} for message in messages]


def captured_answer(completed: Completed) -> list[Captured]:
    """Return an answer as role and parts."""
    return [{"role": Role.ASSISTANT.value, "parts": _parts(completed.parts)}]


def captured_tools(tools: Sequence[Mapping[str, Any]]) -> list[Captured]:
    """Return the definitions of tools; one without a name, which no provider takes, is left out."""
    captured: list[Captured] = []
    for tool in tools:
        try:
            function = function_tool(tool)
        except InvalidInputError:
            continue
        if function is None:  # it runs at the provider
            kind = str(tool.get("type"))
            captured.append({"type": kind, "name": str(tool.get("name", kind))})
        else:
            about: Captured = {"description": function.description} if function.description else {}
            captured.append({"type": "function", "name": function.name, **about, "parameters": function.parameters})
    return captured


def _parts(parts: Iterable[Part]) -> list[Captured]:
    return [_part(part) for part in parts]


def _part(part: Part) -> Captured:
    match part:
        case TextPart():
            return {"type": "text", "content": part.text}
        case RefusalPart():  # read like any other text; the conventions have no part of its own for it
            return {"type": "text", "content": part.text, "refusal": True}
        case ReasoningPart():
            return {"type": "reasoning", "content": part.text}
        case ToolCall():
            arguments = part.arguments if part.raw_arguments is None else part.raw_arguments
            return {"type": "tool_call", "id": part.id, "name": part.name, "arguments": arguments}
        case ToolResult():
            failed = {"is_error": True} if part.is_error else {}
            return {"type": "tool_call_response", "id": part.tool_call_id, "response": part.content, **failed}
        case ImagePart() | FilePart() | AudioPart():
            return _media(part)
        case OtherPart():
            return _other(part.data)


def _other(data: Mapping[str, Any]) -> Captured:
    """Return a block of the provider's own: what it is, and not what is in it, which nobody here understands."""
    kind = str(data.get("type", "other"))
    if kind == _COMPACTION:
        return {"type": _COMPACTION}
    return {"type": "other", "kind": kind}


def _media(part: ImagePart | FilePart | AudioPart) -> Captured:
    """Return where a medium is. Its bytes are too many for telemetry: of them only the number is told."""
    about: Captured = {"modality": "document" if isinstance(part, FilePart) else part.type}
    if part.media_type:
        about["mime_type"] = part.media_type
    if isinstance(part, FilePart) and part.name:
        about["name"] = part.name
    if isinstance(part, AudioPart) and part.transcript:
        about["transcript"] = part.transcript
    if isinstance(part, FilePart) and part.file_id:
        return {"type": "file", **about, "file_id": part.file_id}
    if part.url and not part.url.startswith("data:"):
        return {"type": "uri", **about, "uri": _without_secrets(part.url)}
    return {"type": "blob", **about, **_bytes_of(part.url, part.data)}


def _bytes_of(url: str | None, data: str | None) -> Captured:
    """Return a blob's content, which is left empty, and how many bytes it had."""
    kind: Captured = {}
    encoded = data or ""
    if url:
        header, _, encoded = url[len("data:") :].partition(",")
        if media_type := header.partition(";")[0]:
            kind = {"mime_type": media_type}
    return {**kind, "content": "", "size": len(encoded.rstrip("=")) * 3 // 4}


def _without_secrets(url: str) -> str:
    """Return an address without what may open it for others: names, passwords, signatures in its query."""
    try:
        parts = urlsplit(url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    except ValueError:
        return ""
