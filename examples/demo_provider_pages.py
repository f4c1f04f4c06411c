"""What the second act of `demo.py` shows, and how: answers, handoff reports, what went over the wire, spans.

Alone it shows a short page as a sample: python examples/demo_provider_pages.py
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from demo_pages import INDENT, Stage
from demo_servers import Sent
from rich.console import Console
from rich.table import Table
from rich.text import Text

from langswarm_sessions import HandoffReport, ToolCall
from langswarm_sessions.strategies import CrossingNote
from langswarm_sessions_otel import SpanRecord, render_span_tree

LONG_ID = re.compile(r"\b(resp|conv|msg)_\w*(\w{3})\b")


class ProviderStage(Stage):
    """Writes the second act to a terminal, or plain text to whatever else standard output is."""

    def open_act(self, *, database: Path, addresses: Iterable[str]) -> None:
        """Say what is going to happen, and who plays the providers."""
        self.console.print()
        self.console.print(Text("One conversation, three providers", style="bold"))
        facts = {
            "SDKs": "openai, anthropic and mistralai, the real ones, over HTTP",
            "servers": f"ours, on loopback ({', '.join(addresses)}): no provider is called",
            "database": str(database),
        }
        for name, value in facts.items():
            self.console.print(Text.assemble((f"{name:<{INDENT}}", "dim"), value), soft_wrap=True)

    def begin_scene(self, title: str) -> None:
        """Announce who answers from here on."""
        self._heading(title)
        self.asked = False

    def show_call(self, call: ToolCall, result: str, sent: Sequence[Sent]) -> None:
        """Show a tool call of the model, what it took, and what the tool said."""
        self._flow(f"calls {call.name}({', '.join(f'{name}={value}' for name, value in call.arguments.items())})")
        self.end_turn(sent)
        self._speaker("tool")
        self._flow(result)
        self.console.print()
        self._speaker("assistant")

    def end_turn(self, sent: Sequence[Sent]) -> None:
        """End an answer, and say what it took."""
        self.end_answer(recorded=False)
        for one in sent:
            what = f"continues {_short(one.builds_on)}" if one.builds_on else "the whole conversation"
            refused = f": refused with {one.status}, the thread is gone" if one.status >= 400 else ""
            self._note(f"↑ {_items(one.items)}, {one.size:,} bytes, {what}{refused}")

    def show_deleted(self, ids: Sequence[str], request: str) -> None:
        """Show that what the provider kept is no more."""
        self._heading("the thread is deleted on the server")
        for response_id in ids:
            self.console.print(Text(f"✗ {request}/{_short(response_id)}", style="bold red"), soft_wrap=True)
        self.asked = False

    def show_report(self, report: HandoffReport) -> None:
        """Show what of the conversation crosses to another provider."""
        crossed = ", ".join(f"{count} {_words(kind)}" for kind, count in report.crossing.crossed.items())
        table = Table.grid(padding=(0, 3))
        rows = {
            "from": f"{report.from_provider} / {report.from_model}",
            "to": f"{report.to_provider} / {report.to_model}",
            "is given": f"{report.messages} messages, with its next turn",
            "crosses as it is": crossed or "nothing",
            "is converted": _told(report.crossing.converted),
            "cannot cross": _told(report.crossing.dropped),
            "settings left behind": ", ".join(report.settings_left) or "none",
        }
        for name, value in rows.items():
            table.add_row(Text(name, style="dim"), value)
        self.console.print(table)
        self.console.print()

    def show_sent(self, steps: Iterable[tuple[str, Sent]], *, written: Path | None) -> None:
        """Show every request that went over the wire, under the turn it belongs to."""
        self._heading("what each server was sent")
        table = Table(box=None, pad_edge=False, header_style="dim")
        for title in ("turn", "server", "request", "builds on"):
            table.add_column(title)
        for title in ("items", "bytes", "status"):
            table.add_column(title, justify="right")
        for turn, one in steps:
            row = (turn, one.provider, _short(one.request), _short(one.builds_on) or "–", str(one.items))
            table.add_row(*row, f"{one.size:,}", str(one.status), style="red" if one.status >= 400 else None)
        self.console.print(table)
        if written is not None:
            self._note(f"word for word: {written}")

    def show_events(self, types: Iterable[str]) -> None:
        """Show what subscribers of the session heard."""
        self._heading("what its subscribers heard")
        counted = Counter(types)
        self.console.print(", ".join(f"{name} × {count}" for name, count in counted.items()), soft_wrap=True)

    def show_tree(self, spans: Iterable[SpanRecord]) -> None:
        """Show the spans of the act."""
        self._heading("its spans")
        for line in render_span_tree(spans).splitlines():
            self.show_span(_short(line))


def _short(text: str) -> str:
    """Return the text with the providers' long ids cut: their ends tell them apart."""
    return LONG_ID.sub(r"\1_…\2", text)


def _items(count: int) -> str:
    return f"{count} item" if count == 1 else f"{count} items"


def _words(kind: str) -> str:
    return kind.replace("_", " ")


def _told(notes: Sequence[CrossingNote]) -> str:
    reasons = Counter(f"{_words(note.part)}: {note.why}" for note in notes)
    return "\n".join(f"{count} {reason}" for reason, count in reasons.items()) or "nothing"


if __name__ == "__main__":
    sample = ProviderStage(Console(highlight=False))
    body = {"input": [{"role": "user", "content": "Is this how it looks?"}], "previous_response_id": "resp_0123456789"}
    request = Sent(provider="openai", request="POST /v1/responses", body=body, size=118, status=200)
    sample.begin_scene("a sample")
    sample.ask("Is this how it looks?")
    sample.say("Yes, it is.")
    sample.end_turn([request])
    sample.show_sent([("1", request)], written=None)
