"""Servers of other projects as programs: on a port of loopback, in a folder of their own, always ended."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["ServerProcess", "ask", "free_port", "program"]

ROOT = Path(__file__).parents[3]
START_SECONDS = 240.0  # the first start of an environment compiles all that it imports
ASK_SECONDS = 60.0
END_SECONDS = 10.0


def program(environment: str, name: str) -> Path:
    """Return a program of an environment that the Makefile makes; it must be there."""
    found = ROOT / environment / "bin" / name
    assert found.exists(), f"{environment}/bin/{name} is not installed: run `make accept-tracing`"
    return found


def free_port() -> int:
    """Return a port of loopback that is free now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def ask(url: str, body: object = None) -> Any:
    """Return what a server answers as JSON; POST with a body, else GET."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers={"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=ASK_SECONDS) as answer:
        return json.load(answer)


class ServerProcess:
    """A server that runs until it is ended.

    Args:
        command: Program and arguments.
        folder: Where it works and logs.
        environment: Variables beside the few that every program needs.
        ready: Address that answers once it is ready.
    """

    def __init__(
        self, command: Sequence[str | Path], *, folder: Path, environment: Mapping[str, str], ready: str
    ) -> None:
        self._ready = ready
        self._log = folder / "server.log"
        variables = {"PATH": os.defpath, "HOME": str(folder), "TMPDIR": str(folder), "LC_ALL": "C.UTF-8", "TZ": "UTC"}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**variables, **environment},
                start_new_session=True,
            )

    def wait(self) -> None:
        """Wait until it is ready."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                with urllib.request.urlopen(self._ready, timeout=5):
                    return
            except (urllib.error.URLError, OSError):
                is_dead = self._process.poll() is not None or time.monotonic() > deadline
                assert not is_dead, f"it did not start:\n{self._log.read_text(errors='replace')[-3000:]}"
                time.sleep(0.2)

    def end(self) -> None:
        """End it and all that it started, kindly at first."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(END_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
