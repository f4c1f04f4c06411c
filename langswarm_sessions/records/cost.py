"""What an answer cost, as it is kept with the answer, and how amounts are added up."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Context, Decimal, DivisionByZero, InvalidOperation, Overflow
from functools import reduce

from langswarm_sessions.messages import SessionMessage

__all__ = ["COST_KEY", "EXACT", "plain_amount", "told_cost", "total_of"]

COST_KEY = "cost_usd"
"""Where the `provider_metadata` of an answer has what it cost, in US dollars, as decimal text."""

EXACT = Context(
    prec=80,
    rounding=ROUND_HALF_EVEN,
    Emin=-999_999,
    Emax=999_999,
    clamp=0,
    traps=[InvalidOperation, DivisionByZero, Overflow],
)
"""Money is reckoned with in this context: the program around may round to few digits, or refuse to."""


def total_of(amounts: Iterable[Decimal]) -> Decimal:
    """Return the sum of amounts; exact, whatever the caller's decimal context.

    Example:
        >>> total_of([Decimal("0.1"), Decimal("1E-12")])
        Decimal('0.100000000001')
    """
    return reduce(EXACT.add, amounts, Decimal(0))


def plain_amount(amount: Decimal) -> str:
    """Return an amount as text, without an exponent and without needless zeros.

    Example:
        >>> plain_amount(Decimal("1.20E-7"))
        '0.00000012'
    """
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def told_cost(message: SessionMessage) -> Decimal | None:
    """Return what a stored answer says that it cost, in US dollars; None when it says nothing.

    Args:
        message: An answer.
    """
    told: object = message.provider_metadata.get(COST_KEY)
    if not isinstance(told, str):
        return None
    try:
        amount = Decimal(told)
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and amount >= 0 else None
