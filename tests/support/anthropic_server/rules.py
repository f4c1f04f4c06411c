"""What the API demands of a request beyond its types, as a table: each rule, where it is written, and its check.

Sources: "SDK" is a docstring of the SDK's types; "docs" is platform.claude.com/docs/en/...; "error" is a refusal of the
live API as its users quote it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import cast

from tests.support.provider_server.json_types import JsonObject, objects, string

from .api_errors import ApiError
from .context import blocks_of

_ID = re.compile(r"[a-zA-Z0-9_-]+", re.ASCII)
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}", re.ASCII)
_MOST_MESSAGES = 100_000  # SDK: MessageCreateParams.messages
_LIMITS = {"temperature": (0, 1), "top_p": (0, 1), "top_k": (0, 500)}  # docs: api/messages
_THINKING = frozenset({"redacted_thinking", "thinking"})

_UNSUPPORTED = frozenset(  # docs: build-with-claude/structured-outputs, JSON Schema limitations
    {"exclusiveMaximum", "exclusiveMinimum", "maximum", "maxLength", "maxItems", "minimum", "minLength", "multipleOf"}
)

Messages = Sequence[JsonObject]


def check_request(body: JsonObject) -> None:
    """Refuse a request whose fields are typed well and still illegal.

    Raises:
        ApiError: 400, naming the field.
    """
    for name, (lowest, highest) in _LIMITS.items():
        value = body.get(name)
        if isinstance(value, int | float) and not lowest <= value <= highest:
            raise ApiError(400, f"{name}: range: {lowest}..{highest}")
    thread = body.get("thread")
    if isinstance(thread, dict) and string(thread, "type") == "continue":
        for name in ("system", "tools"):  # docs: build-with-claude/message-threads
            if name in body:
                raise ApiError(400, f"{name}: not permitted on a request that continues a thread")
    system = body.get("system")
    if isinstance(system, str) and not system.strip():
        raise ApiError(400, "system: text content blocks must contain non-whitespace text")
    for tool in objects(body.get("tools")):
        if "input_schema" in tool and not _NAME.fullmatch(string(tool, "name")):
            raise ApiError(400, "tools.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'")
    output = body.get("output_config")
    if isinstance(output, dict) and isinstance(form := output.get("format"), dict):
        _check_schema(form.get("schema"))


def _check_schema(schema: object) -> None:
    """Error: `For 'object' type, 'additionalProperties' must be explicitly set to false`; docs: structured-outputs."""
    if isinstance(schema, list):
        for part in cast("list[object]", schema):
            _check_schema(part)
    if not isinstance(schema, dict):
        return
    node = cast("JsonObject", schema)
    if node.get("type") == "object" and node.get("additionalProperties") is not False:
        reason = "For 'object' type, 'additionalProperties' must be explicitly set to false"
        raise ApiError(400, f"output_config.format.schema: {reason}")
    kind = node.get("type")
    if isinstance(kind, str) and (found := sorted(_UNSUPPORTED & node.keys())):
        reason = f"For '{kind}' type, property '{found[0]}' is not supported"
        raise ApiError(400, f"output_config.format.schema: {reason}")
    for part in node.values():
        _check_schema(part)


def check_conversation(messages: Messages) -> None:
    """Refuse a whole conversation (kept messages included, one speaker's merged) that breaks a rule.

    Raises:
        ApiError: 400, naming the rule.
    """
    for check in _CHECKS:
        check(messages)


def _first_is_the_users(messages: Messages) -> None:
    """Error: `messages: first message must use the "user" role`; docs: mid-conversation-system-messages."""
    if not messages or string(messages[0], "role") != "user":
        raise ApiError(400, 'messages: first message must use the "user" role')
    if len(messages) > _MOST_MESSAGES:
        raise ApiError(400, "messages: at most 100,000 messages")


def _last_is_no_answer(messages: Messages) -> None:
    """SDK: models without prefill refuse a last message of the assistant; docs: one that paused is gone on with."""
    kinds = [string(block, "type") for block in blocks_of(messages[-1])]
    if string(messages[-1], "role") == "assistant" and "server_tool_use" not in kinds:
        raise ApiError(400, "This model does not support assistant message prefill.")


def _system_stands_right(messages: Messages) -> None:
    """Docs: build-with-claude/mid-conversation-system-messages#limitations."""
    for position, message in enumerate(messages):
        if string(message, "role") != "system":
            continue
        follows = string(messages[position + 1], "role") if position + 1 < len(messages) else "assistant"
        if string(messages[position - 1], "role") != "user" or follows != "assistant":
            raise ApiError(400, f"messages.{position}: a system message must follow a user message and end the turn")


def _text_is_not_blank(messages: Messages) -> None:
    """Error: `messages: text content blocks must be non-empty` (and `must contain non-whitespace text`)."""
    for position, message in enumerate(messages):
        blocks = blocks_of(message)
        if not blocks or any(string(one, "type") == "text" and not string(one, "text").strip() for one in blocks):
            raise ApiError(400, f"messages.{position}: text content blocks must contain non-whitespace text")


def _calls_are_answered_at_once(messages: Messages) -> None:
    """Error: `tool_use` ids were found without `tool_result` blocks immediately after."""
    for position, message in enumerate(messages):
        calls = _ids(message, "tool_use", "id")
        results = _ids(messages[position + 1], "tool_result", "tool_use_id") if position + 1 < len(messages) else []
        if missing := [call for call in calls if call not in results]:
            raise ApiError(
                400,
                f"messages.{position}: `tool_use` ids were found without `tool_result` blocks immediately after: "
                f"{', '.join(missing)}.",
            )


def _results_have_their_call_and_come_first(messages: Messages) -> None:
    """Error: unexpected `tool_use_id` found in `tool_result` blocks; docs: handle-tool-calls (results come first)."""
    for position, message in enumerate(messages):
        results = _ids(message, "tool_result", "tool_use_id")
        before = _ids(messages[position - 1], "tool_use", "id") if position else []
        if [one for one in results if one not in before] or len(set(results)) != len(results):
            raise ApiError(400, f"messages.{position}: unexpected `tool_use_id` found in `tool_result` blocks")
        kinds = [string(block, "type") for block in blocks_of(message)]
        if kinds[: len(results)] != ["tool_result"] * len(results):
            raise ApiError(400, f"messages.{position}: tool_result blocks must come before other content")


def _ids_are_legal_and_unique(messages: Messages) -> None:
    """Error: tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'; `tool_use` ids must be unique."""
    made = [call for message in messages for call in _ids(message, "tool_use", "id")]
    if not all(map(_ID.fullmatch, made)):
        raise ApiError(400, "messages: tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'")
    if len(set(made)) != len(made):
        raise ApiError(400, "messages: `tool_use` ids must be unique")
    names = [string(one, "name") for message in messages for one in blocks_of(message) if string(one, "id")]
    if not all(map(_NAME.fullmatch, names)):
        raise ApiError(400, "messages: tool_use.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'")


def _thinking_leads_to_something(messages: Messages) -> None:
    """Error: the final block in an assistant message cannot be `thinking`."""
    for position, message in enumerate(messages):
        kinds = [string(block, "type") for block in blocks_of(message)]
        if kinds and kinds[-1] in _THINKING:
            raise ApiError(400, f"messages.{position}: The final block in an assistant message cannot be `thinking`.")
        if string(message, "role") != "assistant" and _THINKING & set(kinds):
            raise ApiError(400, f"messages.{position}: `thinking` blocks are only permitted in `assistant` messages")


def _ids(message: JsonObject, kind: str, name: str) -> list[str]:
    return [string(block, name) for block in blocks_of(message) if string(block, "type") == kind]


_CHECKS: tuple[Callable[[Messages], None], ...] = (
    _first_is_the_users,
    _last_is_no_answer,
    _system_stands_right,
    _text_is_not_blank,
    _calls_are_answered_at_once,
    _results_have_their_call_and_come_first,
    _ids_are_legal_and_unique,
    _thinking_leads_to_something,
)
