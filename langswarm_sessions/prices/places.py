"""What the library's prices leave out: dearer places and routes, own machines, and models that are billed by use."""

from __future__ import annotations

import re

__all__ = ["holds_at", "is_billed_by_use"]

_HOLDS_AT = {
    "aws": re.compile(r"bedrock-runtime\.us-(?:east-1|west-2)\.amazonaws\.com"),
    "azure": None,  # a regional deployment is dearer than a global one, and reserved capacity is billed by the hour
    "google": re.compile(r"(?:generativelanguage|aiplatform)\.googleapis\.com"),  # Vertex AI's global address
    "minimax": re.compile(r"api\.minimax\.io"),  # in China it bills yuan, by prices of their own
    "modal": None,  # machines of one's own, billed by the second, are at the same addresses
    "openrouter": None,  # any of several providers answers, at a price of its own; the table has the cheapest one
    "zhipuai": None,  # bills yuan; the table has dollars of some day, of the shortest requests
}
"""Where the prices of providers hold that have several places or kinds of capacity; those of others hold anywhere."""

_SEARCHES = re.compile(r"(?:^|[-/:_])(?:deep-?research|online|search|sonar)(?:$|[-/:_.])")


def holds_at(provider: str, host: str) -> bool:
    """Whether a provider's prices hold for requests to one of its hosts.

    Args:
        provider: The library's name of it.
        host: Where requests go.

    Example:
        >>> holds_at("google", "aiplatform.googleapis.com"), holds_at("google", "us-east5-aiplatform.googleapis.com")
        (True, False)
    """
    if provider not in _HOLDS_AT:
        return True
    places = _HOLDS_AT[provider]
    return places is not None and places.fullmatch(host) is not None


def is_billed_by_use(model: str) -> bool:
    """Whether a model searches by itself: each request or search has a fee, which the library lists for few of them.

    Args:
        model: The model, as its provider names it.

    Example:
        >>> [is_billed_by_use(model) for model in ("gpt-4o-search-preview", "perplexity/sonar-pro", "gpt-4o")]
        [True, True, False]
    """
    return _SEARCHES.search(model.lower()) is not None
