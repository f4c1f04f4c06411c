"""The dashboard as Grafana imports it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

from langswarm_sessions_otel import semconv
from langswarm_sessions_otel.operations.names import label, prometheus_metrics
from langswarm_sessions_otel.operations.panels import ROWS, Panel
from langswarm_sessions_otel.operations.queries import CHOICES, QUERIES

Json: TypeAlias = "Mapping[str, Json] | list[Json] | str | int | float | bool | None"

_SOURCE: Final = {"type": "prometheus", "uid": "${DS_PROMETHEUS}"}
_LEAST_STEP: Final = "1m"
"""How often processes send: a collector is scraped more often, and rates over less would jump up and down."""
_WIDTH, _HEIGHT, _ACROSS = 8, 8, 3
_INPUT: Final[dict[str, Json]] = {
    "name": "DS_PROMETHEUS",
    "label": "Prometheus",
    "description": "",
    "type": "datasource",
    "pluginId": "prometheus",
    "pluginName": "Prometheus",
}


def dashboard() -> dict[str, Json]:
    """Return the dashboard."""
    return {
        "__inputs": [_INPUT],
        "__requires": [
            {"type": "grafana", "id": "grafana", "name": "Grafana", "version": "10.0.0"},
            {"type": "datasource", "id": "prometheus", "name": "Prometheus", "version": "1.0.0"},
            {"type": "panel", "id": "timeseries", "name": "Time series", "version": ""},
        ],
        "uid": "langswarm-sessions",
        "title": "langswarm-sessions",
        "tags": ["langswarm-sessions"],
        "schemaVersion": 38,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {
            "list": [_variable("provider", semconv.PROVIDER_NAME), _variable("model", semconv.REQUEST_MODEL)]
        },
        "panels": list(_panels()),
    }


def _variable(name: str, attribute: str) -> Json:
    turns = f"{prometheus_metrics()[semconv.TURN_DURATION].names[0]}_count"
    chosen = f"{{{CHOICES['@provider']}}}" if name == "model" else ""
    query = f"label_values({turns}{chosen}, {label(attribute)})"
    return {
        "name": name,
        "label": name.capitalize(),
        "type": "query",
        "datasource": _SOURCE,
        "definition": query,
        "query": {"query": query, "refId": "A"},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
    }


def _panels() -> Iterator[Json]:
    number, top = 0, 0
    for title, panels in ROWS.items():
        number += 1
        place = {"h": 1, "w": _WIDTH * _ACROSS, "x": 0, "y": top}
        yield {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []}
        top += 1
        for index, panel in enumerate(panels):
            number += 1
            line, column = divmod(index, _ACROSS)
            yield _panel(panel, number=number, left=column * _WIDTH, top=top + line * _HEIGHT)
        top += -(-len(panels) // _ACROSS) * _HEIGHT


def _panel(panel: Panel, *, number: int, left: int, top: int) -> Json:
    targets: list[Json] = [
        {
            "refId": "ABCDEFGH"[index],
            "datasource": _SOURCE,
            "editorMode": "code",
            "expr": QUERIES[curve.query].over("$__rate_interval", choices=CHOICES),
            "interval": _LEAST_STEP,
            "legendFormat": curve.legend,
            "range": True,
        }
        for index, curve in enumerate(panel.curves)
    ]
    return {
        "id": number,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.says,
        "datasource": _SOURCE,
        "gridPos": {"h": _HEIGHT, "w": _WIDTH, "x": left, "y": top},
        "fieldConfig": {
            "defaults": {"unit": panel.unit, "custom": {"fillOpacity": 10, "showPoints": "auto"}},
            "overrides": [],
        },
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "targets": targets,
    }
