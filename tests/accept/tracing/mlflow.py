"""MLflow, and what its REST API tells."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.accept.tracing.processes import ServerProcess, ask, free_port, program
from tests.accept.tracing.shown import Shown, ShownSession, ShownSpan, ShownTurn

__all__ = ["MLflow"]

SESSION = "mlflow.trace.session"
_MOST_TRACES = 500


class MLflow:
    """An MLflow tracking server, its spans sent over HTTP; each load is an experiment of its own.

    Args:
        folder: Where it keeps everything.
    """

    def __init__(self, folder: Path) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        listening: list[str | Path] = ["--host", "127.0.0.1", "--port", str(port)]
        kept = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "kept")]
        self.process = ServerProcess(
            [program(".venv-mlflow", "mlflow"), "server", *listening, "--workers", "1", *kept],
            folder=folder,
            environment={"MLFLOW_DISABLE_TELEMETRY": "true"},
            ready=f"{self.url}/health",
        )
        self._experiments: dict[str, str] = {}

    def endpoint(self, protocol: str) -> str:
        """Return where spans are sent to."""
        assert protocol == "http/protobuf", "MLflow takes OTLP over HTTP alone"
        return self.url

    def place(self, name: str) -> list[str]:
        """Return the arguments of a load whose spans go to an experiment of this name, which is made."""
        made = ask(f"{self.url}/api/2.0/mlflow/experiments/create", {"name": name})
        self._experiments[name] = made["experiment_id"]
        return ["--header", f"x-mlflow-experiment-id={made['experiment_id']}"]

    def experiment(self, name: str) -> str:
        """Return the id of an experiment."""
        return self._experiments[name]

    def found(self, name: str, where: str = "") -> list[dict[str, Any]]:
        """Return the traces of an experiment that a filter of MLflow's search finds."""
        place = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": self._experiments[name]}}
        query = {"locations": [place], "max_results": _MOST_TRACES, "filter": where}
        found: list[dict[str, Any]] = ask(f"{self.url}/api/3.0/mlflow/traces/search", query).get("traces", [])
        return found

    def spans(self, trace_id: str) -> list[dict[str, Any]]:
        """Return the spans of a trace."""
        found: list[dict[str, Any]] = ask(f"{self.url}/api/3.0/mlflow/traces/get?trace_id={trace_id}")["trace"]["spans"]
        return found

    def shown(self, name: str) -> Shown:
        """Return what is shown of one experiment."""
        sessions: dict[str, list[ShownTurn]] = {}
        apart: dict[str, str] = {}
        for trace in sorted(self.found(name), key=lambda trace: datetime.fromisoformat(trace["request_time"])):
            spans = self.spans(trace["trace_id"])
            if all(span.get("parent_span_id") for span in spans):
                continue  # its root ended last, and is still to come
            session_id = trace.get("trace_metadata", {}).get(SESSION)
            if session_id is None:
                apart[_hexadecimal(_root(spans)["trace_id"])] = _root(spans)["name"]
            else:
                sessions.setdefault(session_id, []).append(_turn(trace, spans))
        found = {
            session_id: ShownSession(
                turns=tuple(turns), counted=len(self.found(name, f"metadata.`{SESSION}` = '{session_id}'"))
            )
            for session_id, turns in sessions.items()
        }
        return Shown(found, apart)


def _turn(trace: dict[str, Any], spans: list[dict[str, Any]]) -> ShownTurn:
    root = _root(spans)
    usage = json.loads(trace["trace_metadata"].get("mlflow.trace.tokenUsage", "{}"))
    shown = _span(root)
    assert shown.failed == (trace["state"] == "ERROR"), "MLflow marks a trace as its root is"
    return ShownTurn(
        trace_id=_hexadecimal(root["trace_id"]),
        root=shown,
        said=_previewed(trace.get("request_preview")),
        answered=_previewed(trace.get("response_preview")),
        input_tokens=usage.get("input_tokens", 0),
        output_tokens=usage.get("output_tokens", 0),
        spans=tuple(_span(span) for span in spans if span is not root),
        links=tuple(_hexadecimal(link["trace_id"]) for link in root.get("links", [])),
    )


def _previewed(preview: str | None) -> str | None:
    value = None if preview is None else json.loads(preview)
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _hexadecimal(trace_id: str) -> str:
    return base64.b64decode(trace_id).hex()


def _root(spans: list[dict[str, Any]]) -> dict[str, Any]:
    (root,) = (span for span in spans if not span.get("parent_span_id"))
    return root


def _span(told: dict[str, Any]) -> ShownSpan:
    kind = _attributes(told).get("mlflow.spanType", "").lower()
    return ShownSpan(
        name=told["name"],
        kind={"chat_model": "llm", "unknown": ""}.get(kind, kind),
        failed=told.get("status", {}).get("code") == "STATUS_CODE_ERROR",
    )


def _attributes(span: dict[str, Any]) -> dict[str, str]:
    return {pair["key"]: pair["value"].get("string_value", "") for pair in span.get("attributes", [])}
