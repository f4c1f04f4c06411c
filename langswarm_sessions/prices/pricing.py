"""The prices that hold in one manager, and what an answer costs by them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Self, cast

from langswarm_sessions.errors import ConfigurationError
from langswarm_sessions.interfaces.provider import Completed, EngineProvider
from langswarm_sessions.messages import Part
from langswarm_sessions.prices.charge import NOTHING_KNOWN, Charge
from langswarm_sessions.prices.library import LIBRARY, is_public
from langswarm_sessions.prices.model_price import STANDARD_TIERS, ModelPrice
from langswarm_sessions.prices.rates import Rates, cost_of
from langswarm_sessions.records import UNTOLD, ModelCall, Usage, total_of

__all__ = ["PricesSetting", "Pricing"]

logger = logging.getLogger(__name__)

PriceKey = str | tuple[str, str]
PricesSetting = Mapping[Any, ModelPrice | Mapping[str, Any]] | bool | None
"""`prices=`: prices by "provider/model" that come before the library's; True: the library's alone; False: none."""

_TABLE: Final = "table"

_Known = tuple[Rates, str]


class Pricing:
    """Prices answers.

    Args:
        table: Prices by provider and model that come before the library's.
        is_on: Whether answers are priced at all.
    """

    def __init__(self, table: Mapping[tuple[str, str], ModelPrice] | None = None, *, is_on: bool = True) -> None:
        self._table = dict(table or {})
        self._is_on = is_on
        self._has_warned = False

    @classmethod
    def of(cls, value: PricesSetting, *, canonical: Callable[[str], str]) -> Self:
        """Return what `prices=` means.

        Args:
            value: What was given.
            canonical: From a provider's name to its own one.

        Raises:
            ConfigurationError: A key or a price is wrong.
        """
        if value is None or isinstance(value, bool):
            return cls(is_on=bool(value))
        if not isinstance(cast("object", value), Mapping):
            raise ConfigurationError(
                "prices must be a dict of 'provider/model' to ModelPrice, True (the library's prices) or False (none)."
            )
        table: dict[tuple[str, str], ModelPrice] = {}
        for key, price in value.items():
            provider, model = _names(key)
            place = (canonical(provider), model)
            if place in table:
                raise ConfigurationError(f"prices: {'/'.join(place)!r} is there twice. Keep one of them.")
            table[place] = ModelPrice.of(price, where=f"prices[{key!r}]")
        return cls(table)

    @property
    def is_on(self) -> bool:
        """Whether answers are priced at all."""
        return self._is_on

    def foresee(self, provider: EngineProvider) -> None:
        """Have the library loaded while a provider is asked, if it may know its prices. Whatever fails is logged once.

        Args:
            provider: Who is about to be asked.
        """
        try:
            if self._is_on and is_public(provider.endpoint()[0]):
                LIBRARY.start_loading()
        except Exception as error:  # noqa: BLE001 - degradation boundary: a turn is not asked for its price
            self._warn(error)

    async def charge(
        self, completed: Completed, *, provider: EngineProvider, settings: Mapping[str, Any], at: datetime
    ) -> Charge:
        """Return what an answer cost, as far as it is known.

        No I/O; the first time, the library's loading is awaited, though not for long. Whatever fails is logged once:
        the answer has no cost then.

        Args:
            completed: The answer.
            provider: Who gave it.
            settings: The provider_config it was asked with.
            at: When it came.
        """
        if not self._is_on:
            return NOTHING_KNOWN
        try:
            return await self._charge(completed, provider=provider, settings=settings, at=at)
        except Exception as error:  # noqa: BLE001 - degradation boundary: the answer is there, and was paid for
            self._warn(error)
            return NOTHING_KNOWN

    def _warn(self, error: Exception) -> None:
        if not self._has_warned:
            self._has_warned = True
            logger.warning("Answers cannot be priced (%s): their turns get no cost.", type(error).__name__)

    async def _charge(
        self, completed: Completed, *, provider: EngineProvider, settings: Mapping[str, Any], at: datetime
    ) -> Charge:
        terms = _terms_of(completed, settings)
        calls = completed.calls or (ModelCall(model=completed.model, usage=completed.usage, terms=terms),)
        is_only, is_whole = len(calls) == 1, True
        by_source: dict[str, Decimal] = {}
        for call in calls:
            if call.is_free:
                continue
            known: _Known | None = None
            if _is_told(call.usage, completed.parts if is_only else ()):
                price = self._price_of(call, provider, is_only=is_only)
                known = await _from_library(call, provider, at=at) if price is None else _from_table(call, price)
            cost = None if known is None else cost_of(call.usage, known[0])
            if known is None or cost is None:
                is_whole = False
            else:
                by_source[known[1]] = total_of((by_source.get(known[1], Decimal(0)), cost))
        return Charge(is_whole=is_whole, by_source=by_source)

    def _price_of(self, call: ModelCall, provider: EngineProvider, *, is_only: bool) -> ModelPrice | None:
        """Return what the user says that a model costs: under the name it answers with, else the one asked for."""
        if not self._table:
            return None
        asked_for = provider.model if is_only or call.provider is None else None
        for name in (call.provider, provider.name):
            for model in (call.model, asked_for):
                price = None if name is None or model is None else self._table.get((name, model))
                if price is not None:
                    return price
        return None


def _from_table(call: ModelCall, price: ModelPrice) -> _Known | None:
    """Return the rates of the user's own price; a tier it does not have is no matter for the library."""
    rates = price.rates(_beyond_standard(call.terms))
    has_one = () if price.service_tiers else ("terms",)  # one price, whatever the terms
    return (rates, _TABLE) if rates is not None and _is_enough(call, rates, besides=has_one) else None


