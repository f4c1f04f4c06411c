"""Strategies: how a turn gets the conversation to the model."""

from __future__ import annotations

from langswarm_sessions.strategies.crossing import Crossing, CrossingNote, carried, crossing_of
from langswarm_sessions.strategies.explanation import PlannedMessage, TurnExplanation, explained
from langswarm_sessions.strategies.plan import Mode, TurnPlan, TurnStrategy
from langswarm_sessions.strategies.planners import ClientStrategy, DelegatedStrategy, NativeStrategy, choose_strategy
from langswarm_sessions.strategies.summing import planned, summary_message

__all__ = [
    "ClientStrategy",
    "Crossing",
    "CrossingNote",
    "DelegatedStrategy",
    "Mode",
    "NativeStrategy",
    "PlannedMessage",
    "TurnExplanation",
    "TurnPlan",
    "TurnStrategy",
    "carried",
    "choose_strategy",
    "crossing_of",
    "explained",
    "planned",
    "summary_message",
]
