"""Anthropic's rules for Messages and message threads."""

from __future__ import annotations

from collections.abc import Callable

from tests.support.anthropic_server import rules as served
from tests.support.anthropic_server.context import merged

from .media import media_rule
from .table import Body, Rule, refused, rule

__all__ = ["MESSAGES_RULES"]

_ERROR = "refusal of the live API, quoted in issues of its users"


@rule(
    "Limits of numbers, names of tools, closed schemas of answers, and what a thread holds is not sent again.",
    source="platform docs, Messages and structured outputs",
)
def fields_within_limits(body: Body) -> str | None:
    return refused(lambda: served.check_request(body))


def _of_messages(says: str, source: str, check: Callable[..., None]) -> Rule:
    def broken(body: Body) -> str | None:
        return refused(lambda: check(merged(body["messages"])))

    name = check.__name__.strip("_").replace("_", " ")
    return Rule(name=name, says=says, source=source, broken=broken)


_SAYS: tuple[tuple[str, str], ...] = (
    ("The first message is the user's; there are at most 100,000.", f"{_ERROR}; docstring of MessageCreateParams"),
    ("The last message is not the assistant's, unless a tool of the server's pauses it.", "docstring of `messages`"),
    (
        "A system message follows the user's and is followed by an answer or the end.",
        "platform docs, mid-conversation system messages",
    ),
    ("No text is blank, no message empty.", f'"text content blocks must contain non-whitespace text", {_ERROR}'),
    (
        "All calls of an answer have their results in the next message.",
        f'"tool_use ids were found without tool_result blocks immediately after", {_ERROR}',
    ),
    (
        "A result follows its call, once, and before all other content.",
        f'"unexpected tool_use_id found in tool_result blocks", {_ERROR}; platform docs, handle tool calls',
    ),
    (
        "Ids and names of calls hold letters, digits, underscores and dashes; ids are unique; names have 1 to 128.",
        f'"String should match pattern \'^[a-zA-Z0-9_-]+$\'", "tool_use ids must be unique", {_ERROR}',
    ),
    ("Thinking stands in answers, and never last.", f'"The final block cannot be thinking", {_ERROR}'),
)

MESSAGES_RULES: tuple[Rule, ...] = (
    fields_within_limits,
    media_rule(source="`media_type` of Base64ImageSourceParam; URLImageSourceParam"),
    *(
        _of_messages(says, source, check)
        for (says, source), check in zip(_SAYS, served._CHECKS, strict=True)  # pyright: ignore[reportPrivateUsage]
    ),
)
