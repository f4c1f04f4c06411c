"""The one shape of a vendor's rule: what it says, where it is written, and how a request is held against it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from openai import BadRequestError

from tests.support.provider_server.refusals import Refusal

__all__ = ["Body", "Rule", "broken_rules", "refused", "rule", "table_of"]

_REFUSALS = (Refusal, BadRequestError)
"""How servers, and the chat model of the tests, refuse a request."""

Body = dict[str, Any]
"""A request's body; what the provider holds of the conversation already stands in it, before what is new."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What an API demands of a request and its types cannot say.

    Args:
        name: The rule's name.
        says: What it says.
        source: Where that is known from.
        broken: Returns what of a body breaks it; None when nothing does.
    """

    name: str
    says: str
    source: str
    broken: Callable[[Body], str | None]


def rule(says: str, *, source: str) -> Callable[[Callable[[Body], str | None]], Rule]:
    """Make a rule of a function that returns what of a body breaks it.

    Args:
        says: What the rule says.
        source: Where that is known from.
    """

    def made(broken: Callable[[Body], str | None]) -> Rule:
        return Rule(name=broken.__name__.replace("_", " "), says=says, source=source, broken=broken)

    return made


def refused(check: Callable[[], None]) -> str | None:
    """Return what a check of one of the servers refuses; None when it lets a body pass."""
    try:
        check()
    except _REFUSALS as refusal:
        return str(getattr(refusal, "message", None) or refusal)
    return None


def broken_rules(rules: Iterable[Rule], body: Body) -> list[str]:
    """Return the rules a body breaks, and by what."""
    found = ((one, one.broken(body)) for one in rules)
    return [f"{one.name}: {what}" for one, what in found if what is not None]


def table_of(rules: Sequence[Rule]) -> str:
    """Return rules as a Markdown table."""
    rows = [f"| {one.name} | {one.says} | {one.source} |" for one in rules]
    return "\n".join(["| rule | what it says | known from |", "|---|---|---|", *rows])
