"""What `demo.py` shows, and how: headings, answers as they come, the transcript, figures, spans, checks.

Alone it shows a short page as a sample: python examples/demo_pages.py
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from langswarm_sessions import SessionMessage, SessionMetrics
from langswarm_sessions_otel import SpanRecord, render_span_tree

SPEAKERS = {
    "user": ("you", "bold cyan"),
    "assistant": ("model", "bold green"),
    "system": ("instructions", "bold magenta"),
    "tool": ("tool", "bold yellow"),
}
INDENT = 9


@dataclass(frozen=True, slots=True)
class Check:
    """A claim, and whether it holds."""

    claim: str
    holds: bool


class Stage:
    """Writes to a terminal, or plain text to whatever else standard output is."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.width = min(console.width, 110)
        self.column = 0
        self.asked = False

    def open(self, *, database: Path, provider: str, model: str) -> None:
        """Say what is going to happen."""
        self.console.print()
        self.console.print(Text("A conversation that survives the death of its process", style="bold"))
        facts = {
            "chain": "prompt | SessionRunnable | StrOutputParser",
            "answers": f"{provider} / {model}" + (" (no key, no network)" if provider == "mock" else ""),
            "database": str(database),
        }
        for name, value in facts.items():
            self.console.print(Text.assemble((f"{name:<{INDENT}}", "dim"), value), soft_wrap=True)

    def begin_process(self, title: str, pid: int) -> None:
        """Announce a process."""
        self._heading(f"{title} · pid {pid}")
        self.asked = False

    def ask(self, question: str) -> None:
        """Show a question, and the beginning of the line its answer comes on."""
        if self.asked:
            self.console.print()
        self.asked = True
        self._speaker("user")
        self._flow(question)
        self.console.print()
        self._speaker("assistant")

    def say(self, text: str) -> None:
        """Show a piece of an answer as it comes."""
        self._flow(text)

    def end_answer(self, *, recorded: bool) -> None:
        """End an answer."""
        self.console.print()
        if recorded:
            self._note("↑ recorded before the kill: the model was not asked again")

    def show_kill(self, pid: int) -> None:
        """Show that the process is no more."""
        self.console.print(Text("▌", style="green"))
        self._note(f"✗ kill -9 {pid}: the process is gone in the middle of its answer", style="bold red")

    def show_remains(self, said: Iterable[SessionMessage]) -> None:
        """Show what the database held when the process was dead."""
        self._heading("what the database holds now")
        for message in said:
            mark = Text("✓ stored" if message.status == "completed" else "… not answered", style="dim")
            name, style = SPEAKERS[message.role]
            line = Text.assemble((f"{name:<{INDENT}}", style), _shortened(message.content, self.width - INDENT - 18))
            self.console.print(line.append("  ").append(mark), soft_wrap=True)

    def show_transcript(self, messages: Iterable[SessionMessage]) -> None:
        """Show the whole conversation as it is stored."""
        self._heading("the transcript")
        for message in messages:
            name, style = SPEAKERS[message.role]
            when = f"  {message.timestamp.astimezone():%H:%M:%S}  {message.status}"
            self.console.print(Text.assemble((name, style), (when, "dim")))
            self.console.print(Padding(Text(message.content), (0, 0, 0, 2), expand=False), width=self.width)

    def show_metrics(self, metrics: SessionMetrics) -> None:
        """Show the session's figures."""
        self._heading("the session's metrics")
        table = Table.grid(padding=(0, 3))
        rows = {
            "messages": f"{metrics.total_messages} ({metrics.user_messages} questions, "
            f"{metrics.assistant_messages} answers, instructions)",
            "answer time": f"{metrics.avg_response_time_ms:,.0f} ms on average",
            "tokens": f"{metrics.total_tokens:,}",
            "retries": f"{metrics.retries}",
            "rebuilds": f"{metrics.rebuilds}"
            + (" (the provider had lost the conversation; it was told again)" if metrics.rebuilds else ""),
            "duration": f"{metrics.session_duration.total_seconds():.1f} s",
        }
        for name, value in rows.items():
            table.add_row(Text(name, style="dim"), value)
        self.console.print(table)

    def show_spans(self, spans: list[SpanRecord], *, restarted_ns: int) -> None:
        """Show the trees of spans: those of the first process, then those of the second."""
        self._heading("its spans, from both processes")
        of_first = render_span_tree(span for span in spans if span.start < restarted_ns).count("\n") + 1
        for number, line in enumerate(render_span_tree(spans).splitlines()):
            if number in (0, of_first):
                self.console.print(Text("second process" if number else "first process", style="dim italic"))
            # The ids of the provider's own state are long and say nothing to a reader.
            self.show_span(re.sub(r"(mocknode|resp)_[\w-]+", "…", line))

    def show_span(self, line: str) -> None:
        """Show one line of a tree of spans."""
        self.console.print(_colored(line), soft_wrap=True)

    def show_checks(
        self,
        checks: list[Check],
        *,
        where: str = "in the database and in the spans",
        good: str = "Nothing lost, nothing doubled.",
    ) -> bool:
        """Show what was checked; return whether all of it holds."""
        self._heading(f"checked {where}")
        for check in checks:
            mark = ("✓ ", "bold green") if check.holds else ("✗ ", "bold red")
            self.console.print(Text.assemble(mark, check.claim))
        held = all(check.holds for check in checks)
        verdict = good if held else "This should not have happened: please report it."
        self.console.print(Text(f"\n{verdict}", style="bold green" if held else "bold red"))
        return held

    def close(self, *, kept: Path | None) -> None:
        """Say how to look further: in the database that was kept, or how to keep it."""
        python = Path(sys.executable)
        if kept is not None:
            command = _command_line(python.with_name("langswarm-sessions"), "chat", "bees", "--db", str(kept))
            hint = f"Go on with it: {command}"
        elif os.environ.get("MAKELEVEL"):
            hint = 'Keep it, to go on with it: make demo DEMO_ARGS="--keep FOLDER"'
        else:
            command = _command_line(python, str(Path(__file__).with_name("demo.py")), "--keep", "FOLDER")
            hint = f"Keep it, to go on with it: {command}"
        self.console.print(Text(hint, style="dim"), soft_wrap=True)

    def _heading(self, title: str) -> None:
        rule = "─" * max(2, self.width - len(title) - 4)
        self.console.print(Text.assemble("\n", ("── ", "dim"), (title, "bold"), (f" {rule}", "dim")), soft_wrap=True)
        self.console.print()

    def _speaker(self, role: str) -> None:
        name, style = SPEAKERS[role]
        self.console.print(Text(f"{name:<{INDENT}}", style=style), end="")
        self.column = INDENT

    def _note(self, text: str, *, style: str = "dim") -> None:
        self.console.print(Padding(Text(text, style=style), (0, 0, 0, INDENT), expand=False))

    def _flow(self, text: str) -> None:
        """Write words, beginning a new line below the first one where they would not fit."""
        for word in re.findall(r"\S+|\n| +", text):
            if word == "\n" or (word.strip() and self.column + len(word) > self.width):
                self.console.print("\n" + " " * INDENT, end="")
                self.column = INDENT
            if word != "\n" and not (word.isspace() and self.column == INDENT):
                self.console.print(Text(word), end="", soft_wrap=True)
                self.column += len(word)
        self.console.file.flush()


def _command_line(program: Path, *arguments: str) -> str:
    """Return what to type in the current folder, with paths in it the short way."""
    here = f"{Path.cwd()}{os.sep}"
    shortened = [argument.removeprefix(here) for argument in arguments]
    # A name without a folder would be looked for on the path.
    called = str(program) if program.parent == Path.cwd() else str(program).removeprefix(here)
    return shlex.join([called, *shortened])


def _shortened(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1].rsplit(" ", 1)[0] + "…"


def _colored(line: str) -> Text:
    text = Text(line)
    text.highlight_regex(r"^[│├└─ ]+", "dim")
    text.highlight_regex(r"(invoke_agent|chat|langswarm\.[\w.]+)[^ ]*", "bold")
    text.highlight_regex(r"\d+(\.\d+)? (s|ms|µs)\b", "cyan")
    text.highlight_regex(r"^\(a span.*", "yellow")
    text.highlight_regex(r"✗.*", "red")
    return text


if __name__ == "__main__":
    sample = Stage(Console(highlight=False))
    sample.begin_process("a sample", 1)
    sample.ask("Is this how it looks?")
    sample.say("Yes, it is.")
    sample.end_answer(recorded=True)
    sample.show_checks([Check("A check that holds", holds=True)])
