"""A place in a provider of somebody: providers take processors and never give one back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from langswarm_sessions_otel.process.belongings import Belongings
from langswarm_sessions_otel.process.forks import fork_safe_rlock

__all__ = ["Slot", "Slots"]


class Processor(Protocol):
    """What processors of spans and of events have in common."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Hand over what is held."""
        ...

    def shutdown(self) -> None:
        """Hand over what is held and stop."""
        ...


Part = TypeVar("Part", bound=Processor)


class Slot(Generic[Part]):
    """Stands among a provider's processors for good; what stands in it comes and goes."""

    def __init__(self) -> None:
        self._lock = fork_safe_rlock()
        self.parts: tuple[Part, ...] = ()

    def put(self, part: Part) -> None:
        """Have a processor process what the provider makes.

        Args:
            part: The processor; those that were put before it go first.
        """
        with self._lock:
            self.parts = (*self.parts, part)

    def take_out(self, part: Part) -> None:
        """Have a processor get no more.

        Args:
            part: The processor.
        """
        with self._lock:
            self.parts = tuple(other for other in self.parts if other is not part)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush what stands here.

        Args:
            timeout_millis: How long each may take, in milliseconds.

        Returns:
            True if all was taken in time.
        """
        flushed = [part.force_flush(timeout_millis) for part in self.parts]
        return all(flushed)

    def shutdown(self) -> None:
        """End what stands here, with the provider."""
        for part in self.parts:
            part.shutdown()


AnySlot = TypeVar("AnySlot")


class Slots(Generic[AnySlot]):
    """The slots in the providers of one signal, one in each.

    Args:
        make: Makes a slot.
        method: What providers take a processor with.
    """

    def __init__(self, make: Callable[[], AnySlot], method: str) -> None:
        self._make = make
        self._method = method
        self._slots: Belongings[AnySlot] = Belongings()

    def of(self, provider: object) -> AnySlot:
        """Return the slot in a provider, put there now if there was none.

        Args:
            provider: One that takes processors.
        """

        def put_in() -> AnySlot:
            slot = self._make()
            getattr(provider, self._method)(slot)
            return slot

        return self._slots.of(provider, put_in)
