"""What an answer cost, as it is kept with the answer."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from langswarm_sessions.messages import SessionMessage

__all__ = ["COST_KEY", "plain_amount", "told_cost"]

COST_KEY = "cost_usd"
"""Where the `provider_metadata` of an answer has what it cost, in US dollars, as decimal text."""


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
