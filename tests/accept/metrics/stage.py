"""Processes under load, and the Prometheus that scrapes them."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from tests.accept.metrics.prometheus import ROOT, Prometheus, free_port

__all__ = ["Scraped", "Stage"]


class Scraped:
    """A process that serves metrics and plays loads.

    Args:
        database: The database it works on.
        environment: More variables.
    """

    def __init__(self, database: Path, **environment: str) -> None:
        self.port = free_port()
        packages = [str(ROOT), str(ROOT / "telemetry"), str(ROOT / "integrations"), os.environ.get("PYTHONPATH", "")]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.accept.metrics.scraped", str(self.port), str(database)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(packages), **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.hears("ready")

    def begin(self, load: str, *amounts: int) -> None:
        """Tell it to play a load."""
        assert self.process.stdin is not None
        print(load, *amounts, file=self.process.stdin, flush=True)

    def hears(self, word: str) -> None:
        """Wait until it says something."""
        assert self.process.stdout is not None
        said = self.process.stdout.readline().strip()
        assert said == word, f"{said!r} instead of {word!r}"

    def play(self, load: str, *amounts: int) -> None:
        """Have it play a load to its end."""
        self.begin(load, *amounts)
        self.hears("done")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


class Stage:
    """Two processes that share a database, one with a crowd of sessions, one whose turn hangs, and Prometheus."""

    def __init__(self, folder: Path, exits: ExitStack) -> None:
        self.database = folder / "sessions.db"
        self.first = exits.enter_context(Scraped(self.database))
        self.second = exits.enter_context(
            Scraped(self.database, OTEL_SEMCONV_STABILITY_OPT_IN="gen_ai_latest_experimental")
        )
        self.crowd = exits.enter_context(Scraped(folder / "crowd.db"))
        self.hanging = exits.enter_context(Scraped(folder / "hanging.db"))
        roles = {"first": self.first, "second": self.second, "crowd": self.crowd, "hanging": self.hanging}
        self.prometheus = Prometheus(folder, {role: process.port for role, process in roles.items()})
        exits.callback(self.prometheus.end)
