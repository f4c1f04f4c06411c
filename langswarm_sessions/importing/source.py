"""What an import reads from: rows of conversations, one after the other, and what they say."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Self

from langswarm_sessions.messages import SessionMessage

__all__ = ["Assembled", "Assembler", "ImportSource", "SourceEntry", "SourceHead", "SourceSurvey"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceEntry:
    """One row of a source.

    Args:
        session_id: The conversation it belongs to, as the source names it.
        key: What names the row within that conversation, and always will; empty where `problem` is of the whole
            conversation.
        digest: A short digest of what the row holds: another one means that it was changed.
        data: What it holds; the source's assembler understands it.
        time: When it was said, if the source knows.
        problem: Why it cannot be read at all, if so; never what was said.
    """

    session_id: str
    key: str
    digest: str
    data: Any = field(default=None, repr=False)
    time: datetime | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceHead:
    """A conversation of a source, without its rows.

    Args:
        session_id: As the source names it.
        entries: How many rows it has.
        newest: The key of the newest.
        position: What `pages` is given to begin with it.
    """

    session_id: str
    entries: int
    newest: str
    position: Any = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSurvey:
    """What a source holds.

    Args:
        kind: What it is, for people: "SQLChatMessageHistory table".
        name: What tells it from other sources of its kind, such as its table; kept with what was imported from it.
        location: Where it is, without passwords.
        sessions: How many conversations; None if that is not known before they are read.
        entries: How many rows; None if that is not known before they are read.
        notes: What of it has no place in a session, or is not there any more.
    """

    kind: str
    name: str
    location: str
    sessions: int | None = None
    entries: int | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembled:
    """A message, and the rows it was made of; or why there is none."""

    entries: tuple[SourceEntry, ...]
    message: SessionMessage | None = None
    problem: str | None = None


class Assembler(ABC):
    """Makes messages of the rows of one conversation, given oldest first."""

    @abstractmethod
    def add(self, entry: SourceEntry) -> Sequence[Assembled]:
        """Take a row; return the messages that are complete by now."""

    def end(self) -> Sequence[Assembled]:
        """Return what is left once there are no more rows."""
        return ()


class ImportSource(ABC):
    """Something conversations are imported from. It is read and never written; construction does no I/O.

    Attributes:
        provider: Who answers in its sessions from now on, unless the import says otherwise.
        model: The provider's name of the model.
    """

    provider: ClassVar[str] = "runnable"  # a chain of the user's
    model: ClassVar[str] = "runnable"

    @abstractmethod
    async def survey(self) -> SourceSurvey:
        """Look at what there is.

        Raises:
            ConfigurationError: It is not there, or not what it should be; the message says what is there.
        """

    @abstractmethod
    def pages(self, start: Any = None) -> AsyncGenerator[Sequence[SourceEntry]]:
        """Yield rows: those of one conversation together, oldest first; conversations always in the same order.

        Args:
            start: `position` of the conversation to begin with (None: the first).
        """

    @abstractmethod
    def assembler(self) -> Assembler:
        """Return what makes messages of the rows of one conversation."""

    async def heads(self) -> AsyncGenerator[SourceHead]:
        """Yield the conversations in the order of `pages`; nothing if they cannot be told without reading them."""
        nothing: Sequence[SourceHead] = ()
        for head in nothing:
            yield head

    async def close(self) -> None:  # noqa: B027 - most have nothing to let go of
        """Let go of the source; it may be used again."""

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close."""
        await self.close()
