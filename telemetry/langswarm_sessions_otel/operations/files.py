"""The files of the pack: rules for Prometheus, a dashboard for Grafana."""

from __future__ import annotations

import json
from typing import Final

from langswarm_sessions_otel.operations.alerts import ALERTS, Alert
from langswarm_sessions_otel.operations.dashboard import dashboard
from langswarm_sessions_otel.operations.queries import QUERIES

_HEAD: Final = """\
# Written by `python -m langswarm_sessions_otel.operations`. Thresholds are yours to change.
groups:
"""


def recorded_name(query: str) -> str:
    """Return the name of the series that a rule records.

    Args:
        query: Name of a recorded query.

    Returns:
        A name such as ``langswarm:turns:5m``.
    """
    return f"langswarm:{query}:{QUERIES[query].recorded}"


def pack_files() -> dict[str, str]:
    """Return the text of each file, by its path within the pack."""
    return {
        "prometheus/rules.yaml": _rules(),
        "grafana/dashboard.json": json.dumps(dashboard(), indent=2, ensure_ascii=False) + "\n",
    }


def _rules() -> str:
    recorded = "".join(
        f"      - record: {recorded_name(name)}\n        expr: {_scalar(query.over(query.recorded))}\n"
        for name, query in QUERIES.items()
        if query.recorded is not None
    )
    alerts = "".join(map(_alert, ALERTS))
    return (
        f"{_HEAD}  - name: langswarm-sessions\n    rules:\n{recorded}"
        f"\n  - name: langswarm-sessions-alerts\n    rules:\n{alerts}"
    )


def _alert(alert: Alert) -> str:
    expression = f"{recorded_name(alert.query)} > {alert.above:g}"
    lasting = "" if alert.lasting == "0s" else f"        for: {alert.lasting}\n"
    return (
        f"      - alert: {alert.name}\n"
        f"        expr: {_scalar(expression)}\n"
        f"{lasting}"
        f"        labels:\n"
        f"          severity: {alert.severity}\n"
        f"        annotations:\n"
        f"          summary: {_scalar(alert.summary)}\n"
        f"          description: {_scalar(f'It is {{{{ $value | {alert.figure} }}}}; see {{{{ $labels }}}}.')}\n"
        f"          runbook: {_scalar(alert.runbook)}\n"
    )


def _scalar(text: str) -> str:
    """Return a text as YAML in single quotes, in which a quote is written twice and nothing else is special."""
    quoted = text.replace("'", "''")
    return f"'{quoted}'"
