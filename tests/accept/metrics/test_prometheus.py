"""The pack under load: every query finds data in a real Prometheus, and no number of sessions adds a series."""

from __future__ import annotations

import json
import math
import re
import signal
import subprocess

import pytest

from langswarm_sessions_otel.operations import ALERTS, QUERIES, Alert, pack_files
from langswarm_sessions_otel.operations.files import recorded_name
from tests.accept.metrics.prometheus import PACK, program
from tests.accept.metrics.stage import Scraped, Stage

pytestmark = pytest.mark.accept

_PLACEHOLDERS = {"$__rate_interval": "4m", "$provider": ".*", "$model": ".*"}
_MOST_SERIES = 50


def _dashboard() -> list[tuple[str, str]]:
    """Return the title and query of each curve, as Grafana would send it."""
    board = json.loads(pack_files()["grafana/dashboard.json"])
    found = [(panel["title"], target["expr"]) for panel in board["panels"] for target in panel.get("targets", ())]
    for name, value in _PLACEHOLDERS.items():
        found = [(title, expression.replace(name, value)) for title, expression in found]
    return found


@pytest.fixture(scope="module")
def loaded(stage: Stage) -> Stage:
    """Play all loads a few times, so that every rate has something to compare."""
    stage.hanging.begin("hold")
    stage.hanging.hears("holds")
    for number in range(4):
        for process in (stage.first, stage.second):
            process.begin("mixed")
        for process in (stage.first, stage.second):
            process.hears("done")
        for process in (stage.first, stage.second):
            process.begin("share", 5)
        for process in (stage.first, stage.second):
            process.hears("done")
        _take_over(stage)
        stage.first.play("over_http")
        stage.crowd.play("crowd", number * 20, number * 20 + 20)
        stage.prometheus.scrape()
    return stage


def _take_over(stage: Stage) -> None:
    """Let a turn die, and let another one lose its session while it runs."""
    with Scraped(stage.database) as mortal:
        mortal.begin("hold")
        mortal.hears("holds")
    stage.first.play("share", 1)
    stage.second.begin("hold")
    stage.second.hears("holds")
    stage.second.process.send_signal(signal.SIGSTOP)
    stage.first.play("share", 1)  # waits until the lease has expired
    stage.second.process.send_signal(signal.SIGCONT)
    stage.second.hears("done")


_CURVES = [
    pytest.param(title, expression, id=f"{title} {number}") for number, (title, expression) in enumerate(_dashboard())
]


@pytest.mark.parametrize(("title", "expression"), _CURVES)
def test_every_curve_of_the_dashboard_has_data(loaded: Stage, title: str, expression: str) -> None:
    values = [value for _, value in loaded.prometheus.query(expression)]
    assert values, expression
    assert any(not math.isnan(value) for value in values), expression
    if title != "Sessions":
        assert max(value for value in values if not math.isnan(value)) > 0, expression


def test_every_variable_of_the_dashboard_has_values(loaded: Stage) -> None:
    board = json.loads(pack_files()["grafana/dashboard.json"])
    offered = {}
    for variable in board["templating"]["list"]:
        query = variable["query"]["query"].replace("$provider", ".*")
        match = re.fullmatch(r"label_values\((.+), (\w+)\)", query)
        assert match is not None
        offered[variable["name"]] = loaded.prometheus.label_values(match[2], match[1])
    assert offered == {"provider": ["mock", "openai"], "model": ["gpt-5", "m", "other"]}


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_every_alert_looks_at_data(loaded: Stage, alert: Alert) -> None:
    values = [value for _, value in loaded.prometheus.query(recorded_name(alert.query))]
    assert any(not math.isnan(value) and value > 0 for value in values), values


def test_every_rule_is_evaluated_without_an_error(loaded: Stage) -> None:
    rules = loaded.prometheus.rules()
    assert len(rules) == len(ALERTS) + sum(query.recorded is not None for query in QUERIES.values())
    assert [(rule["name"], rule["health"], rule.get("lastError")) for rule in rules if rule["health"] != "ok"] == []


def test_what_happened_at_once_fires_at_once(loaded: Stage) -> None:
    firing = {labels["alertname"] for labels, _ in loaded.prometheus.query('ALERTS{alertstate="firing"}')}
    at_once = {alert.name for alert in ALERTS if alert.lasting == "0s"}
    assert firing == at_once


def test_five_thousand_sessions_add_no_series(loaded: Stage) -> None:
    loaded.crowd.play("crowd", 80, 500)
    few = _series(loaded)
    loaded.crowd.play("crowd", 500, 5000)
    many = _series(loaded)
    [(_, created)] = loaded.prometheus.query(
        'sum(langswarm_session_transitions_total{role="crowd",langswarm_session_transition="create"})'
    )
    print(f"{created:.0f} sessions created: {len(many)} series of {len({name for name, _ in many})} metrics")
    assert created == 5000
    assert many == few
    assert len(many) <= _MOST_SERIES
    assert loaded.prometheus.query('{otel_metric_overflow="true"}') == []


def _series(stage: Stage) -> set[tuple[str, frozenset[tuple[str, str]]]]:
    """Return the series of the crowd's metrics; a histogram's buckets and sum go with its count."""
    stage.prometheus.scrape()
    found = stage.prometheus.query('{role="crowd",__name__=~"langswarm_.+|gen_ai_.+"}')
    series = {(labels.pop("__name__"), frozenset(labels.items())) for labels, _ in found}
    return {one for one in series if not one[0].endswith(("_bucket", "_sum"))}


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "rules", "rules.yaml"),
        ("check", "config", "prometheus.yaml"),
        ("test", "rules", "rules_test.yaml"),
    ],
    ids=" ".join,
)
def test_promtool_is_content(arguments: tuple[str, ...]) -> None:
    done = subprocess.run(
        [program("promtool"), *arguments], cwd=PACK / "prometheus", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
