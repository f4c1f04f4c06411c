"""What the tests of tools in sessions share: tools that note their runs, calls, and a look at the transcript."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from langswarm_sessions import Session, SessionMessage, ToolCall, ToolContext

__all__ = ["ADD", "BOTH", "JSON", "Tools", "called", "roles", "sent_results", "shown"]

ADD = ToolCall(id="c1", name="add", arguments={"a": 1, "b": 2})
BOTH = [ADD, ToolCall(id="c2", name="place")]
JSON: dict[str, Any] = {"name": "stars", "parameters": {"type": "object"}}


class Tools:
    """An async and a plain tool; they note every run. The async one can be held up."""

    def __init__(self, *, held: bool = False) -> None:
        self.runs: list[str] = []
        self.started = asyncio.Event()
        self.go_on = asyncio.Event()
        self.cancelled = asyncio.Event()
        if not held:
            self.go_on.set()

    @property
    def all(self) -> list[Any]:
        """The tools, as `send_message` takes them."""
        return [self.add, self.place]

    async def add(self, a: int, b: int) -> int:
        """Add two numbers."""
        self.runs.append("add")
        self.started.set()
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return a + b

    def place(self, context: ToolContext) -> str:
        """Tell where this is."""
        self.runs.append("place")
        return f"in {context.session_id} of {context.user_id}"


def called(*names: str, prefix: str = "c") -> list[ToolCall]:
    """Return calls without arguments, numbered from 1."""
    return [ToolCall(id=f"{prefix}{number}", name=name) for number, name in enumerate(names, 1)]


def roles(messages: Sequence[SessionMessage]) -> list[str]:
    """Return who spoke, in order."""
    return [message.role.value for message in messages]


def sent_results(session: Session, request: int = -1) -> list[tuple[str, str, bool]]:
    """Return the tool results of a request to the mock, in their order: id, content, is_error."""
    sent = session.provider_session.requests[request].messages
    return [
        (result.tool_call_id, result.content, result.is_error) for message in sent for result in message.tool_results
    ]


def shown(messages: Sequence[SessionMessage]) -> list[Any]:
    """Return what each message holds: its text, its calls or its results."""
    return [
        message.content
        or [call.id for call in message.tool_calls]
        or [result.content for result in message.tool_results]
        for message in messages
    ]
