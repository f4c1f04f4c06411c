"""What one version of the library's table says, in our form. What was found once is not looked for again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal

from genai_prices.data_snapshot import DataSnapshot
from genai_prices.types import ConditionalPrice, ModelInfo, ModelPrice, Provider, StartDateConstraint, TieredPrices

from langswarm_sessions.prices.names import is_named
from langswarm_sessions.prices.places import holds_at, is_billed_by_use
from langswarm_sessions.prices.rates import Rate, Rates

__all__ = ["PriceTable"]

_NAMES = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cached_input": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
    "input_audio": "input_audio_mtok",
    "cached_audio": "cache_audio_read_mtok",
    "output_audio": "output_audio_mtok",
    "output_image": "output_image_mtok",
    "output_reasoning": "output_reasoning_mtok",
}
# What is not counted in tokens and not part of every request: an answer that used it says so in its terms.
_BESIDE_TOKENS = frozenset({"web_searches_kcount", "storage_searches_kcount", "code_executions_kcount"})
_UNDERSTOOD = frozenset({*_NAMES.values(), *_BESIDE_TOKENS})
_MOST = 10_000

_Asked = tuple[str, str, tuple[tuple[str, str], ...]]


class PriceTable:
    """The prices of one snapshot, for any thread.

    Args:
        snapshot: The library's.

    Attributes:
        snapshot: The same.
    """

    def __init__(self, snapshot: DataSnapshot) -> None:
        self.snapshot = snapshot
        self._prices: dict[_Asked, _Price | None] = {}

    def provider_at(self, host: str) -> Provider | None:
        """Return the provider whose own API is at a host; None for any other host.

        Args:
            host: Where requests go.
        """
        home = next((each for each in self.snapshot.providers if _is_home(each, host)), None)
        return home if home is not None and holds_at(home.id, host) else None

    def rates(self, host: str, model: str, *, at: datetime, terms: Mapping[str, str]) -> Rates | None:
        """Return the prices of a model; None when the table does not know them all.

        Args:
            host: Where the request went.
            model: The model, as the provider names it.
            at: When it answered: prices change.
            terms: What set the request apart from a standard one.
        """
        asked = (host, model, tuple(terms.items()) if terms else ())
        try:
            price = self._prices[asked]
        except KeyError:
            price = self._find(host, model, terms)
            if len(self._prices) >= _MOST:
                self._prices.clear()
            self._prices[asked] = price
        return None if price is None else price.at(at)

    def _find(self, host: str, model: str, terms: Mapping[str, str]) -> _Price | None:
        home = self.provider_at(host)
        if home is None or is_billed_by_use(model):
            return None
        try:
            _, info = self.snapshot.find_provider_model(model, home, None, None)
        except LookupError:
            return None
        # Of another provider's models it is not told what its terms cost here.
        is_own = not terms or any(info is each for each in home.models)
        return _Price(info, terms) if is_own and is_named(info, model) else None


class _Price:
    """The price of a model on certain terms, in time."""

    __slots__ = ("_changes_daily", "_info", "_terms", "_today")

    def __init__(self, info: ModelInfo, terms: Mapping[str, str]) -> None:
        self._info = info
        self._terms = dict(terms)
        constraints = [each.constraint for each in (*_conditions(info), *(info.price_variants or ()))]
        self._changes_daily = all(each is None or isinstance(each, StartDateConstraint) for each in constraints)
        self._today: tuple[date | None, Rates | None] = (None, None)

    def at(self, moment: datetime) -> Rates | None:
        if not self._changes_daily:
            return self._work_out(moment)
        today = (moment if moment.tzinfo is UTC else moment.astimezone(UTC)).date()
        day, rates = self._today
        if day != today:
            rates = self._work_out(moment)
            self._today = today, rates
        return rates

    def _work_out(self, moment: datetime) -> Rates | None:
        info, terms = self._info, self._terms
        conditions = _conditions(info)
        if conditions and not any(each.constraint is None or each.constraint.active(moment) for each in conditions):
            return None
        if not terms:
            return _converted(info.get_prices(moment))
        return _converted(info.get_prices(moment, terms)) if _knows(info, terms, moment) else None


def _conditions(info: ModelInfo) -> list[ConditionalPrice]:
    return [] if isinstance(info.prices, ModelPrice) else info.prices


def _is_home(provider: Provider, host: str) -> bool:
    """Whether a provider's own API is at a host: the whole host, not one that begins like it."""
    url = f"https://{host}/"
    matched = re.match(provider.api_pattern, url)
    return matched is not None and url[matched.end() :] in ("", "/")


def _knows(info: ModelInfo, terms: Mapping[str, str], at: datetime) -> bool:
    """Whether a model has prices for all that sets a request apart."""
    met: set[str] = set()
    for variant in info.price_variants or ():
        is_active = variant.constraint is None or variant.constraint.active(at)
        if is_active and variant.when.items() <= terms.items():
            met |= variant.when.keys()
    return met == set(terms)


def _converted(price: ModelPrice) -> Rates | None:
    """Return prices in our form; None where there are some that requests are billed by and that are not understood."""
    told = {name: value for name, value in vars(price).items() if value is not None}
    if not _UNDERSTOOD.issuperset(told) or "input_mtok" not in told or "output_mtok" not in told:
        return None
    rates = {ours: _rate(told[theirs]) for ours, theirs in _NAMES.items() if theirs in told}
    rates.setdefault("cache_write", rates["input"])  # the table lists a price for writing where there is one
    return Rates(**rates)


def _rate(value: object) -> Rate:
    if isinstance(value, Decimal):
        return Rate(value)
    if isinstance(value, TieredPrices):
        return Rate(value.base, tuple((tier.start, tier.price) for tier in value.tiers))
    raise TypeError(f"a price is a {type(value).__name__}")
