"""OpenAI's rules for Responses and for Chat Completions."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from tests.support.openai_server import body_rules, chat_rules, context

from .media import media_rule
from .table import Body, Rule, refused, rule

__all__ = ["CHAT_RULES", "RESPONSES_RULES"]

_NAME = re.compile(r"[a-zA-Z0-9_-]+", re.ASCII)
_LONGEST_CALL_ID, _LONGEST_CHAT_ID = 64, 40
_LONGEST_NAME, _LONGEST_CHAT_NAME = 128, 64
_QUOTED = "refusal of the live API, quoted in issues of its users"
_LONGEST_TEXT = 10_485_760
_MEDIA = media_rule(source="OpenAI's guides to images and to file inputs")

Item = dict[str, Any]


def _of_type(body: Body, kind: str) -> list[Item]:
    return [item for item in body["input"] if item.get("type") == kind]


@rule("Limits of numbers and of metadata; model and input are there.", source="docstrings of ResponseCreateParams")
def fields_within_limits(body: Body) -> str | None:
    return refused(lambda: body_rules.check_body(body))


@rule(
    "Every call has an output, every output comes after its call; reasoning stands before the item it led to.",
    source=f"facts §1, 'Errors that matter'; {_QUOTED}",
)
def items_fit_together(body: Body) -> str | None:
    return refused(lambda: context.check_sequence(body["input"], needed_reasoning=lambda _: None))


@rule(
    f"A call_id has 1 to {_LONGEST_CALL_ID} characters.",
    source=f"\"Invalid 'input[n].call_id': string too long\", {_QUOTED}",
)
def call_ids_are_short(body: Body) -> str | None:
    ids = [item["call_id"] for item in body["input"] if "call_id" in item]
    return next((repr(one) for one in ids if not 0 < len(one) <= _LONGEST_CALL_ID), None)


@rule("A call_id has one call and one output.", source=f'"Duplicate function_call_output for call_id", {_QUOTED}')
def call_ids_are_unique(body: Body) -> str | None:
    for kind in ("function_call", "function_call_output"):
        counts = Counter(item["call_id"] for item in _of_type(body, kind))
        if twice := [one for one, count in counts.items() if count > 1]:
            return f"{kind}: {twice[0]!r}"
    return None


@rule(
    f"The name of a function has 1 to {_LONGEST_NAME} letters, digits, underscores and dashes.",
    source=f"\"Invalid 'input[n].name': string does not match pattern '^[a-zA-Z0-9_-]+$'\", {_QUOTED}",
)
def names_are_plain(body: Body) -> str | None:
    return _bad_name((item["name"] for item in _of_type(body, "function_call")), longest=_LONGEST_NAME)


@rule("A message says something.", source="`content` of EasyInputMessageParam: text, image or audio input to the model")
def messages_are_not_empty(body: Body) -> str | None:
    empty = [at for at, item in enumerate(body["input"]) if item.get("role") and not item.get("content")]
    return f"input[{empty[0]}]" if empty else None


@rule(
    "An answer that is told again holds output_text and refusals only.",
    source=f"\"Invalid value: 'input_text'. Supported values are: 'output_text' and 'refusal'\", {_QUOTED}",
)
def answers_hold_output(body: Body) -> str | None:
    return refused(lambda: context.check_new_items(body["input"], is_kept=_is_known, is_sealed=_is_known))


def _is_known(_: str) -> bool:
    """Which ids and sealed texts the provider issued, only its server knows."""
    return True


@rule("A text has at most 10,485,760 characters.", source=f'"string_above_max_length", {_QUOTED}')
def texts_are_not_endless(body: Body) -> str | None:
    long = [item for item in body["input"] if len(str(item.get("content"))) > _LONGEST_TEXT]
    return "a message" if long else None


RESPONSES_RULES: tuple[Rule, ...] = (
    fields_within_limits,
    items_fit_together,
    call_ids_are_short,
    call_ids_are_unique,
    names_are_plain,
    messages_are_not_empty,
    answers_hold_output,
    texts_are_not_endless,
    _MEDIA,
)


# Chat Completions


def _chat_calls(body: Body) -> list[Item]:
    return [call for message in body["messages"] for call in message.get("tool_calls") or ()]


@rule(
    "Tool messages follow the message that made their calls, one for each call; nobody else speaks between; numbers, "
    "metadata and stops are within their limits.",
    source=f"docstrings of CompletionCreateParams; {_QUOTED}",
)
def messages_fit_together(body: Body) -> str | None:
    return refused(lambda: chat_rules.check_chat_body(body))


@rule(
    f"The id of a call has 1 to {_LONGEST_CHAT_ID} characters.",
    source=f"\"Invalid 'messages[n].tool_calls[0].id': string too long ... maximum length 40\", {_QUOTED}",
)
def chat_ids_are_short(body: Body) -> str | None:
    return next((repr(call["id"]) for call in _chat_calls(body) if not 0 < len(call["id"]) <= _LONGEST_CHAT_ID), None)


@rule(
    "No two calls have one id.",
    source=f"\"Duplicate value for 'tool_call_id' ... in messages[n] and messages[m]\", {_QUOTED}",
)
def chat_ids_are_unique(body: Body) -> str | None:
    counts = Counter(call["id"] for call in _chat_calls(body))
    return next((repr(one) for one, count in counts.items() if count > 1), None)


@rule(
    f"The name of a function has 1 to {_LONGEST_CHAT_NAME} letters, digits, underscores and dashes.",
    source="docstring of FunctionDefinition.name",
)
def chat_names_are_plain(body: Body) -> str | None:
    return _bad_name((call["function"]["name"] for call in _chat_calls(body)), longest=_LONGEST_CHAT_NAME)


@rule(
    "A message says something, but for a tool's.", source="`content` of the message params: required; answers: or calls"
)
def chat_messages_are_not_empty(body: Body) -> str | None:
    for at, message in enumerate(body["messages"]):
        if message["role"] != "tool" and not (message.get("content") or message.get("tool_calls")):
            return f"messages[{at}]"
    return None


CHAT_RULES: tuple[Rule, ...] = (
    messages_fit_together,
    chat_ids_are_short,
    chat_ids_are_unique,
    chat_names_are_plain,
    chat_messages_are_not_empty,
    _MEDIA,
)


def _bad_name(names: Any, *, longest: int) -> str | None:
    return next((repr(name) for name in names if not (_NAME.fullmatch(name) and len(name) <= longest)), None)
