"""From tokens and prices to dollars. Pure, exact, and nothing is ever filled in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from langswarm_sessions.records import EXACT, Usage

__all__ = ["Rate", "Rates", "cost_of"]

_MILLION = Decimal(1_000_000)
_SMALLEST = Decimal("1e-12")
_DEAREST = Decimal(10_000)  # no answer costs as much: its tokens were not counted, or not in tokens


@dataclass(frozen=True, slots=True)
class Rate:
    """A price in US dollars for a million tokens, perhaps another one for long requests.

    Args:
        base: For every request that is no longer than the first step.
        steps: From more than so many tokens of the request on, another price for all tokens; ascending.
    """

    base: Decimal
    steps: tuple[tuple[int, Decimal], ...] = ()

    def of(self, input_tokens: int) -> Decimal:
        """Return the price that holds for a request of so many tokens."""
        price = self.base
        for start, dearer in self.steps:
            if input_tokens > start:
                price = dearer
        return price


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """The prices of one model. None: it is not known, and so is no request that has such tokens.

    Args:
        input: What is sent, as text or pictures, and in no cache.
        output: What is made, reasoning included.
        cached_input: What is read from a cache.
        cache_write: What is written to a cache for minutes.
        cache_write_1h: What is written to a cache for an hour.
        input_audio: Sound that is sent.
        cached_audio: Sound that is read from a cache.
        output_audio: Sound that is made.
        output_image: Pictures that are made.
        output_reasoning: Reasoning, where it has a price of its own (None: that of the output).
    """

    input: Rate
    output: Rate
    cached_input: Rate | None = None
    cache_write: Rate | None = None
    cache_write_1h: Rate | None = None
    input_audio: Rate | None = None
    cached_audio: Rate | None = None
    output_audio: Rate | None = None
    output_image: Rate | None = None
    output_reasoning: Rate | None = None

    def are_known_without(self, untold: Iterable[str]) -> bool:
        """Whether tokens that were not told apart have no price of their own.

        Args:
            untold: Their kinds: "audio", "cached", "hour" (written to a cache for an hour), "image", or "all".
        """
        dear = {
            "audio": (self.input_audio, self.cached_audio, self.output_audio),
            "cached": (self.cached_input,),
            "hour": (self.cache_write_1h,),
            "image": (self.output_image,),
            "all": (self.output,),
        }
        return not any(rate is not None for kind in untold for rate in dear.get(kind, dear["all"]))


def cost_of(usage: Usage, rates: Rates) -> Decimal | None:
    """Return what a request cost in US dollars; None when the prices or the tokens do not tell.

    The sum is exact; what a price makes of less than a millionth of a millionth of a dollar is rounded, half to even.

    Args:
        usage: Its tokens.
        rates: The model's prices.

    Example:
        >>> rates = Rates(input=Rate(Decimal("2.5")), output=Rate(Decimal(10)))
        >>> cost_of(Usage(input_tokens=1_000, output_tokens=200), rates)
        Decimal('0.0045')
    """
    if usage.reasoning_tokens > usage.output_tokens:  # counted beside it: nobody knows what is billed
        return None
    total = Decimal(0)
    for count, rate in _parts(usage, rates):
        if count == 0:
            continue
        if count < 0 or rate is None:
            return None
        total = EXACT.fma(Decimal(count), rate.of(usage.input_tokens), total)
    cost = EXACT.divide(total, _MILLION)
    if cost > _DEAREST:
        return None
    rounded = EXACT.quantize(cost, _SMALLEST)
    return cost if rounded == cost else rounded


def _parts(usage: Usage, rates: Rates) -> tuple[tuple[int, Rate | None], ...]:
    """Return the tokens that have one price, with it; together they are all tokens."""
    sound = usage.input_audio_tokens
    cached_sound = usage.cached_audio_tokens
    thought = usage.reasoning_tokens if rates.output_reasoning is not None else 0
    written = usage.output_tokens - usage.output_audio_tokens - usage.output_image_tokens - thought
    plain = usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens - sound + cached_sound
    return (
        (plain, rates.input),
        (usage.cached_tokens - cached_sound, rates.cached_input),
        (usage.cache_write_tokens - usage.cache_write_1h_tokens, rates.cache_write),
        (usage.cache_write_1h_tokens, rates.cache_write_1h),
        (sound - cached_sound, rates.input_audio),
        (cached_sound, rates.cached_audio),
        (written, rates.output),
        (thought, rates.output_reasoning),
        (usage.output_audio_tokens, rates.output_audio),
        (usage.output_image_tokens, rates.output_image),
    )