async def _from_library(call: ModelCall, provider: EngineProvider, *, at: datetime) -> _Known | None:
    host = call.host or (provider.endpoint()[0] if call.provider is None else None)
    if host is None or not is_public(host):
        return None
    library = LIBRARY.at_once or await LIBRARY.loaded()
    if library is None:
        return None
    rates = library.rates(host, call.model, at=at, terms=_beyond_standard(call.terms))
    return (rates, library.source) if rates is not None and _is_enough(call, rates) else None


def _terms_of(completed: Completed, settings: Mapping[str, Any]) -> Mapping[str, str]:
    """Return what set a request apart: as its provider told, else as it was asked for."""
    asked: object = settings.get("service_tier")
    if "service_tier" in completed.terms or not isinstance(asked, str):
        return completed.terms
    return {**completed.terms, "service_tier": asked}


def _beyond_standard(terms: Mapping[str, str]) -> Mapping[str, str]:
    """Return what has a price of its own. A tier that is left to the provider ("auto") and then not told has none."""
    if not terms:
        return terms
    beyond = {name: value for name, value in terms.items() if name != UNTOLD}
    if "service_tier" in beyond:
        tier = beyond["service_tier"].lower()
        beyond["service_tier"] = tier
        if tier in STANDARD_TIERS:
            del beyond["service_tier"]
    return beyond


def _is_enough(call: ModelCall, rates: Rates, *, besides: tuple[str, ...] = ()) -> bool:
    """Whether all was told that changes the price: how many tokens there are of each kind that has one of its own."""
    untold = call.terms.get(UNTOLD)
    return untold is None or rates.are_known_without(set(untold.split(",")).difference(besides))


def _is_told(usage: Usage, parts: tuple[Part, ...]) -> bool:
    """Whether a provider counted: no request is without tokens, and no answer that says something."""
    return usage.input_tokens > 0 and (usage.output_tokens > 0 or not parts)


def _names(key: object) -> tuple[str, str]:
    if isinstance(key, str):
        provider, _, model = key.partition("/")
        pair: tuple[object, ...] = (provider, model)
    else:
        pair = cast("tuple[object, ...]", key) if isinstance(key, tuple) else ()
    names = [name.strip() for name in pair if isinstance(name, str)]
    if len(names) != 2 or len(pair) != 2 or not all(names):
        raise ConfigurationError(
            f"prices: {key!r} is no key. Write 'provider/model' or ('provider', 'model'), such as 'openai/gpt-5'."
        )
    return names[0], names[1]
