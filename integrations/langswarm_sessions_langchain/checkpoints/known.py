"""What a saver remembers of the lists it stored or read last, so that it stores only what is new."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Generator
from contextlib import contextmanager

from langswarm_sessions.forks import fork_safe_lock
from langswarm_sessions.records.checkpoints import CheckpointAddress
from langswarm_sessions_langchain.checkpoints.values import KnownValue

__all__ = ["KnownValues", "RunningPuts"]

_MOST_VALUES = 512
_MOST_REFUSED = 1024


class KnownValues:
    """The newest known versions of channels, the longest unused forgotten first. Usable from several threads."""

    def __init__(self) -> None:
        self._lock = fork_safe_lock()
        self._values: OrderedDict[tuple[CheckpointAddress, str], KnownValue] = OrderedDict()

    def get(self, address: CheckpointAddress, channel: str) -> KnownValue | None:
        """Return what is known of a channel."""
        with self._lock:
            return self._values.get((address, channel))

    def put(self, address: CheckpointAddress, channel: str, value: KnownValue | None) -> None:
        """Remember a channel's newest version; None forgets it."""
        with self._lock:
            self._values.pop((address, channel), None)
            if value is not None:
                self._values[address, channel] = value
                while len(self._values) > _MOST_VALUES:
                    self._values.popitem(last=False)


class RunningPuts:
    """Which runs are storing a checkpoint that may be refused, and which were: what else those store is refused too."""

    def __init__(self) -> None:
        self._lock = fork_safe_lock()
        self._refused: OrderedDict[tuple[CheckpointAddress, str | int], object] = OrderedDict()
        self._open: dict[tuple[CheckpointAddress, str | int], asyncio.Future[None]] = {}

    @contextmanager
    def open(self, address: CheckpointAddress, run: object | None) -> Generator[Callable[[], None]]:
        """Note that a run stores a checkpoint within the block, which is given what to call if it is refused."""
        if run is None:
            yield lambda: None
            return
        key = _key(address, run)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        with self._lock:
            self._open[key] = done
        try:
            yield lambda: self._refuse(key, run)
        finally:
            with self._lock:
                if self._open.get(key) is done:
                    del self._open[key]
            done.set_result(None)

    async def is_refused(self, address: CheckpointAddress, run: object | None) -> bool:
        """Return whether a checkpoint of a run was refused, once what it is storing is stored."""
        if run is None:
            return False
        key = _key(address, run)
        with self._lock:
            storing = self._open.get(key)
        if storing is not None and storing.get_loop() is asyncio.get_running_loop():
            await asyncio.wait((storing,))
        with self._lock:
            return key in self._refused

    def _refuse(self, key: tuple[CheckpointAddress, str | int], run: object) -> None:
        with self._lock:
            self._refused[key] = run  # held, so that no other run gets its identity
            while len(self._refused) > _MOST_REFUSED:
                self._refused.popitem(last=False)


def _key(address: CheckpointAddress, run: object) -> tuple[CheckpointAddress, str | int]:
    return address, run if isinstance(run, str) else id(run)
