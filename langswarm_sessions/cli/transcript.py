"""Messages of a conversation as text for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from langswarm_sessions.cli.output import clock_time, printable
from langswarm_sessions.messages import MessageKind, Role, SessionMessage, TextPart, TurnState

__all__ = ["heading", "transcript"]

_STYLES = {Role.USER: "bold cyan", Role.ASSISTANT: "bold green", Role.SYSTEM: "bold magenta", Role.TOOL: "bold yellow"}
_MARKS = {
    TurnState.INTERRUPTED: ("interrupted", "yellow"),
    TurnState.FAILED: ("failed", "red"),
    TurnState.PENDING: ("not answered yet", "yellow"),
}


def transcript(messages: Iterable[SessionMessage]) -> RenderableType:
    """Return messages with who said them and when, one below the other.

    Args:
        messages: In the order they were said.
    """
    blocks: list[RenderableType] = []
    for message in messages:
        blocks += [heading(message), Padding(_body(message), (0, 0, 0, 2), expand=False), Text()]
    return Group(*blocks)


def heading(message: SessionMessage) -> Text:
    """Return the line above a message: who, when, and what became of it if it was not completed."""
    name = "instructions" if message.kind is MessageKind.INSTRUCTIONS else message.role.value
    line = Text.assemble((name, _STYLES[message.role]), (f"  {clock_time(message.timestamp)}", "dim"))
    if message.status in _MARKS:
        mark, style = _MARKS[message.status]
        line.append(f"  {mark}", style=style)
    return line


def _body(message: SessionMessage) -> Text:
    text = Text("\n").join(_lines(message))
    return text if text.plain else Text("(nothing)", style="dim")


def _lines(message: SessionMessage) -> Iterator[Text]:
    if message.content:
        yield Text(printable(message.content))
    for result in message.tool_results:
        style = "red" if result.is_error else "default"
        yield Text(f"→ {printable(result.content)}", style=style)
    for call in message.tool_calls:
        arguments = ", ".join(f"{name}={value!r}" for name, value in call.arguments.items())
        yield Text(printable(f"calls {call.name}({arguments})"), style="yellow")
    for part in message.parts:
        if not isinstance(part, TextPart) and part.type not in {"refusal", "tool_call", "tool_result"}:
            yield Text(f"[{part.type}]", style="dim")
