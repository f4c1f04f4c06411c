"""What Chat Completions demand of a body beyond its types."""

from __future__ import annotations

from collections.abc import Sequence

from tests.support.provider_server.json_types import JsonObject, objects, string

from .api_errors import ApiError
from .body_rules import check_function, check_metadata, check_numbers

_MOST_STOPS = 4


def check_chat_body(body: JsonObject) -> None:
    """Refuse a body that is well typed and still no legal request.

    Raises:
        ApiError: 400, naming the field.
    """
    check_numbers(body)
    check_metadata(body)
    if body.get("metadata") and body.get("store") is not True:
        raise ApiError(400, "The 'metadata' parameter is only allowed when 'store' is enabled.", param="metadata")
    if body.get("max_tokens") is not None and body.get("max_completion_tokens") is not None:
        raise ApiError(400, "Give 'max_tokens' or 'max_completion_tokens', not both.", param="max_tokens")
    stop = body.get("stop")
    if isinstance(stop, list) and len(stop) > _MOST_STOPS:
        raise ApiError(400, f"Invalid 'stop': at most {_MOST_STOPS}.", code="array_above_max_length", param="stop")
    if not body.get("tools"):
        for name in ("tool_choice", "parallel_tool_calls"):
            if name in body:
                raise ApiError(400, f"'{name}' is only allowed when 'tools' are specified.", param=name)
    for index, tool in enumerate(objects(body.get("tools"))):
        function = tool.get("function")
        if isinstance(function, dict):
            check_function(function, index)
    _check_messages(objects(body.get("messages")))


def _check_messages(messages: Sequence[JsonObject]) -> None:
    if not messages:
        raise ApiError(400, "Invalid 'messages': empty array.", code="empty_array", param="messages")
    waiting: list[str] = []
    for index, message in enumerate(messages):
        role = string(message, "role")
        param = f"messages.[{index}].role"
        if role == "tool":
            if string(message, "tool_call_id") not in waiting:
                text = "messages with role 'tool' must be a response to a preceeding message with 'tool_calls'."
                raise ApiError(400, f"Invalid parameter: {text}", param=param)
            waiting.remove(string(message, "tool_call_id"))
            continue
        _refuse_waiting(waiting, param)
        if role == "assistant":
            calls = objects(message.get("tool_calls"))
            waiting = [string(call, "id") for call in calls]
            if not (message.get("content") or calls or message.get("refusal")):
                text = f"Invalid value for 'content' of messages[{index}]: expected a string, got null."
                raise ApiError(400, text, param=f"messages.[{index}].content")
    _refuse_waiting(waiting, f"messages.[{len(messages) - 1}].role")


def _refuse_waiting(waiting: Sequence[str], param: str) -> None:
    if waiting:
        text = (
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            f"'tool_call_id'. The following tool_call_ids did not have response messages: {', '.join(waiting)}"
        )
        raise ApiError(400, text, param=param)
