"""A running ogx: another project's server of OpenAI's Responses and Conversations, killed and restarted by tests.

ogx keeps responses and conversations in SQLite files; aimock plays the model behind it. It needs Python 3.12, so it
lives in an environment of its own and is run as a program: `make accept-ogx`.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from openai import OpenAI

__all__ = ["MODEL", "OgxServer", "program"]

MODEL = "openai/gpt-5.4"
START_SECONDS = 90.0
_VARIABLE = "OGX"


def program() -> Path:
    """Return the program, which must be there."""
    named = os.environ.get(_VARIABLE)
    found = Path(named) if named else Path(__file__).parents[3] / ".venv-ogx" / "bin" / "ogx"
    assert found.exists(), f"ogx is not installed at {found}: run `make accept-ogx`, or name the program in {_VARIABLE}"
    return found


@dataclass(slots=True)
class OgxServer:
    """One ogx on a loopback port; what it keeps outlives its processes.

    Attributes:
        folder: Where it keeps everything.
        upstream: Base address of the model server behind it.
    """

    folder: Path
    upstream: str
    port: int = field(default_factory=lambda: _free_port())
    _process: subprocess.Popen[bytes] | None = None

    @property
    def base_url(self) -> str:
        """What the OpenAI SDK is given as `base_url`."""
        return f"http://127.0.0.1:{self.port}/v1"

    def client(self) -> OpenAI:
        """Return an SDK client for this server, without retries."""
        return OpenAI(api_key="test", base_url=self.base_url, max_retries=0)

    def start(self) -> None:
        """Start it, on the port and files of before, and wait until it answers."""
        (self.folder / "run.yaml").write_text(json.dumps(_configuration(self.port, self.upstream)))  # YAML holds JSON
        command: list[str | Path] = [program(), "run", "run.yaml", "--port", str(self.port), "--insecure"]
        with (self.folder / "ogx.log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={"PATH": os.defpath, "HOME": str(self.folder), "LC_ALL": "C.UTF-8"},
                start_new_session=True,
            )
        self._wait()

    def kill(self) -> None:
        """End it with SIGKILL, whatever it is doing."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """Kill it and start it again."""
        self.kill()
        self.start()

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                with urllib.request.urlopen(f"{self.base_url}/health", timeout=5):
                    return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                assert self._process is not None
                is_dead = self._process.poll() is not None or time.monotonic() > deadline
                assert not is_dead, f"ogx did not start:\n{(self.folder / 'ogx.log').read_text()[-3000:]}"
                time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def _configuration(port: int, upstream: str) -> dict[str, Any]:
    """Return what ogx is told: one model, everything in SQLite, nothing that is fetched from elsewhere at the start."""
    model = {"model_id": "gpt-5.4", "provider_id": "openai", "provider_model_id": "gpt-5.4", "model_type": "llm"}
    files = {"storage_dir": "./files", "metadata_store": {"table_name": "files", "backend": "sql_default"}}
    kept = {"responses": {"table_name": "responses", "backend": "sql_default"}}
    return {
        "version": 2,
        "distro_name": "minimal",
        "apis": ["inference", "responses", "files", "tool_runtime", "vector_io", "file_processors"],
        "providers": {
            "inference": [_provider("openai", "remote::openai", {"api_key": "none", "base_url": upstream})],
            "vector_io": [],
            "file_processors": [],
            "files": [_provider("files", "inline::localfs", files)],
            "responses": [_provider("builtin", "inline::builtin", {"persistence": kept})],
            "tool_runtime": [_provider("mcp", "remote::model-context-protocol", {})],
        },
        "storage": {
            "backends": {
                "kv_default": {"type": "kv_sqlite", "db_path": "./kv.db"},
                "sql_default": {"type": "sql_sqlite", "db_path": "./sql.db"},
            },
            "stores": {
                "metadata": {"namespace": "registry", "backend": "kv_default"},
                "inference": {"table_name": "inference", "backend": "sql_default", "enabled": True},
                "conversations": {"table_name": "conversations", "backend": "sql_default"},
                "prompts": {"table_name": "prompts", "backend": "sql_default"},
                "connectors": {"table_name": "connectors", "backend": "sql_default"},
            },
        },
        "registered_resources": {"models": [{**model, "metadata": {}}]},
        "server": {"port": port, "host": "127.0.0.1"},
        "connectors": [],
    }


def _provider(name: str, kind: str, config: dict[str, Any]) -> dict[str, Any]:
    return {"provider_id": name, "provider_type": kind, "config": config}
