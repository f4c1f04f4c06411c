"""What operations need beside the metrics: rules for Prometheus and a dashboard for Grafana, written from one table.

``python -m langswarm_sessions_otel.operations FOLDER`` writes them into a folder. Names of metrics and labels are those
of this version.
"""

from __future__ import annotations

from langswarm_sessions_otel.operations.alerts import ALERTS, Alert
from langswarm_sessions_otel.operations.files import pack_files
from langswarm_sessions_otel.operations.names import PrometheusMetric, label, prometheus_metrics
from langswarm_sessions_otel.operations.panels import ROWS, Panel
from langswarm_sessions_otel.operations.queries import QUERIES, Query

__all__ = [
    "ALERTS",
    "QUERIES",
    "ROWS",
    "Alert",
    "Panel",
    "PrometheusMetric",
    "Query",
    "label",
    "pack_files",
    "prometheus_metrics",
]
