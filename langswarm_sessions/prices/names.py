"""Which names of models a price of the library holds for.

The library also finds models by how their names begin, or by what is in them: a new model would get the price of the
one it is named after. What is found counts only for names that its entry tells, also with a date or another well-known
ending.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from genai_prices.types import (
    ClauseAnd,
    ClauseContains,
    ClauseEndsWith,
    ClauseEquals,
    ClauseOr,
    ClauseRegex,
    ClauseStartsWith,
    MatchLogic,
    ModelInfo,
)

__all__ = ["is_named"]

_MONTH = "(?:0[1-9]|1[0-2])"
_DAY = "(?:0[1-9]|[12][0-9]|3[01])"
_DATE = f"20[0-9][0-9](?:-{_MONTH}-{_DAY}|{_MONTH}{_DAY})"
_SHORT_DATE = f"{_MONTH}{_DAY}|2[0-9]{_MONTH}|{_MONTH}-{_DAY}|{_MONTH}-20[0-9][0-9]"
# x-20250929 (Anthropic), x@20250929 (Vertex AI), x-2025-08-07, x-0613 (OpenAI), x-2411 (Mistral), x-09-2025, x-001
# (Gemini), x-latest, x-v1:0 (Bedrock).
_ENDING = re.compile(f"(.+?)(?:[-@](?:{_DATE}|latest)|-(?:{_SHORT_DATE}|00[1-9]))?(?:-v1)?(?::0)?")
_CUT_DATE = re.compile("[-@](?:20[0-9][0-9](?:-?[0-9][0-9])?|0)?-?$")  # where an entry tells the beginning of dates

_FINE_TUNED = re.compile("(ft:[^:]+):[^:]*:[^:]*:[^:]+(?::ckpt-step-[0-9]+)?")
_PLACE = re.compile(
    "(?:(?:projects/[^/]+/locations/[^/]+/)?publishers/[a-z]+/models/|models/"
    "|arn:aws[a-z-]*:bedrock:[a-z0-9-]*:[0-9]*:(?:inference-profile|foundation-model)/)?"
    "(?:(?:regional|global|us|us-gov|eu|apac|jp|au|in|ca)[.])?"
    "(?:(?:amazon|anthropic|cohere|deepseek|google|meta|minimax|mistral|moonshotai|nvidia|openai|qwen|writer|zai)[.])?"
)
_OPEN = re.compile(r"[.][*+]|\[\^|\\[wSD]")


def is_named(info: ModelInfo, name: str) -> bool:
    """Whether an entry that the library found for a name tells this very name.

    Args:
        info: What was found.
        name: The model, as the provider names it.
    """
    name = name.lower()
    said = _forms(name)
    if not said.isdisjoint(_forms(info.id.lower())):
        return True
    return any(_tells(clause, name, said) for clause in _clauses(info.match))


def _clauses(match: MatchLogic) -> Iterator[MatchLogic]:
    if isinstance(match, ClauseOr | ClauseAnd):
        for each in match.or_ if isinstance(match, ClauseOr) else match.and_:
            yield from _clauses(each)
    else:
        yield match


def _tells(clause: MatchLogic, name: str, said: frozenset[str]) -> bool:
    match clause:
        case ClauseEquals(told) | ClauseStartsWith(told) | ClauseContains(told) | ClauseEndsWith(told):
            told = told.lower()
            return not said.isdisjoint(_forms(told) | {_CUT_DATE.sub("", told)})
        case ClauseRegex(pattern):
            is_closed = pattern.startswith("^") and pattern.endswith("$") and not _OPEN.search(pattern)
            return is_closed and clause.is_match(name)
        case _:
            return False


def _forms(name: str) -> frozenset[str]:
    """Return a name without the place that it is asked at, and the same without its date."""
    own = _FINE_TUNED.fullmatch(name)
    bare = name if own is None else own[1]
    place = _PLACE.match(bare)
    bare = bare if place is None else bare[place.end() :]
    stem = _ENDING.fullmatch(bare)
    return frozenset((bare, bare if stem is None else stem[1]))
