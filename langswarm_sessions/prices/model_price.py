"""A model's prices as a user says them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal, InvalidOperation
from typing import Any, Final, cast

from langswarm_sessions.config import check_keys
from langswarm_sessions.errors import ConfigurationError
from langswarm_sessions.prices.rates import Rate, Rates

__all__ = ["STANDARD_TIERS", "Amount", "ModelPrice"]

Amount = Decimal | str | int | float

STANDARD_TIERS: Final = frozenset({"default", "on_demand", "standard", "standard_only", "unspecified"})
"""What providers call the tier of a request that asked for none."""

_DEAREST = Decimal(1_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPrice:
    """What a model costs, in US dollars for a million tokens. What is not said is not known.

    An answer with tokens of a kind that has no price here gets no figure: a model with a cache needs `cached_input`,
    one that bills writing to it `cache_write`.

    Args:
        input: What is sent.
        output: What is made, reasoning included.
        cached_input: What is read from a cache.
        cache_write: What is written to a cache.
        cache_write_1h: What is written to a cache for an hour.
        input_audio: Sound that is sent.
        cached_audio: Sound that is read from a cache.
        output_audio: Sound that is made.
        output_image: Pictures that are made.
        service_tiers: Prices of other service tiers, by the provider's names of these; above are those of the standard
            one. An answer of a tier that is not here gets no figure.

    Raises:
        ConfigurationError: A price is no finite number of 0 to 1,000,000, or a tier is none beside the standard one.

    Example:
        >>> ModelPrice(input="2.50", output=10, cached_input="1.25").output
        Decimal('10')
    """

    input: Amount
    output: Amount
    cached_input: Amount | None = None
    cache_write: Amount | None = None
    cache_write_1h: Amount | None = None
    input_audio: Amount | None = None
    cached_audio: Amount | None = None
    output_audio: Amount | None = None
    output_image: Amount | None = None
    service_tiers: Mapping[str, ModelPrice | Mapping[str, Any]] = field(default_factory=dict[str, "ModelPrice"])
    _rates: Rates = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check every price, and make decimals of them."""
        for name in _PRICES:
            given = getattr(self, name)
            if given is not None or name in _NEEDED:
                object.__setattr__(self, name, _price(given, name=name))
        object.__setattr__(self, "service_tiers", _tiers(self.service_tiers))
        found: dict[str, Decimal | None] = {name: getattr(self, name) for name in _PRICES}
        rates = {name: Rate(price) for name, price in found.items() if price is not None}
        object.__setattr__(self, "_rates", Rates(**rates))

    @classmethod
    def of(cls, value: ModelPrice | Mapping[str, Any], *, where: str) -> ModelPrice:
        """Return prices from prices or from a mapping of the fields.

        Args:
            value: Either.
            where: What they are the prices of, for errors.

        Raises:
            ConfigurationError: A key is unknown or a price is wrong.
        """
        if isinstance(value, cls):
            return value
        if not isinstance(cast("object", value), Mapping):
            raise ConfigurationError(f"{where} must be a ModelPrice or a dict of its fields, such as input and output.")
        prices: Mapping[str, Any] = cast("Any", value)
        check_keys(prices, _FIELDS, where=where)
        if missing := [name for name in _NEEDED if name not in prices]:
            raise ConfigurationError(f"{where} lacks {' and '.join(missing)}: US dollars for a million tokens.")
        try:
            return cls(**prices)
        except ConfigurationError as error:
            raise ConfigurationError(f"{where}: {error}") from None

    def rates(self, terms: Mapping[str, str]) -> Rates | None:
        """Return the prices that hold for a request; None when they are not known.

        Args:
            terms: What sets it apart from a standard request.
        """
        if not terms:
            return self._rates
        tier = terms.get("service_tier")
        if tier is None or len(terms) > 1:
            return None
        tiers = cast("Mapping[str, ModelPrice]", self.service_tiers).items()
        return next((other.rates({}) for name, other in tiers if name.lower() == tier), None)


_PRICES = tuple(known.name for known in fields(ModelPrice) if known.name not in ("service_tiers", "_rates"))
_NEEDED = ("input", "output")
_FIELDS = (*_PRICES, "service_tiers")


def _price(value: object, *, name: str) -> Decimal:
    price: Decimal | None = None
    if isinstance(value, Decimal | str | int | float) and not isinstance(value, bool):
        try:
            price = Decimal(float.__repr__(value) if isinstance(value, float) else value)
        except InvalidOperation:
            price = None
    if price is None or not price.is_finite() or not 0 <= price <= _DEAREST:
        raise ConfigurationError(
            f"{name} must be a price in US dollars for a million tokens: a Decimal, a text or a number, of 0 to "
            f"{_DEAREST:,}."
        )
    return price


def _tiers(value: object) -> dict[str, ModelPrice]:
    if not isinstance(value, Mapping):
        raise ConfigurationError("service_tiers must be a dict of a provider's names of its tiers to ModelPrice.")
    tiers = cast("Mapping[object, ModelPrice]", value)
    if not all(isinstance(name, str) and name for name in tiers):
        raise ConfigurationError("service_tiers must be a dict whose keys are names of tiers, such as 'flex'.")
    checked: dict[str, ModelPrice] = {}
    taken: set[str] = set()
    for name, price in tiers.items():
        where, tier = f"service_tiers[{name!r}]", str(name)
        if tier.lower() in STANDARD_TIERS:
            raise ConfigurationError(f"{where} is the standard tier: its prices are input and output themselves.")
        if tier.lower() in taken:
            raise ConfigurationError(f"{where} is there twice: tiers are told apart by more than capitals. Keep one.")
        checked[tier] = found = ModelPrice.of(price, where=where)
        if found.service_tiers:
            raise ConfigurationError(f"{where} has service_tiers of its own: put them beside it.")
        taken.add(tier.lower())
    return checked
