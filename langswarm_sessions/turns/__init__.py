"""Turns: the engine that takes an input to a stored answer, once."""

from __future__ import annotations

from langswarm_sessions.turns.engine import TurnEngine
from langswarm_sessions.turns.foresight import Foreseen, foreseen
from langswarm_sessions.turns.input import TurnInput
from langswarm_sessions.turns.provider.fallback import fallback_strategy
from langswarm_sessions.turns.readers.running import RunningTurn, TurnChunk
from langswarm_sessions.turns.readers.stream import MessageStream, TurnOutcome, TurnStream
from langswarm_sessions.turns.send.foreign import HeldTurn
from langswarm_sessions.turns.services import TurnServices, TurnSubject, context_of
from langswarm_sessions.turns.summaries import Summaries

__all__ = [
    "Foreseen",
    "HeldTurn",
    "MessageStream",
    "RunningTurn",
    "Summaries",
    "TurnChunk",
    "TurnEngine",
    "TurnInput",
    "TurnOutcome",
    "TurnServices",
    "TurnStream",
    "TurnSubject",
    "context_of",
    "fallback_strategy",
    "foreseen",
]
