"""Strategies: how a turn gets the conversation to the model."""

from __future__ import annotations

from langswarm_sessions.strategies.plan import Mode, TurnPlan, TurnStrategy
from langswarm_sessions.strategies.planners import ClientStrategy, DelegatedStrategy, NativeStrategy, choose_strategy

__all__ = [
    "ClientStrategy",
    "DelegatedStrategy",
    "Mode",
    "NativeStrategy",
    "TurnPlan",
    "TurnStrategy",
    "choose_strategy",
]
