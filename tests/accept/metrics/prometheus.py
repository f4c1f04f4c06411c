"""A Prometheus on the loopback interface, and what its HTTP API says."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

ROOT = Path(__file__).parents[3]
PACK = ROOT / "telemetry" / "operations"
_STARTING_SECONDS = 30.0
_SCRAPING_SECONDS = 120.0


def program(name: str) -> str:
    """Return the path of ``prometheus`` or ``promtool``: on PATH, or where `make accept-metrics` unpacks them."""
    folder = os.environ.get("PROMETHEUS_BIN") or str(ROOT / "build" / "prometheus" / "usr" / "bin")
    found = shutil.which(name) or shutil.which(name, path=folder)
    assert found is not None, f"{name} is needed: install Prometheus, or run `make accept-metrics` on Debian"
    return found


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


class Prometheus:
    """A Prometheus that scrapes every second and evaluates the rules of the pack.

    Args:
        folder: Where it keeps its data.
        targets: Ports to scrape, by what their label ``role`` says.
    """

    def __init__(self, folder: Path, targets: Mapping[str, int]) -> None:
        config = folder / "prometheus.json"  # JSON is YAML
        config.write_text(json.dumps(_config(targets)))
        self._url = f"http://127.0.0.1:{(port := free_port())}"
        self._log = folder / "prometheus.log"
        arguments = [
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen([program("prometheus"), *arguments], stdout=log, stderr=log)
        self._wait()

    def end(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(30)

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Return the labels and value of each series of a vector."""
        data = self._get("query", query=expression)
        assert data["resultType"] == "vector", data["resultType"]
        return [(found["metric"], float(found["value"][1])) for found in data["result"]]

    def scrape(self) -> None:
        """Wait until every target has been scraped twice from now on: rates compare two values."""
        for _ in range(2):
            asked = time.time()
            deadline = time.monotonic() + _SCRAPING_SECONDS
            while not self.query(f"min(timestamp(up)) > {asked} and min(up) == 1"):
                assert time.monotonic() < deadline, "a target is not scraped"
                time.sleep(0.1)

    def label_values(self, label: str, matching: str) -> list[str]:
        """Return what a variable of a dashboard would offer."""
        values: list[str] = self._get(f"label/{label}/values", **{"match[]": matching})
        return values

    def rules(self) -> list[dict[str, Any]]:
        """Return every rule, with how its last evaluation went."""
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def _get(self, path: str, **arguments: str) -> Any:
        with urlopen(f"{self._url}/api/v1/{path}?{urlencode(arguments)}", timeout=30) as answer:
            body = json.load(answer)
        assert body["status"] == "success", body
        return body["data"]

    def _wait(self) -> None:
        deadline = time.monotonic() + _STARTING_SECONDS
        while True:
            try:
                urlopen(f"{self._url}/-/ready", timeout=1).close()
            except OSError:
                assert self.process.poll() is None, self._log.read_text()
                assert time.monotonic() < deadline, self._log.read_text()
                time.sleep(0.1)
            else:
                return


def _config(targets: Mapping[str, int]) -> dict[str, Any]:
    scraped = [{"targets": [f"127.0.0.1:{port}"], "labels": {"role": role}} for role, port in targets.items()]
    return {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(PACK / "prometheus" / "rules.yaml")],
        "scrape_configs": [{"job_name": "langswarm", "static_configs": scraped}],
    }
