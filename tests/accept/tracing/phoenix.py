"""Phoenix, and what its REST and GraphQL APIs tell."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from tests.accept.tracing.processes import ServerProcess, ask, free_port, program
from tests.accept.tracing.shown import Shown, ShownSession, ShownSpan, ShownTurn

__all__ = ["Phoenix"]

_TURN = """
    trace { traceId } name spanKind statusCode input { value } output { value }
    cumulativeTokenCountPrompt cumulativeTokenCountCompletion
    descendants(first: 100) { edges { node { name spanKind statusCode } } }
"""
_SESSIONS = f"""
query ($id: ID!) {{ node(id: $id) {{ ... on Project {{ sessions(first: 1000) {{ edges {{ node {{
    id sessionId numTraces firstInput {{ value }} lastOutput {{ value }} tokenUsage {{ prompt completion }}
    traces(first: 1000) {{ edges {{ node {{ startTime rootSpan {{ {_TURN} }} }} }} }}
}} }} }} }} }} }}
"""
_ROOTS = """
query ($id: ID!) { node(id: $id) { ... on Project { spans(first: 1000, filterCondition: "parent_id is None") { edges {
    node { name trace { traceId session { sessionId } } }
} } } } }
"""


class Phoenix:
    """A Phoenix server, its spans sent over HTTP or gRPC; each load is a project of its own.

    Its gRPC port is open on every interface, whatever it is told: run it where there is loopback alone.

    Args:
        folder: Where it keeps everything.
    """

    def __init__(self, folder: Path) -> None:
        self._port, self._grpc_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self.process = ServerProcess(
            [program(".venv-phoenix", "phoenix"), "serve"],
            folder=folder,
            environment={
                "PHOENIX_HOST": "127.0.0.1",
                "PHOENIX_PORT": str(self._port),
                "PHOENIX_GRPC_PORT": str(self._grpc_port),
                "PHOENIX_WORKING_DIR": str(folder),
                "PHOENIX_TELEMETRY_ENABLED": "false",
                "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false",
                "PHOENIX_DISABLE_AGENT_ASSISTANT": "true",
            },
            ready=f"{self.url}/healthz",
        )

    def endpoint(self, protocol: str) -> str:
        """Return where spans are sent to by a protocol."""
        return f"http://127.0.0.1:{self._grpc_port}" if protocol == "grpc" else self.url

    def place(self, name: str) -> list[str]:
        """Return the arguments of a load whose spans go to a project of this name."""
        return ["--resource", f"openinference.project.name={name}"]

    def project(self, name: str) -> str | None:
        """Return the id of a project, None when there is none yet."""
        found = ask(f"{self.url}/v1/projects?limit=100")["data"]
        return next((project["id"] for project in found if project["name"] == name), None)

    def session(self, project: str, session_id: str) -> str:
        """Return the id that the pages of a session are addressed by."""
        sessions = self._query(_SESSIONS, project)["sessions"]["edges"]
        (found,) = (edge["node"]["id"] for edge in sessions if edge["node"]["sessionId"] == session_id)
        return str(found)

    def told_over_rest(self, name: str) -> dict[str, int]:
        """Return how many traces each session has, as the REST API tells it."""
        sessions = ask(f"{self.url}/v1/projects/{name}/sessions?limit=1000")["data"]
        return {session["session_id"]: len(session["traces"]) for session in sessions}

    def shown(self, name: str) -> Shown:
        """Return what is shown of one project."""
        project = self.project(name)
        if project is None:
            return Shown({}, {})
        sessions = [edge["node"] for edge in self._query(_SESSIONS, project)["sessions"]["edges"]]
        roots = [edge["node"] for edge in self._query(_ROOTS, project)["spans"]["edges"]]
        apart = {root["trace"]["traceId"]: root["name"] for root in roots if root["trace"]["session"] is None}
        return Shown({session["sessionId"]: _session(session) for session in sessions}, apart)

    def _query(self, query: str, node: str) -> dict[str, Any]:
        answer = ask(f"{self.url}/graphql", {"query": query, "variables": {"id": node}})
        assert "errors" not in answer, answer["errors"]
        found: dict[str, Any] = answer["data"]["node"]
        return found


def _session(told: dict[str, Any]) -> ShownSession:
    nodes = (edge["node"] for edge in told["traces"]["edges"])
    traces = sorted(nodes, key=lambda trace: datetime.fromisoformat(trace["startTime"]))
    usage = told["tokenUsage"]
    return ShownSession(
        turns=tuple(_turn(trace["rootSpan"]) for trace in traces),
        counted=told["numTraces"],
        first_input=_value(told["firstInput"]),
        last_output=_value(told["lastOutput"]),
        tokens=(int(usage["prompt"]), int(usage["completion"])),
    )


def _turn(root: dict[str, Any]) -> ShownTurn:
    return ShownTurn(
        trace_id=root["trace"]["traceId"],
        root=_span(root),
        said=_value(root["input"]),
        answered=_value(root["output"]),
        input_tokens=int(root["cumulativeTokenCountPrompt"] or 0),
        output_tokens=int(root["cumulativeTokenCountCompletion"] or 0),
        spans=tuple(_span(edge["node"]) for edge in root["descendants"]["edges"]),
    )


def _span(told: dict[str, Any]) -> ShownSpan:
    kind = told["spanKind"]
    return ShownSpan(name=told["name"], kind="" if kind == "unknown" else kind, failed=told["statusCode"] == "ERROR")


def _value(told: dict[str, Any] | None) -> str | None:
    return None if told is None else told["value"]
