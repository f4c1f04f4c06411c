"""What every turn of one manager works with."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Protocol

from langswarm_sessions.config import RetryPolicy
from langswarm_sessions.events import EventBus
from langswarm_sessions.hooks import HookRunner
from langswarm_sessions.interfaces.hooks import SessionMiddleware
from langswarm_sessions.interfaces.provider import EngineProvider
from langswarm_sessions.interfaces.storage import EngineStorage
from langswarm_sessions.middleware import GLOBAL_MIDDLEWARE, MiddlewareChain
from langswarm_sessions.prices import Pricing
from langswarm_sessions.records import SessionContext, SessionRecord
from langswarm_sessions.turns.summaries import Summaries
from langswarm_sessions.window import ModelWindows
from langswarm_sessions_otel import OutsideStorageScope, Telemetry

__all__ = ["TurnServices", "TurnSubject", "context_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnServices:
    """The parts of a manager that turns need.

    Args:
        storage: Where sessions live.
        telemetry: Spans and metrics.
        hooks: Told after the fact.
        events: Told to subscribers.
        middleware: The manager's own, outermost first.
        retry: How provider failures are retried.
        summaries: Writes summaries of what falls out of windows.
        turn_wait: Seconds to wait for another turn of the session.
        lease_seconds: How long a lease lives without a beat.
        idle_seconds: How long a stream waits for its reader.
        fallback: Returns who answers when a session's own provider cannot (None: nobody).
        windows: What is known of models' windows.
        pricing: What answers cost.
    """

    storage: EngineStorage
    telemetry: Telemetry
    hooks: HookRunner
    events: EventBus
    middleware: list[SessionMiddleware]
    retry: RetryPolicy
    summaries: Summaries
    turn_wait: float = 30.0
    lease_seconds: float = 15.0
    idle_seconds: float = 60.0
    fallback: Callable[[SessionRecord], EngineProvider] | None = None
    windows: ModelWindows = field(default_factory=ModelWindows)
    pricing: Pricing = field(default_factory=Pricing)

    def chain(self, record: SessionRecord, turn_state: dict[object, Any]) -> MiddlewareChain:
        """Return the middleware of one turn, with the scratch space that lives as long as the turn."""
        return MiddlewareChain((*GLOBAL_MIDDLEWARE, *self.middleware), context_of(record, turn_state))

    def storage_span(self, operation: str, session_id: str | None = None) -> OutsideStorageScope:
        """Open the span of a storage operation beside turns; it is recorded as a metric alone where nothing is traced.

        Args:
            operation: ``create``, ``load``, ``append``, ``replace``, ``delete`` or ``optimize``.
            session_id: The session, None for several.
        """
        storage = self.storage
        return self.telemetry.storage(
            operation, backend=storage.backend, db_system=storage.db_system, session_id=session_id
        )

    @property
    def has_middleware(self) -> bool:
        """Whether any middleware would see a message."""
        return bool(GLOBAL_MIDDLEWARE or self.middleware)


class TurnSubject(Protocol):
    """The session a turn belongs to."""

    @property
    def record(self) -> SessionRecord:
        """The session's row as last seen."""
        ...

    @property
    def engine_provider(self) -> EngineProvider:
        """The provider session that answers."""
        ...

    def adopt(self, record: SessionRecord) -> None:
        """Take a newer row."""
        ...


def context_of(record: SessionRecord, turn_state: dict[object, Any] | None = None) -> SessionContext:
    """Return what users and middleware see of a session; beside turns it has a scratch space of its own."""
    return SessionContext(
        session_id=record.session_id,
        user_id=record.user_id,
        provider=record.provider,
        model=record.model,
        user_context=deepcopy(dict(record.context)),
        turn_state={} if turn_state is None else turn_state,
    )
