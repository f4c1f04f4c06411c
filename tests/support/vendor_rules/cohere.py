"""Cohere's rules for the v2 Chat API."""

from __future__ import annotations

import re
from collections import Counter

from tests.support.cohere_server.rules import find_broken_rule

from .media import media_rule
from .table import Body, Rule, rule

__all__ = ["CHAT_RULES"]

_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_-]*", re.ASCII)


@rule(
    "Limits of numbers; every call is answered by the messages that follow, nothing else is; no text beside calls; no "
    "message is empty; thinking only where it is enabled.",
    source="docstrings of chat_stream; Cohere's page of errors; its refusals as quoted in issues of the Vercel AI SDK",
)
def messages_fit_together(body: Body) -> str | None:
    return find_broken_rule(body, sees=True, window=None)


@rule(
    "Ids of calls are not empty and not given twice.",
    source="`tool_call_id` names one call: docstring of ToolMessageV2",
)
def ids_are_unique(body: Body) -> str | None:
    ids = Counter(call["id"] for message in body["messages"] for call in message.get("tool_calls") or ())
    return next((repr(one) for one, count in ids.items() if count > 1 or not one), None)


@rule(
    "The name of a function holds letters, digits, underscores (and dashes), and no digit first.",
    source="docstring of Tool.name",
)
def names_are_plain(body: Body) -> str | None:
    names = [call["function"]["name"] for message in body["messages"] for call in message.get("tool_calls") or ()]
    return next((repr(name) for name in names if not _NAME.fullmatch(name)), None)


CHAT_RULES: tuple[Rule, ...] = (
    messages_fit_together,
    ids_are_unique,
    names_are_plain,
    media_rule(source="Cohere's guide to image inputs"),
)
