"""Loads on their way into a backend: played in processes of their own, and looked at from outside."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.accept.tracing.account import Account
from tests.accept.tracing.mlflow import MLflow
from tests.accept.tracing.phoenix import Phoenix
from tests.accept.tracing.processes import ROOT
from tests.accept.tracing.shown import Backend, Shown

__all__ = ["Backends", "Load"]

LOAD_SECONDS = 300
SHOWN_SECONDS = 300
REST_SECONDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Backends:
    """The backends that run."""

    phoenix: Phoenix
    mlflow: MLflow


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """One load, on its way into one backend.

    Attributes:
        backend: Where its spans go.
        protocol: How they get there.
        name: Name of its place in the backend: a project, or an experiment.
        folder: Where its sessions are stored.
        suffix: Ends the ids of its sessions.
    """

    backend: Backend
    protocol: str
    name: str
    folder: Path
    suffix: str = ""

    def play(self, *options: str, **variables: str) -> None:
        """Play it in a process of its own, for as long as it takes."""
        place = self.backend.place(self.name) if not self._account.exists() else self._place.read_text().split()
        self._place.write_text(" ".join(place))
        kept = ["--database", str(self.folder / f"{self.name}.db"), "--account", str(self._account)]
        way = ["--endpoint", self.backend.endpoint(self.protocol), "--protocol", self.protocol]
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "tests.accept.tracing.load",
                f"--suffix={self.suffix}",
                *kept,
                *way,
                *place,
                *options,
            ],
            cwd=ROOT,
            env={**_environment(self.folder), **variables},
            capture_output=True,
            text=True,
            timeout=LOAD_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-4000:]
        assert "Failed to export" not in done.stderr, done.stderr

    @property
    def account(self) -> Account:
        """What was done."""
        return Account.from_json(self._account.read_text())

    def shown(self) -> Shown:
        """Return what the backend shows of it, once it has come to rest: spans are taken first, and sorted in later."""
        expected = sum(len(session.turns) for session in self.account.spoken.values())
        deadline = time.monotonic() + SHOWN_SECONDS
        before = Shown({}, {})
        while True:
            shown = self.backend.shown(self.name)
            turns = sum(len(session.turns) for session in shown.sessions.values())
            is_at_rest = turns >= expected and shown == before
            if is_at_rest or time.monotonic() > deadline:
                return shown
            before = shown
            time.sleep(REST_SECONDS)

    @property
    def _account(self) -> Path:
        return self.folder / f"{self.name}.json"

    @property
    def _place(self) -> Path:
        return self.folder / f"{self.name}.place"


def _environment(folder: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "LC_ALL": "C.UTF-8",
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "SPAN_ONLY",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
    }
