"""What a backend shows, whichever it is, as its APIs tell it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

__all__ = ["Backend", "Shown", "ShownSession", "ShownSpan", "ShownTurn"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownSpan:
    """One span within a turn.

    Attributes:
        name: Its name.
        kind: What the backend takes it for: "agent", "llm", "tool", or "" for no kind of the backend's own.
        failed: Whether it is marked as an error.
    """

    name: str
    kind: str
    failed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownTurn:
    """One trace of a session.

    Attributes:
        trace_id: Its id, hexadecimal.
        root: Its root span.
        said: What the backend shows as the input.
        answered: What it shows as the output.
        input_tokens: Tokens it counts for the trace.
        output_tokens: Tokens it counts for the trace.
        spans: All other spans, in no order.
        links: Ids of the traces that the root links to; empty where the backend does not tell.
    """

    trace_id: str
    root: ShownSpan
    said: str | None
    answered: str | None
    input_tokens: int
    output_tokens: int
    spans: tuple[ShownSpan, ...]
    links: tuple[str, ...] = ()

    def names(self, kind: str) -> list[str]:
        """Return the names of the spans of a kind."""
        return [span.name for span in self.spans if span.kind == kind]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownSession:
    """One session.

    Attributes:
        turns: Its traces, oldest first.
        counted: How many traces the backend says that it has.
        first_input: What is shown as the first input; None where the backend has no such view.
        last_output: What is shown as the last output; None where the backend has no such view.
        tokens: Input and output tokens of the whole; None where the backend has no such view.
    """

    turns: tuple[ShownTurn, ...]
    counted: int
    first_input: str | None = None
    last_output: str | None = None
    tokens: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """Everything a backend shows of one load.

    Attributes:
        sessions: By session id.
        apart: Names of the root spans of all traces that are in no session, by the trace's id.
    """

    sessions: dict[str, ShownSession]
    apart: dict[str, str]


class Backend(Protocol):
    """A tracing backend that runs on this machine."""

    def endpoint(self, protocol: str) -> str:
        """Return where spans are sent to by a protocol."""
        ...

    def place(self, name: str) -> list[str]:
        """Make a place of its own for one load; returns the arguments of the load that lead there."""
        ...

    def shown(self, name: str) -> Shown:
        """Return what is shown of one load."""
        ...
