"""What waits to be sent in batches: spans and events."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import monotonic, sleep
from typing import ClassVar, Final, Generic, TypeVar

from langswarm_sessions_otel.process.forks import fork_safe_rlock
from langswarm_sessions_otel.process.outlet import Bounded, Outlet
from langswarm_sessions_otel.process.running import RUNNING_TURNS
from langswarm_sessions_otel.sdk.delivery import Delivery

__all__ = ["BatchLimits", "Batches", "BatchingProcessor", "positive_number"]

_logger = logging.getLogger("langswarm_sessions.telemetry")
_MOST_WAITING: Final = 2048
_MOST_OF_A_BATCH: Final = 512
_ASIDE_SECONDS: Final = 0.0001  # a sleep of nothing gives the lock back before another thread has woken up
_LONGEST_ASIDE_SECONDS: Final = 0.5
_TURN_SECONDS: Final = 0.001  # a turn but for the model's part in it
_LONGEST_FOR_TURNS_SECONDS: Final = 0.25

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLimits:
    """How much waits for how long.

    Attributes:
        variables: How the variables begin that say so, such as ``OTEL_BSP``.
        waiting: The most that waits to be sent; beyond it the oldest are given up.
        batch: The most that is sent at once.
        delay_seconds: How long a batch waits to become full, in seconds.
    """

    variables: str
    waiting: int
    batch: int
    delay_seconds: float

    @classmethod
    def read(cls, variables: str, *, delay_millis: float) -> BatchLimits:
        """Read the variables of OpenTelemetry.

        Args:
            variables: ``OTEL_BSP`` for spans, ``OTEL_BLRP`` for events.
            delay_millis: The delay where no variable says another, in milliseconds.
        """
        waiting = int(positive_number(f"{variables}_MAX_QUEUE_SIZE", _MOST_WAITING))
        batch = int(positive_number(f"{variables}_MAX_EXPORT_BATCH_SIZE", _MOST_OF_A_BATCH))
        delay = positive_number(f"{variables}_SCHEDULE_DELAY", delay_millis)
        return cls(variables=variables, waiting=waiting, batch=min(batch, waiting), delay_seconds=delay / 1000)


def positive_number(variable: str, default: float) -> float:
    """Read a number from the environment; one that is wrong is told of and left out.

    Args:
        variable: Its name.
        default: What it is without.
    """
    text = os.environ.get(variable, "").strip()
    try:
        number = float(text or default)
    except ValueError:
        number = 0.0
    if 1 <= number < float("inf"):
        return number
    _logger.warning("%s must be a number, at least 1: it is taken for %s.", variable, default)
    return default


def _as_it_is(item: object) -> object:
    return item


class _Batch(Generic[Item]):
    """What is sent at once; exporters of OTLP go through it. Each item is made what they take when it is its turn.

    It may stand aside after each of its items, for a moment and while turns run: to encode a full batch takes tens of
    milliseconds, in which a turn would wait for the interpreter's lock time and again, up to five milliseconds each
    time (`sys.getswitchinterval`). A busy thread makes the batch wait as long for each of its items, and turns may
    never cease: then it must not go on until the queue is full.

    Args:
        items: What it holds.
        made: Makes of an item what exporters take.
        may_wait: Whether there is time, and room for what comes meanwhile.
        turns_first: Whether nobody waits for it: then turns that run come first.
    """

    def __init__(
        self,
        items: Sequence[Item],
        made: Callable[[Item], object],
        *,
        may_wait: Callable[[], bool],
        turns_first: bool,
    ) -> None:
        self._items = items
        self._made = made
        self._may_wait = may_wait
        self._seconds_for_turns = _LONGEST_FOR_TURNS_SECONDS if turns_first else 0.0
        self._began = monotonic()

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[object]:
        for item in self._items:
            self.let_turns_go()
            yield self._made(item)
            if self._may_wait() and monotonic() - self._began < _LONGEST_ASIDE_SECONDS:
                sleep(_ASIDE_SECONDS)

    def let_turns_go(self) -> None:
        """Wait until no turn runs; not for long, in all."""
        while RUNNING_TURNS and self._may_wait() and monotonic() - self._began < self._seconds_for_turns:
            sleep(_TURN_SECONDS)


class Batches(Generic[Item]):
    """Holds what is recorded until it is sent. Where there is too much, the oldest is given up, and that is told.

    Args:
        delivery: Sends it.
        limits: How much waits for how long.
        timeout_seconds: The longest that a flush or the end is waited for, in seconds.
        made: Makes of what is held what exporters take, once it is sent.
    """

    def __init__(
        self,
        delivery: Delivery,
        limits: BatchLimits,
        *,
        timeout_seconds: float,
        made: Callable[[Item], object] = _as_it_is,
    ) -> None:
        self._delivery = delivery
        self._made = made
        self._limits = limits
        self._lock = fork_safe_rlock()
        self._forget_all()
        self.outlet = Outlet(self, every_seconds=limits.delay_seconds, timeout_seconds=timeout_seconds)

    def _forget_all(self) -> None:
        self._waiting: deque[Item] = deque()
        self._taken = 0
        self._dropped = 0
        self._lost_before = 0
        self._is_hurried = False

    def start_over(self) -> None:
        """Begin with nothing held, in a process just forked: what waited is sent by the parent."""
        self._forget_all()
        self._delivery.start_over()

    @property
    def lost(self) -> int:
        """How many were given up so far, and once it is closed all that did not arrive."""
        if self.outlet.closed:
            return self._taken - self._delivery.sent
        return self._dropped + self._delivery.lost

    def add(self, item: Item) -> None:
        """Have something sent with the next batch.

        Args:
            item: What to send.
        """
        if self.outlet.closed:
            return
        with self._lock:
            is_too_much = len(self._waiting) >= self._limits.waiting
            if is_too_much:
                self._waiting.popleft()
                self._dropped += 1
            self._waiting.append(item)
            self._taken += 1
            is_batch = len(self._waiting) >= self._limits.batch and not self._is_hurried
            self._is_hurried |= is_batch
        if is_batch:
            self.outlet.hurry(self._send_full_batches)
        if is_too_much:
            self._delivery.note_dropped(self._limits.waiting, variable=f"{self._limits.variables}_MAX_QUEUE_SIZE")

    def send(self) -> bool:
        """Send all, as somebody waits for it; False when something was given up since the time before."""
        self._export(len(self._waiting))
        lost = self._dropped + self._delivery.lost
        before, self._lost_before = self._lost_before, lost
        return lost == before

    def send_regularly(self) -> None:
        """Send what has waited."""
        self._export(len(self._waiting), turns_first=True)

    def stop(self, timeout_seconds: float) -> bool:
        """Send all and close; what is left after so many seconds is given up."""
        self._export(len(self._waiting), until=monotonic() + timeout_seconds)
        with self._lock:
            self._dropped += len(self._waiting)
            self._waiting.clear()
        is_well = self.send()
        self._delivery.close()
        return is_well

    def _send_full_batches(self) -> None:
        self._is_hurried = False
        waiting = len(self._waiting)
        self._export(waiting - waiting % self._limits.batch, turns_first=True)

    def _export(self, count: int, *, turns_first: bool = False, until: float | None = None) -> None:
        """Send the oldest; no more than there were, so that it ends however fast more come."""
        while count > 0 and (until is None or monotonic() < until):
            with self._lock:
                size = min(count, self._limits.batch, len(self._waiting))
                batch = [self._waiting.popleft() for _ in range(size)]
            if batch:
                sent = _Batch(batch, self._made, may_wait=self._may_wait, turns_first=turns_first)
                sent.let_turns_go()  # before the exporter's own time runs
                self._delivery.send(sent, count=size)
            count -= max(size, 1)

    def _may_wait(self) -> bool:  # the end has little time, also for a batch that is on its way
        return not self.outlet.closed and len(self._waiting) < self._limits.waiting / 2


class BatchingProcessor(Bounded, Generic[Item]):
    """Base of processors that export in batches. Neither a flush nor the end waits for an exporter that hangs.

    Args:
        delivery: Where it goes.
        shutdown_timeout: Seconds that `shutdown` and `force_flush` may take.
        made: Makes of what is held what exporters take.
    """

    _variables: ClassVar[str]
    _delay_millis: ClassVar[float]

    def __init__(
        self, delivery: Delivery, *, shutdown_timeout: float, made: Callable[[Item], object] = _as_it_is
    ) -> None:
        limits = BatchLimits.read(self._variables, delay_millis=self._delay_millis)
        self._batches: Batches[Item] = Batches(delivery, limits, timeout_seconds=shutdown_timeout, made=made)
        self.outlet = self._batches.outlet
