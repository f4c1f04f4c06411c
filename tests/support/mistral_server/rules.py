"""What the models demand of a conversation beyond its types.

The rules are those of the validator Mistral publishes (mistral-common, `protocol/instruct/validator.py`, version 13,
serving mode), which chat completions answer with code 3230 and 3280; that conversations obey the same ones is a guess.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from pydantic import JsonValue

from tests.support.provider_server.json_types import JsonObject, objects, string

from .refusals import ApiError, wrong_call, wrong_order

_CALL_ID = re.compile(r"[a-zA-Z0-9]{9}")
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_MAY_FOLLOW = {
    "system": {"user", "assistant", "system"},
    "user": {"assistant", "system", "user"},
    "assistant": {"assistant", "user", "tool"},
    "tool": {"assistant", "tool"},
}
_CHUNKS = {
    "chat": {"text", "image_url", "document_url", "reference", "file", "thinking", "input_audio"},
    "conversation": {"text", "image_url", "document_url", "thinking", "tool_file", "tool_reference"},
}


def check_messages(messages: Sequence[JsonObject]) -> None:
    """Refuse chat messages the models do not take.

    Raises:
        ApiError: 400.
    """
    if not messages:
        raise wrong_order("Conversation must have at least one message")
    _check_order(messages)
    for message in messages:
        check_chunks(message.get("content"), api="chat")
        _check_assistant(message)
    _check_pairs(messages)


def _check_order(messages: Sequence[JsonObject]) -> None:
    roles = [string(message, "role") for message in messages]
    for role, follower in pairwise(roles):
        if follower not in _MAY_FOLLOW[role]:
            raise wrong_order(f"Unexpected role '{follower}' after role '{role}'")
    allowed = {"user", "tool"} if len(roles) > 1 else {"user", "system"}
    if roles[-1] not in allowed:
        raise wrong_order(f"Expected last role User or Tool for serving but got {roles[-1]}")


def _check_assistant(message: JsonObject) -> None:
    calls = objects(message.get("tool_calls"))
    if string(message, "role") == "assistant" and not message.get("content") and not calls:
        raise ApiError(400, "Assistant message must have either content or tool_calls, but not none.")
    for call in calls:
        function = call.get("function")
        _check_call(string(call, "id"), string(function if isinstance(function, dict) else {}, "name"))


def _check_call(call_id: str, name: str) -> None:
    if not _CALL_ID.fullmatch(call_id):
        raise wrong_call(f"Tool call id was {call_id} but must be a-z, A-Z, 0-9, with a length of 9.")
    if not _NAME.fullmatch(name):
        raise wrong_call(f"Function name was {name} but must be a-z, A-Z, 0-9, or contain underscores and dashes.")


def _check_pairs(messages: Sequence[JsonObject]) -> None:
    made: set[str] = set()
    answered: set[str] = set()
    for message in messages:
        call_id = string(message, "tool_call_id")
        if string(message, "role") == "tool":
            if call_id in answered:
                raise wrong_order(f"Duplicate tool call id {call_id} in tool results")
            if call_id not in made:
                raise wrong_order(f"Unexpected tool call id {call_id} in tool results")
            answered.add(call_id)
        elif string(message, "role") == "assistant":
            _check_answered(made, answered)
            ids = [string(call, "id") for call in objects(message.get("tool_calls"))]
            if len(set(ids)) != len(ids):
                raise wrong_order("Duplicate tool call id in assistant message")
            made, answered = set(ids), set()
    _check_answered(made, answered)


def _check_answered(made: set[str], answered: set[str]) -> None:
    if made != answered:
        raise wrong_order("Not the same number of function calls and responses")


def check_chunks(content: JsonValue, *, api: str) -> None:
    """Refuse content chunks an API has not.

    Raises:
        ApiError: 422.
    """
    if not isinstance(content, list):
        return
    if not content:
        raise ApiError(422, "content must not be empty")
    for chunk in objects(content):
        if string(chunk, "type") not in _CHUNKS[api]:
            raise ApiError(422, f"no chunk of type {string(chunk, 'type')!r} here", kind="union_tag_invalid")


def check_entries(held: Sequence[JsonObject], new: Sequence[JsonObject]) -> None:
    """Refuse entries that cannot follow what a conversation holds.

    Args:
        held: Its entries.
        new: The entries to append.

    Raises:
        ApiError: 400 or 422.
    """
    if not new:
        raise ApiError(422, "inputs must not be empty")
    waiting = [string(entry, "tool_call_id") for entry in _open_calls(held)]
    if waiting and string(new[0], "type") != "function.result":
        message = f"Cannot append other inputs while function results are still missing. Provide {waiting} first."
        raise ApiError(400, message, code="3001")
    for entry in new:
        check_chunks(entry.get("content"), api="conversation")
    check_messages(as_messages([*held, *new]))


def _open_calls(entries: Sequence[JsonObject]) -> list[JsonObject]:
    results = {string(entry, "tool_call_id") for entry in entries if string(entry, "type") == "function.result"}
    calls = [entry for entry in entries if string(entry, "type") == "function.call"]
    return [call for call in calls if string(call, "tool_call_id") not in results]


def as_messages(entries: Sequence[JsonObject]) -> list[JsonObject]:
    """Return entries as the chat messages the model is given."""
    messages: list[JsonObject] = []
    for entry in entries:
        match string(entry, "type"):
            case "message.input":
                messages.append({"role": string(entry, "role"), "content": entry.get("content")})
            case "function.result":
                call_id = entry.get("tool_call_id")
                messages.append({"role": "tool", "content": entry.get("result"), "tool_call_id": call_id})
            case "message.output":
                messages.append({"role": "assistant", "content": entry.get("content")})
            case "function.call":
                function: JsonObject = {"name": entry.get("name"), "arguments": entry.get("arguments")}
                call: JsonObject = {"id": entry.get("tool_call_id"), "function": function}
                calls = messages[-1].setdefault("tool_calls", []) if _is_assistant(messages) else None
                if isinstance(calls, list):
                    calls.append(call)
                else:
                    messages.append({"role": "assistant", "tool_calls": [call]})
            case _:
                pass
    return messages


def _is_assistant(messages: Sequence[JsonObject]) -> bool:
    return bool(messages) and string(messages[-1], "role") == "assistant"
