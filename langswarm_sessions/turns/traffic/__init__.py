"""What stands between a turn and its provider: limits a minute, and a circuit that opens after failures."""

from __future__ import annotations

from langswarm_sessions.turns.traffic.door import Door
from langswarm_sessions.turns.traffic.ticket import Ticket

__all__ = ["Door", "Ticket"]
