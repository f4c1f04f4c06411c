"""The lease a send holds, from turn to turn."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial

from langswarm_sessions.errors import SessionError
from langswarm_sessions.interfaces.storage import EngineStorage
from langswarm_sessions.records import Lease
from langswarm_sessions.turns.line.keeper import LeaseKeeper
from langswarm_sessions.turns.waiting import to_the_end

__all__ = ["HeldLease"]


class HeldLease:
    """Keeps the lease in force alive and tells when it was lost.

    Args:
        storage: Where leases are.
        keeper: Beats them.
    """

    def __init__(self, storage: EngineStorage, keeper: LeaseKeeper) -> None:
        self._storage = storage
        self._keeper = keeper
        self._is_watched = False
        self._is_kept = False
        self.current: Lease | None = None

    def take(
        self,
        lease: Lease,
        lost: Callable[[], None],
        *,
        is_left: Callable[[], bool] | None = None,
        is_kept: bool = False,
    ) -> None:
        """Hold a lease, in place of the one before.

        Args:
            lease: The lease.
            lost: Called on the turn's loop when somebody took it over. Like `is_left` it is the keeper's alone to
                hold: a turn that holds what leads back to it would be left to the garbage collector.
            is_left: Whether the turn is over, and its loop does not run to say so; asked in the keeper's thread.
            is_kept: Whether its turn has ended.
        """
        self._stop()
        self.current, self._is_watched, self._is_kept = lease, True, is_kept
        self._keeper.hold(lease, partial(self._tell, lease, lost), is_left=is_left)

    def leave_to_storage(self) -> None:
        """Say nothing of a loss any more: from here on it is the storage that knows."""
        self._is_watched = False

    def keep(self) -> None:
        """Go on holding the lease of a turn that has ended."""
        self._is_watched = self._is_kept = True

    async def let_go(self) -> None:
        """Hold it no longer. That of a turn that has ended is given back; any other goes with its turn."""
        lease, is_kept = self.current, self._is_kept
        self._stop()
        if lease is not None and is_kept:
            with suppress(SessionError):  # it expires
                await to_the_end(self._storage.release_lease(lease))

    def _stop(self) -> None:
        if self.current is not None:
            self._keeper.release(self.current)
        self.current, self._is_watched, self._is_kept = None, False, False

    def _tell(self, lease: Lease, lost: Callable[[], None]) -> None:
        if self._is_watched and lease == self.current:
            lost()
