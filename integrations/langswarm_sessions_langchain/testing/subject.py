"""What is put to the test: a history, how it is opened, and what its author can say about it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias
from uuid import uuid4

if TYPE_CHECKING:
    from langchain_core.chat_history import BaseChatMessageHistory

__all__ = ["CloseHistory", "Face", "HistorySubject", "OpenHistory", "OpenTail"]

OpenHistory: TypeAlias = "Callable[[str], BaseChatMessageHistory | Awaitable[BaseChatMessageHistory]]"
"""Opens the history of a session id; each call is a new opener of the same conversation."""
OpenTail: TypeAlias = "Callable[[str, int], BaseChatMessageHistory | Awaitable[BaseChatMessageHistory]]"
"""Opens the history of a session id so that it reads that many of the newest messages alone."""

CloseHistory: TypeAlias = "Callable[[BaseChatMessageHistory], Awaitable[None] | None]"
"""Lets go of what a history holds: connections, engines."""


class Face(StrEnum):
    """How a history is called."""

    BLOCKING = "blocking"
    """`messages`, `add_messages`, `clear`."""
    ASYNC = "async"
    """`aget_messages`, `aadd_messages`, `aclear`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistorySubject:
    """A `BaseChatMessageHistory` to be tested.

    What is left out is not tested, and the report says so.

    Args:
        open: Opens the history of a session id. It is called often: what it returns must lead to the same
            conversation whenever the id is the same.
        name: What it is called in reports.
        faces: How it may be called. Checks of a face it does not have are not applicable, but for the one that says
            that both should be there.
        elsewhere: `open` for another process: a function of a module, or a `functools.partial` of one with plain
            arguments, for it is pickled. None: what it keeps cannot be reached from another process.
        failing: Opens a history whose backend fails from then on: its table is gone, its server is down.
        tail: Opens a history that reads some of the newest messages alone, if there is such a thing.
        close: Called with each history that was opened, when the check is over.
        new_session_id: Makes session ids.
        clocks: Packages beside its own that ask for the time, so that a check can set their clock back too.

    Example:
        >>> HistorySubject(name="files", open=lambda session_id: FileChatMessageHistory(f"{session_id}.json"))
    """

    open: OpenHistory = field(repr=False)
    name: str = ""
    faces: frozenset[Face] = frozenset(Face)
    elsewhere: OpenHistory | None = field(default=None, repr=False)
    failing: OpenHistory | None = field(default=None, repr=False)
    tail: OpenTail | None = field(default=None, repr=False)
    close: CloseHistory | None = field(default=None, repr=False)
    new_session_id: Callable[[], str] = field(default=lambda: str(uuid4()), repr=False)
    clocks: Collection[str] = ()
