"""Where the cells of one column are played: a counterparty, and managers over memory that ask it."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Self

from langswarm_sessions import RetryPolicy, Session, SessionManager
from tests.faults.parties import Party
from tests.faults.ways import Way
from tests.support.recorded import Recorded

__all__ = ["Scene", "Stage"]

_RETRY = RetryPolicy(max_attempts=3, initial_delay=0, jitter=0, deadline=30)


@dataclass(frozen=True, slots=True)
class Scene:
    """A session with one turn behind it.

    Args:
        way: Who answers.
        party: The counterparty.
        session: The session.
    """

    way: Way
    party: Party
    session: Session


class Stage:
    """A counterparty and the managers that ask it; afterwards not a connection is left.

    Args:
        way: Who answers.
    """

    def __init__(self, way: Way) -> None:
        self.way = way
        self.party: Party = way.make(way)
        self.recorded = Recorded()
        self._managers: dict[float | None, SessionManager] = {}

    async def __aenter__(self) -> Self:
        """Let the counterparty begin."""
        self.party.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close what was opened, and look for what is left."""
        try:
            for manager in self._managers.values():
                await manager.close()
            if error is None:
                self.party.check()
        finally:
            self.party.stop()

    def manager(self, *, timeout: float | None) -> SessionManager:
        """Return the manager whose client waits so many seconds for a byte; None: as long as it likes."""
        if timeout not in self._managers:
            self._managers[timeout] = SessionManager(
                "memory",
                providers={self.way.provider: self.party.credential(timeout)},
                retry=_RETRY,
                telemetry=self.recorded.telemetry(),
            )
        return self._managers[timeout]

    async def session(self, manager: SessionManager) -> Session:
        """Create a session."""
        way = self.way
        return await manager.create_session("user", way.provider, way.model, provider_config=way.config)
