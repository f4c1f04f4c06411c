"""Answers Mistral gave, as entries that can be sent again. Pure functions.

An answer's payload is kept as entries whichever way it was asked for, so that either way can replay it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from langswarm_sessions.messages import SessionMessage, ToolCall
from langswarm_sessions.providers.tools import parse_arguments

__all__ = ["arguments_of", "chunks_of", "payload_of", "replayed_entries", "text_of_entry"]

_REPLAYED_CHUNKS = frozenset({"text", "thinking"})


def payload_of(entries: Sequence[Mapping[str, Any]], *, model: str) -> dict[str, Any]:
    """Return what is stored with an answer for a lossless replay.

    Args:
        entries: The answer.
        model: The model that was asked for.
    """
    return {"provider": "mistral", "model": model, "items": [dict(entry) for entry in entries]}


def replayed_entries(message: SessionMessage, *, model: str) -> list[dict[str, Any]]:
    """Return the provider's own entries of an answer, fit to be sent again; empty when they cannot be.

    Ids and times are left out, for they are another conversation's; of the content text and thinking go, with the
    thinking's signature. Nothing is replayed when the message says something else by now (a middleware edited it).

    Args:
        message: An answer.
        model: The model the request is for: another's thinking is refused.
    """
    payload = message.provider_payload or {}
    if payload.get("provider") != "mistral" or payload.get("model") != model:
        return []
    stored: list[dict[str, Any]] = payload.get("items") or []
    if not _says_the_same(stored, message):
        return []
    return [replayed for entry in stored if (replayed := _replayed(entry)) is not None]


def text_of_entry(entry: Mapping[str, Any]) -> str:
    """Return the text an entry says to the user."""
    return "".join(str(chunk.get("text") or "") for chunk in chunks_of(entry) if chunk.get("type") == "text")


def chunks_of(entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the content of an entry as chunks; plain text is one."""
    content: object = entry.get("content")
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return cast("list[dict[str, Any]]", content) if isinstance(content, list) else []


def arguments_of(entry: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the arguments of a call, kept as an object or as its text; None when they are no JSON object."""
    given: object = entry.get("arguments")
    return cast("dict[str, Any]", given) if isinstance(given, dict) else parse_arguments(str(given or ""))


def _says_the_same(entries: Sequence[Mapping[str, Any]], message: SessionMessage) -> bool:
    text = "".join(text_of_entry(entry) for entry in entries if entry.get("type") == "message.output")
    made = [entry for entry in entries if entry.get("type") == "function.call"]
    told = message.tool_calls
    return text == message.content and len(made) == len(told) and all(map(_is_same_call, made, told))


def _is_same_call(entry: Mapping[str, Any], call: ToolCall) -> bool:
    if (entry.get("tool_call_id"), entry.get("name")) != (call.id, call.name):
        return False
    if call.raw_arguments is not None:
        return entry.get("arguments") == call.raw_arguments
    return arguments_of(entry) == call.arguments


def _replayed(entry: Mapping[str, Any]) -> dict[str, Any] | None:
    if entry.get("type") == "function.call":
        return {name: entry[name] for name in ("type", "tool_call_id", "name", "arguments")}
    if entry.get("type") != "message.output":
        return None
    chunks = [chunk for chunk in chunks_of(entry) if chunk.get("type") in _REPLAYED_CHUNKS]
    if not chunks:
        return None
    only_text = all(chunk.get("type") == "text" for chunk in chunks)
    content: object = text_of_entry(entry) if only_text else chunks
    return {"type": "message.output", "role": "assistant", "content": content}
