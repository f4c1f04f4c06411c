"""What turns cost: prices from a user's table, else from a library of them, and what they make of counted tokens."""

from __future__ import annotations

from langswarm_sessions.prices.charge import Charge
from langswarm_sessions.prices.model_price import ModelPrice
from langswarm_sessions.prices.pricing import PricesSetting, Pricing

__all__ = ["Charge", "ModelPrice", "PricesSetting", "Pricing"]
