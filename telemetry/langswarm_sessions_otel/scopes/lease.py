"""How long a turn waits for its session. A turn that does not wait tells nothing."""

from __future__ import annotations

from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

if TYPE_CHECKING:
    from langswarm_sessions_otel.scopes.turn_events import TurnEvents

LeaseHolder = Literal["this_manager", "another_manager"]


class LeaseWait:
    """Measures how long a turn waits for its session, made by `TurnScope.lease_wait`."""

    __slots__ = ("_asked", "_held_by", "_since", "_turn")

    def __init__(self, turn: TurnEvents, held_by: LeaseHolder) -> None:
        self._turn = turn
        self._held_by: LeaseHolder = held_by
        self._since = 0.0
        self._asked: float | None = None

    def asks(self) -> None:
        """Tell that the storage is asked now: if the answer is yes, the wait ended here."""
        self._asked = perf_counter()

    def __enter__(self) -> Self:
        self._since = perf_counter()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        ended = perf_counter() if error is not None or self._asked is None else self._asked
        self._turn.lease_waited(seconds=ended - self._since, held_by=self._held_by, error=error)
