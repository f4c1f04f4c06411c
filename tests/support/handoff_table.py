"""How each kind of content crosses from each side to each other, as real sessions report it.

`python -m tests.support.handoff_table` prints the page docs/concepts/handoff-table.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from typing import Any

from langswarm_sessions import Session, create_session_manager
from langswarm_sessions.handoff import HandoffReport
from langswarm_sessions.messages import SessionMessage, TurnState
from tests.support.sides import SIDES, Counterpart, converse

__all__ = ["page"]

COLUMNS = ("text", "tools", "parallel tools", "image", "file", "reasoning", "refusal")
_PARTS = {"tools": "tool_call", "parallel tools": "tool_call"}
_HEAD = """# What crosses in a handoff

Every ordered pair of providers, LangChain chat models among them. Each row is the report of
`session.handoff(..., dry_run=True)` of a real session whose history holds all of this; the servers it was held with are
those of this project's tests. See [handoff](handoff.md) for what the words mean. This page is generated: `make
handoff-table` prints it.

- *crosses*: the next provider is given it as it is, in its own API's terms.
- *as text*: it is told in words.
- *left out*: the next provider is not given it; the transcript keeps it, and its own provider is given it back.
- *none*: the provider's API answers with no such content. A PDF that a provider does not take itself was added to its
  session's history with `add_message`.
"""


@contextmanager
def _running() -> Generator[dict[str, Counterpart]]:
    with ExitStack() as stack:
        yield {name: stack.enter_context(side.start()) for name, side in SIDES.items()}


async def page() -> str:
    """Return the page."""
    with _running() as counterparts:
        credentials: dict[str, Any] = {name: one.credential for name, one in counterparts.items()}
        async with create_session_manager(storage="memory", providers=credentials) as manager:
            rows: list[str] = []
            reasons: set[str] = set()
            for source, side in SIDES.items():
                session = await manager.create_session("user", source, side.model)
                await converse(session, source, counterparts[source])
                for target in SIDES:
                    if target != source:
                        report = await session.handoff(target, SIDES[target].model, dry_run=True)
                        rows.append(await _row(session, report))
                        reasons |= _reasons(report)
    heading = " | ".join(("from", "to", *COLUMNS))
    rule = "|".join(["---"] * (len(COLUMNS) + 2))
    return "\n".join([_HEAD, f"| {heading} |", f"|{rule}|", *rows, "", "Why:", "", *sorted(reasons), ""])


async def _row(session: Session, report: HandoffReport) -> str:
    messages = [message for message in await session.get_messages() if message.status is not TurnState.FAILED]
    cells = [_cell(report, messages, column) for column in COLUMNS]
    return "| " + " | ".join((report.from_provider, report.to_provider, *cells)) + " |"


def _reasons(report: HandoffReport) -> set[str]:
    left = {f"- {note.part}, left out: {note.why}." for note in report.crossing.dropped}
    return left | {f"- {note.part}, as text: {note.why}." for note in report.crossing.converted}


def _cell(report: HandoffReport, messages: list[SessionMessage], column: str) -> str:
    """Return what becomes of a kind of content, wherever it stands in the history."""
    kind = _PARTS.get(column, column)
    where = {message.message_id for message in messages if _has(message, column)}
    if not where:
        return "none"
    crossing = report.crossing
    if any(note.part == kind and note.message_id in where for note in crossing.dropped):
        return "left out"
    if any(note.part == kind and note.message_id in where for note in crossing.converted):
        return "as text"
    assert crossing.crossed[kind] >= len(where), (report, column)
    return "crosses"


def _has(message: SessionMessage, column: str) -> bool:
    if column == "tools":
        return len(message.tool_calls) == 1
    if column == "parallel tools":
        return len(message.tool_calls) > 1
    return any(part.type == column for part in message.parts)


if __name__ == "__main__":
    print(asyncio.run(page()), end="")
