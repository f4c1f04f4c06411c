"""What adapters tell of how a request is billed, beside its tokens."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import cast

from langswarm_sessions.records import UNTOLD

__all__ = ["TOOLS", "anthropic_terms", "terms_of", "tools_counted"]

TOOLS = "provider_tools"
"""The term that names tools which ran at the provider: it may bill them by use."""

_BY_USE = re.compile("search|source|tool|citation|execution", re.IGNORECASE)
_ANYWHERE = frozenset({"global", "not_available"})
"""What `inference_geo` says of a request that was not to be kept in a country."""
_FREE_TOOLS = frozenset({"tool_search_tool_bm25", "tool_search_tool_regex", "web_fetch", "web_fetch_requests"})
"""Tools of Anthropic's that are billed by nothing but their tokens."""


def terms_of(told: Mapping[str, object], *, tools: Iterable[str] = (), untold: Iterable[str] = ()) -> dict[str, str]:
    """Return what sets a request apart from a standard one; what is no text was not told.

    Args:
        told: What the provider says of it, such as its service tier.
        tools: Names of the tools that ran at the provider.
        untold: What it would not tell if it were so, as `UNTOLD` names it.

    Example:
        >>> terms_of({"service_tier": "flex", "speed": None}, tools=["web_search_call"])
        {'service_tier': 'flex', 'provider_tools': 'web_search_call'}
    """
    terms = {name: value for name, value in told.items() if isinstance(value, str) and value}
    for name, found in ((TOOLS, tools), (UNTOLD, untold)):
        if named := ",".join(sorted(set(found))):
            terms[name] = named
    return terms


def anthropic_terms(usage: Mapping[str, object], blocks: Iterable[Mapping[str, object]] = ()) -> dict[str, str]:
    """Return the terms of an answer of Anthropic's Messages API.

    Args:
        usage: As the API wrote it, what several events of a stream told of it put together.
        blocks: The answer's content blocks.
    """
    told = {name: usage.get(name) for name in ("service_tier", "speed", "inference_geo")}
    if told["speed"] == "standard":
        del told["speed"]
    if told["inference_geo"] in _ANYWHERE:
        del told["inference_geo"]
    ran = {str(block.get("name")) for block in blocks if block.get("type") == "server_tool_use"} - _FREE_TOOLS
    counted = _mapping(usage.get("server_tool_use"))
    ran |= {name for name, count in counted.items() if count and name not in _FREE_TOOLS}
    return terms_of(told, tools=ran, untold=() if _is_all_told(usage) else ["all"])


def _is_all_told(usage: Mapping[str, object]) -> bool:
    """Whether it is told how long what was written to a cache is kept there, and nothing is counted elsewhere alone."""
    written = usage.get("cache_creation_input_tokens") or 0
    split = _mapping(usage.get("cache_creation")).values()
    iterations = usage.get("iterations")
    steps = cast("list[object]", iterations) if isinstance(iterations, list) else []
    is_split = written == sum(count for count in split if isinstance(count, int))
    return is_split and all(_mapping(step).get("type") == "message" for step in steps)


def _mapping(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value) if isinstance(value, Mapping) else {}


def tools_counted(usage: Mapping[str, object]) -> Iterator[str]:
    """Yield the counters of a usage that say that something was done beside reading and writing tokens.

    Args:
        usage: As the provider wrote it; servers have their own names for searches, sources and tools.

    Example:
        >>> list(tools_counted({"prompt_tokens": 9, "num_sources_used": 2, "tool_use": {"web_search_requests": 0}}))
        ['num_sources_used']
    """
    for name, value in usage.items():
        if _BY_USE.search(name) and _is_some(value):
            yield name


def _is_some(value: object) -> bool:
    if isinstance(value, Mapping):
        return any(_is_some(inner) for inner in cast("Mapping[object, object]", value).values())
    if isinstance(value, list | tuple):
        return any(_is_some(inner) for inner in cast("Iterable[object]", value))
    return isinstance(value, int | float) and value > 0
