"""What an answer cost, as far as it is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

__all__ = ["NOTHING_KNOWN", "Charge"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """What an answer cost.

    Args:
        is_whole: Whether the prices of all its requests are known.
        by_source: What is known, in US dollars, by where the prices come from: "table", or the library and its version.
    """

    is_whole: bool
    by_source: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal])


NOTHING_KNOWN = Charge(is_whole=False)
