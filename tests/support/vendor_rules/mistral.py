"""Mistral's rules for conversations and for chat completions."""

from __future__ import annotations

from typing import Any

from tests.support.mistral_server import rules as served

from .media import media_rule
from .table import Body, Rule, refused, rule

__all__ = ["CHAT_RULES", "CONVERSATION_RULES"]

_MEDIA = media_rule(source="Mistral's guides to vision and to document AI")
_PUBLISHED = "the validator Mistral publishes (mistral-common, instruct, version 13, serving mode)"
_PAIRS = (
    "Roles follow in the order the models know; calls and results pair, in one round, once; ids of calls are nine "
    "letters or digits; names of functions have 1 to 64 letters, digits, _ and -; no answer is empty; the user or a "
    "tool is last."
)


@rule(_PAIRS, source=f"{_PUBLISHED}; codes 3230 and 3280 of the API")
def messages_fit_together(body: Body) -> str | None:
    return refused(lambda: served.check_messages(body["messages"]))


@rule("System messages stand in front.", source=f"{_PUBLISHED}: the templates of the models render them nowhere else")
def system_comes_first(body: Body) -> str | None:
    roles = [message["role"] for message in body["messages"]]
    spoken = [at for at, role in enumerate(roles) if role != "system"]
    return None if "system" not in roles[spoken[0] if spoken else 0 :] or not spoken else "messages"


@rule(_PAIRS, source=f"{_PUBLISHED}; that conversations obey the same is a guess")
def entries_fit_together(body: Body) -> str | None:
    return refused(lambda: served.check_entries([], body["inputs"]))


@rule("An entry says something.", source="`content` of MessageInputEntry: required")
def entries_are_not_empty(body: Body) -> str | None:
    entries: list[dict[str, Any]] = body["inputs"]
    empty = [at for at, one in enumerate(entries) if one["type"].startswith("message.") and not one.get("content")]
    return f"inputs[{empty[0]}]" if empty else None


CHAT_RULES: tuple[Rule, ...] = (messages_fit_together, system_comes_first, _MEDIA)
CONVERSATION_RULES: tuple[Rule, ...] = (entries_fit_together, entries_are_not_empty, _MEDIA)
