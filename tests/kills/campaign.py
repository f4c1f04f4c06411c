"""One kill: a talker is stopped at a step of its turn and killed; another process opens the session and goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from tests.kills.kinds import Kind
from tests.kills.program import Stop, Task
from tests.session.kit import in_database
from tests.support.relay import Hold, Relay

__all__ = ["STORAGE_STEPS", "Case", "Killed", "Scene", "Step", "Zygote"]

_ROOT = Path(__file__).resolve().parents[2]
STORAGE_STEPS: tuple[Stop, ...] = ("begin commit", "begun", "finish commit", "finished")
_SHOWN = b"You"  # in a piece of every answer that is not its last

Wire = Literal["request", "answer", "text"]


@dataclass(frozen=True, slots=True)
class Step:
    """Where a talker dies: at the storage, or at the n-th request of its turn."""

    place: Stop | Wire
    request: int = 0

    def __str__(self) -> str:
        return f"{self.place} {self.request}" if self.request else self.place


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is killed where, and how it goes on.

    Args:
        kind: Who answers.
        step: Where the talker dies.
        ruin: What else befalls its turn (None: nothing).
        streamed: How it asks.
        is_first: Whether its turn is the session's first.
        same_key_first: Whether the killed turn is asked for again before something else is said, or after.
    """

    kind: Kind
    step: Step
    ruin: str | None = None
    streamed: bool = False
    is_first: bool = False
    same_key_first: bool = True

    def __str__(self) -> str:
        how = "stream" if self.streamed else "send"
        turn = self.ruin or ("first" if self.is_first else "plain")
        then = "again" if self.same_key_first else "next"
        return f"{self.kind}, {turn}, {self.step}, {how}, {then}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Killed:
    """What was found after a kill.

    Args:
        opened: The transcript as the next process found it: text and status of each message.
        says: What that process told of each of its turns.
        views: The user's messages of every context a model was given, in order; without a server there are none.
        held: The user's messages in each log the provider keeps.
        asked: How many requests the process that went on sent.
        turns: How each turn ended.
    """

    opened: list[list[str]]
    says: dict[str, dict[str, Any]]
    views: list[list[str]]
    held: list[list[str]]
    asked: int
    turns: list[dict[str, Any]]


class Zygote:
    """The process talkers are copies of."""

    def __enter__(self) -> Self:
        """Start it."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.kills.zygote"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(_ROOT), *filter(None, sys.path)])},
            start_new_session=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End it, and the talker it may still be."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        with self._process:  # closes the pipes and waits
            pass

    def restart(self) -> None:
        """End it and start another."""
        self.__exit__(None, None, None)
        self.__enter__()

    def say(self, line: str) -> None:
        """Send a line to it, or to its copy."""
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode())
        self._process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        """Return the next thing it tells."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the process the talkers are made of has ended"
        told: dict[str, Any] = json.loads(line)
        return told

    def hear_until(self, word: str) -> list[dict[str, Any]]:
        """Return what is told up to something of that name."""
        told = [self.hear()]
        while word not in told[-1]:
            assert "ended" not in told[-1], f"the talker ended with {told[-1]['ended']} before it said {word!r}"
            told.append(self.hear())
        return told


class Scene:
    """A kind's server, the relay in front of it, and a database file.

    Args:
        zygote: What talkers are made of.
        kind: Who answers.
        path: The database file, which does not exist yet.
    """

    def __init__(self, zygote: Zygote, kind: Kind, path: Path) -> None:
        self._zygote = zygote
        self._kind = kind
        self._path = path
        self._stack = ExitStack()
        self.server: Any = None
        self.relay: Relay | None = None

    def __enter__(self) -> Self:
        """Start both."""
        if self._kind.server is not None:
            self.server = self._stack.enter_context(self._kind.server())
            self.relay = self._stack.enter_context(Relay(self.server.base_url))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop both; a talker that did not come to its end is not left to the next scene."""
        if error is not None:
            self._zygote.restart()
        self._stack.close()

    @property
    def asked(self) -> int:
        """How many requests were sent so far."""
        return 0 if self.relay is None else self.relay.count

    def start(self, case: Case, *, stops: bool = True) -> int:
        """Let the session begin, and a talker come to the turn of the case; return its process id."""
        self._say(case, [] if case.is_first else [("one", None)])
        assert self._zygote.hear_until("ended")[-1]["ended"] == 0
        stop = case.step.place if case.step.place in STORAGE_STEPS else None
        self._say(case, [("two", "key")], asks=True, stop=stop if stops else None)
        pid: int = self._zygote.hear_until("ready")[-1]["ready"]
        if case.ruin is not None:
            self._kind.ruins[case.ruin](self.server)
        return pid

    def run_until_killed(self, case: Case) -> None:
        """Let a talker run to its step, and kill it there."""
        pid = self.start(case)
        hold = self._hold(case.step)
        self.let_go()
        if hold is None:
            self._zygote.hear_until("reached")
        else:
            hold.wait()
        self.kill(pid)
        if hold is not None:
            hold.drop()

    def let_go(self) -> None:
        """Let the talker speak."""
        self._zygote.say("go\n")

    def kill(self, pid: int) -> None:
        """Kill the talker."""
        os.kill(pid, signal.SIGKILL)
        assert self._zygote.hear_until("ended")[-1]["ended"] == -signal.SIGKILL

    def go_on(self, case: Case) -> Killed:
        """Let another process open the session and say what is left to say."""
        says: list[tuple[str, str | None]] = [("two", "key"), ("three", None)]
        before = self.asked
        self._say(case, says if case.same_key_first else says[::-1])
        told = self._zygote.hear_until("ended")
        assert told[-1]["ended"] == 0
        return Killed(
            opened=told[0]["opened"],
            says={report["said"]: report for report in told[1:-1]},
            views=[] if self.server is None else [view.user_texts for view in self.server.model_views],
            held=[] if self._kind.held is None else self._kind.held(self.server),
            asked=self.asked - before,
            turns=in_database(self._path, "SELECT state, rebuilds, retries FROM turns ORDER BY turn_index"),
        )

    def run_through(self, case: Case) -> list[bool]:
        """Let a talker run to its end; return of each request of its turn whether a text was streamed for it."""
        self.start(case, stops=False)
        before = self.asked
        self.let_go()
        assert self._zygote.hear_until("ended")[-1]["ended"] == 0
        answers = [] if self.relay is None else self.relay.answers[before:]
        return [answer is not None and bool(answer.end_of(_SHOWN)) for answer in answers]

    def _hold(self, step: Step) -> Hold | None:
        if self.relay is not None and step.place in ("request", "answer", "text"):
            return self.relay.hold(step.place, step.request, text=_SHOWN)
        return None

    def _say(self, case: Case, says: list[tuple[str, str | None]], **where: Any) -> None:
        task = Task(
            path=str(self._path),
            provider=self._kind.provider,
            credential=None
            if self.relay is None
            else {"api_key": self.server.api_key, "base_url": self.relay.base_url},
            config=dict(self._kind.config),
            says=says,
            streamed=case.streamed,
            **where,
        )
        self._zygote.say(task.line())
