"""What every operation of a saver works with."""

from __future__ import annotations

from dataclasses import dataclass

from langswarm_sessions.errors import ConfigurationError
from langswarm_sessions.interfaces.checkpoints import CheckpointStore
from langswarm_sessions.interfaces.storage import EngineStorage
from langswarm_sessions.manager import SessionManager
from langswarm_sessions_langchain.checkpoints.known import KnownValues, RunningPuts
from langswarm_sessions_langchain.checkpoints.serializing import Codec
from langswarm_sessions_otel import OutsideStorageScope, Telemetry

__all__ = ["Backend"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """The storage of a manager, and what encodes for it.

    Args:
        storage: The manager's storage.
        store: Its checkpoints.
        telemetry: Spans and metrics.
        codec: Encodes values.
        known: Versions of lists that need not be stored again.
        runs: Runs that are storing checkpoints, or were refused.
    """

    storage: EngineStorage
    store: CheckpointStore
    telemetry: Telemetry
    codec: Codec
    known: KnownValues
    runs: RunningPuts

    @classmethod
    def of(cls, manager: SessionManager, *, codec: Codec, known: KnownValues, runs: RunningPuts) -> Backend:
        """Return what a saver on this manager works with.

        Raises:
            ConfigurationError: The manager's storage keeps no checkpoints.
        """
        services = manager._services  # pyright: ignore[reportPrivateUsage]
        store = services.storage.checkpoints
        if store is None:
            raise ConfigurationError(
                f"The storage {services.storage.backend!r} keeps no checkpoints. Use storage='sqlite' or 'memory'."
            )
        return cls(
            storage=services.storage,
            store=store,
            telemetry=services.telemetry,
            codec=codec,
            known=known,
            runs=runs,
        )

    def span(self, operation: str) -> OutsideStorageScope:
        """Open the span of an operation."""
        return self.telemetry.storage(operation, backend=self.storage.backend, db_system=self.storage.db_system)
