"""A conversation that survives the death of its process. No key, no network: python examples/demo.py

`demo_conversation.py` talks in a LangChain chain. Here it is started, killed with SIGKILL in the middle of an answer,
and started again. Then everything that was stored is shown and checked. The second act, `demo_providers.py`, changes
providers in the middle of a conversation. Needs: pip install 'langswarm-sessions[all]'.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from demo_conversation import QUESTIONS, SESSION_ID
from demo_pages import Check, Stage
from demo_providers import ProviderDemo
from demo_servers import load_early
from rich.console import Console
from rich.prompt import Prompt

from langswarm_sessions import SessionMessage, SessionMetrics, create_session_manager
from langswarm_sessions_otel import SpanRecord, read_span_file

KILLED_IN_QUESTION = 2
KILLED_AFTER_PIECES = 14
TURN_INDEX = "langswarm.session.turn.index"


@dataclass(slots=True)
class Run:
    """What one run of the conversation showed before it ended or was killed."""

    pid: int = 0
    exit_code: int | None = None
    answers: list[str] = field(default_factory=list[str])


@dataclass(frozen=True, slots=True)
class Stored:
    """What the database holds."""

    messages: list[SessionMessage]
    metrics: SessionMetrics

    @property
    def said(self) -> list[SessionMessage]:
        """The conversation without the instructions."""
        return [message for message in self.messages if message.role != "system"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """One performance: where it is stored, who answers, where it is shown."""

    folder: Path
    provider: str
    model: str
    stage: Stage

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.folder / "conversation.db"

    @property
    def spans(self) -> Path:
        """The file of spans, of both processes."""
        return self.folder / "spans.jsonl"

    def perform(self) -> bool:
        """Show everything; return whether every check holds."""
        self.stage.open(database=self.database, provider=self.provider, model=self.model)
        first = self.run_conversation("first process", kill=True)
        if first.exit_code != -signal.SIGKILL:
            return self.stage.show_checks(
                [Check("The first process could be killed in the middle of an answer", False)]
            )
        between = self.read()
        self.stage.show_remains(between.said)
        restarted_ns = time.time_ns()
        second = self.run_conversation("second process: the same program, from the top", recorded=between.said)
        if second.exit_code != 0:
            return self.stage.show_checks([Check("The second process came to its end", False)])
        after, spans = self.read(), read_span_file(self.spans, session_id=SESSION_ID)
        self.stage.show_transcript(after.messages)
        self.stage.show_metrics(after.metrics)
        self.stage.show_spans(spans, restarted_ns=restarted_ns)
        checks = list(self.checks(first, second, between, after, spans))
        return self.stage.show_checks(checks)

    def run_conversation(self, title: str, *, kill: bool = False, recorded: list[SessionMessage] | None = None) -> Run:
        """Start the conversation in a process of its own and show what it says; kill it in the middle if asked to."""
        program = Path(__file__).with_name("demo_conversation.py")
        options = ["--provider", self.provider, "--model", self.model, "--spans", str(self.spans), "--events"]
        command = [sys.executable, str(program), str(self.database), *options]
        answered = {message.content for message in recorded or [] if message.role == "assistant"}
        run, pieces = Run(), 0
        # In a session of its own: Ctrl-C is for this program, which then ends that one.
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, encoding="utf-8", start_new_session=True
        ) as process:
            try:
                run.pid = process.pid
                self.stage.begin_process(title, process.pid)
                for kind, text in _events(process):
                    if kind == "question":
                        self.stage.ask(text)
                        run.answers.append("")
                    elif kind == "text":
                        self.stage.say(text)
                        run.answers[-1] += text
                        pieces += len(run.answers) == KILLED_IN_QUESTION
                    else:
                        self.stage.end_answer(recorded=run.answers[-1] in answered)
                    if kill and pieces >= KILLED_AFTER_PIECES:
                        os.kill(process.pid, signal.SIGKILL)
                        self.stage.show_kill(process.pid)
                        break
            except BaseException:
                process.kill()
                raise
            finally:
                run.exit_code = process.wait()
        return run

    def read(self) -> Stored:
        """Read the session as any program would."""
        where = {"db_path": str(self.database)}
        with create_session_manager("sqlite", storage_config=where, telemetry=False, blocking=True) as manager:
            session = manager.get_session(SESSION_ID)
            return Stored(session.get_messages(), session.get_metrics())

    def checks(
        self, first: Run, second: Run, between: Stored, after: Stored, spans: list[SpanRecord]
    ) -> Iterator[Check]:
        """Judge what happened by what is in the database and in the spans."""
        questions = [message.content for message in after.said if message.role == "user"]
        answers = [message for message in after.said if message.role == "assistant"]
        cut_off, whole = first.answers[-1], second.answers[KILLED_IN_QUESTION - 1]
        yield Check(
            "The first process was killed in the middle of an answer",
            bool(cut_off) and len(cut_off) < len(whole),
        )
        yield Check(
            "What was answered before the kill was kept, and was not asked again",
            len(between.said) == 3 and between.said[:2] == after.said[:2] and first.answers[0] == second.answers[0],
        )
        yield Check("Every question is stored once, in order", questions == list(QUESTIONS))
        yield Check(
            "Every question has one answer, and none is a half one",
            [message.role for message in after.said] == ["user", "assistant"] * len(QUESTIONS)
            and all(message.status == "completed" for message in after.said),
        )
        yield Check(
            "What was shown is what is stored",
            [message.content for message in answers] == second.answers,
        )
        yield Check(
            "The second process knows what was said in the first", {"Ada", "Lisbon"} <= _words(second.answers[-1])
        )
        asked = [span for span in spans if span.name.startswith("chat ")]
        turns = sorted({span.attributes.get(TURN_INDEX) for span in spans} - {None}, key=str)
        told = turns == [1, 2, 3] and len(asked) >= len(QUESTIONS)
        yield Check("The spans of both processes tell the same: three turns", told)


def _events(process: subprocess.Popen[str]) -> Iterator[tuple[str, str]]:
    assert process.stdout is not None
    for line in process.stdout:
        event = json.loads(line)
        yield event["kind"], event["text"]


def _words(text: str) -> set[str]:
    return {word.strip(".,:;!?") for word in text.split()}


def choose_provider(console: Console) -> tuple[str, str]:
    """Offer the real provider where there is a key and somebody to ask; else take the mock."""
    if not os.environ.get("OPENAI_API_KEY") or not (sys.stdin.isatty() and console.is_terminal):
        return "mock", "mock-model"
    console.print("OPENAI_API_KEY is set: a real model can answer. It is asked four times at most, and it costs money.")
    question = "Name a model, or press Enter for the mock provider"
    model = Prompt.ask(question, console=console, default="", show_default=False).strip()
    return ("openai", model) if model else ("mock", "mock-model")


def main() -> int:
    parser = argparse.ArgumentParser(description="A conversation that survives the death of its process.")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="store it there and leave it there")
    console = Console(highlight=False)
    try:
        return present(console, kept=parser.parse_args().keep)
    except (KeyboardInterrupt, EOFError):
        console.print("\nInterrupted: nothing goes on in the background.", style="yellow")
        return 130


def present(console: Console, *, kept: Path | None) -> int:
    """Perform in a folder that is to be kept, or in one for the time being; return the exit code."""
    provider, model = choose_provider(console)
    with tempfile.TemporaryDirectory(prefix="langswarm-sessions-demo-") as temporary:
        folder = kept.absolute() if kept else Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        demo = Demo(folder=folder, provider=provider, model=model, stage=Stage(console))
        second = ProviderDemo(folder=folder, kept=kept is not None, console=console)
        for database in (demo.database, second.database):
            if database.exists():
                console.print(f"{database} is there already: name another folder.", style="red")
                return 1
        load_early()
        held = demo.perform() and second.perform()
        demo.stage.close(kept=demo.database if kept else None)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
