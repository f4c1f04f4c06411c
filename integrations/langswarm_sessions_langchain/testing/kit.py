"""What the checks of a history are made of: the rig they work with, and how they say what they found."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from langswarm_sessions_langchain.testing.subject import Face, HistorySubject, OpenHistory

if TYPE_CHECKING:
    from langchain_core.chat_history import BaseChatMessageHistory
    from langchain_core.messages import BaseMessage

__all__ = [
    "Broken",
    "Check",
    "NotApplicable",
    "Rig",
    "all_of",
    "check",
    "error_of",
    "expect",
    "in_thread",
    "registered",
    "texts",
]

T = TypeVar("T")


class Broken(AssertionError):
    """A history does not do what the check asks for; the message says what was seen instead."""


class NotApplicable(Exception):
    """A check says nothing about this history; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that users rely on.

    Args:
        name: Unique; what reports and tests call it.
        group: What it is about.
        reason: Why users need it.
        run: Raises `Broken` or anything else when it does not hold, `NotApplicable` when that cannot be said;
            returns what is worth noting.
    """

    name: str
    group: str
    reason: str
    run: Callable[[Rig], Awaitable[str | None]] = field(repr=False)


_CHECKS: dict[str, Check] = {}


def check(
    group: str, reason: str
) -> Callable[[Callable[[Rig], Awaitable[str | None]]], Callable[[Rig], Awaitable[str | None]]]:
    """Enter a function among the checks, by its name."""

    def enter(run: Callable[[Rig], Awaitable[str | None]]) -> Callable[[Rig], Awaitable[str | None]]:
        name = getattr(run, "__name__", "")
        _CHECKS[name] = Check(name=name, group=group, reason=reason, run=run)
        return run

    return enter


def registered() -> tuple[Check, ...]:
    """Return the checks entered so far, in that order."""
    return tuple(_CHECKS.values())


def expect(holds: bool, otherwise: str) -> None:
    """Raise `Broken` unless it holds.

    Raises:
        Broken: With `otherwise`.
    """
    if not holds:
        raise Broken(otherwise)


async def error_of(using: Awaitable[object]) -> Exception | None:
    """Return what using a history raised: whatever it is, it is a verdict on the history, not an error of the kit.

    Args:
        using: A call of the history.

    Returns:
        The error; None when the call returned.
    """
    try:
        await using
    except Exception as error:  # noqa: BLE001 - somebody's history may raise anything; each check judges it
        return error
    return None


def texts(messages: Sequence[BaseMessage]) -> list[str]:
    """Return what the messages say."""
    return [str(message.content) for message in messages]


async def in_thread(work: Callable[[], T]) -> T:
    """Run blocking work in a thread of its own, which nobody waits for when it never ends."""
    loop = asyncio.get_running_loop()
    context = contextvars.copy_context()
    outcome: asyncio.Future[T] = loop.create_future()

    def settle(settle_with: Callable[[Any], None], value: object) -> None:
        if not outcome.done():
            settle_with(value)

    def run() -> None:
        try:
            found: Any = (outcome.set_result, context.run(work))
        except StopIteration as error:  # a future takes any other error
            found = (outcome.set_exception, RuntimeError(f"raised StopIteration: {error}"))
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is raised where it is awaited
            found = (outcome.set_exception, error)
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, *found)

    threading.Thread(target=run, daemon=True, name="history-check").start()
    return await outcome


@dataclass(frozen=True, slots=True)
class Rig:
    """A history under test, and the ways to use it.

    Args:
        subject: What is tested.
    """

    subject: HistorySubject
    _opened: list[BaseChatMessageHistory] = field(default_factory=list["BaseChatMessageHistory"], init=False)

    @property
    def face(self) -> Face:
        """The face that checks use which are about none: async where there is one."""
        return Face.ASYNC if Face.ASYNC in self.subject.faces else Face.BLOCKING

    def needs(self, face: Face) -> None:
        """Say that a check is about one face.

        Raises:
            NotApplicable: The history does not have it.
        """
        if face not in self.subject.faces:
            raise NotApplicable(f"it has no {face} face")

    def new_session_id(self) -> str:
        """Return an id nobody used."""
        return self.subject.new_session_id()

    async def open(self, session_id: str | None = None, *, by: OpenHistory | None = None) -> BaseChatMessageHistory:
        """Open the history of a session, of a new one by default, as its author would or by other means."""
        history = (by or self.subject.open)(self.new_session_id() if session_id is None else session_id)
        self._opened.append(await history if inspect.isawaitable(history) else history)
        return self._opened[-1]

    async def close(self) -> Exception | None:
        """Let go of all that was opened, whatever closing some of it raises.

        Returns:
            The first error.
        """
        errors: list[Exception | None] = []
        while self._opened:
            errors.append(await error_of(self._close(self._opened.pop())))
        return next((error for error in errors if error is not None), None)

    async def _close(self, history: BaseChatMessageHistory) -> None:
        closing = None if self.subject.close is None else self.subject.close(history)
        if closing is not None:
            await closing

    async def add(
        self, history: BaseChatMessageHistory, messages: Sequence[BaseMessage], *, face: Face | None = None
    ) -> None:
        """Add messages."""
        if (face or self.face) is Face.ASYNC:
            await history.aadd_messages(messages)
        else:
            await in_thread(lambda: history.add_messages(messages))

    async def read(self, history: BaseChatMessageHistory, *, face: Face | None = None) -> list[BaseMessage]:
        """Read all messages."""
        if (face or self.face) is Face.ASYNC:
            return await history.aget_messages()
        return await in_thread(lambda: history.messages)

    async def clear(self, history: BaseChatMessageHistory, *, face: Face | None = None) -> None:
        """Clear the history."""
        if (face or self.face) is Face.ASYNC:
            await history.aclear()
        else:
            await in_thread(history.clear)

    async def said(self, history: BaseChatMessageHistory) -> list[str]:
        """Return the texts of all messages."""
        return texts(await self.read(history))


async def all_of(*works: Coroutine[Any, Any, T]) -> list[T]:
    """Run works at once and return what they returned; the first error is raised when all have ended."""
    outcomes = await asyncio.gather(*works, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
