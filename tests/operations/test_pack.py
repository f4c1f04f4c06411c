"""The files of the pack: as generated, well-formed, and at one with each other and with the documentation."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from langswarm_sessions_otel import semconv
from langswarm_sessions_otel.operations import ALERTS, QUERIES, ROWS, Alert, pack_files, prometheus_metrics
from langswarm_sessions_otel.operations.files import recorded_name

ROOT = Path(__file__).parents[2]
PACK = ROOT / "telemetry" / "operations"
PAGE = ROOT / "docs" / "telemetry" / "operations.md"
parse: Callable[[str], Any] = import_module("yaml").safe_load  # has no types


def read(name: str) -> Any:
    return parse((PACK / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", pack_files())
def test_the_committed_files_are_those_that_are_generated(name: str) -> None:
    assert (PACK / name).read_text(encoding="utf-8") == pack_files()[name], (
        "run `python -m langswarm_sessions_otel.operations telemetry/operations`"
    )


def test_the_command_writes_them(own_folder: Path) -> None:
    subprocess.run([sys.executable, "-m", "langswarm_sessions_otel.operations", "pack"], check=True)
    written = {str(path.relative_to("pack")): path.read_text() for path in Path("pack").rglob("*.*")}
    assert written == pack_files()


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "pack").write_text("a file")
    wrong = [sys.executable, "-m", "langswarm_sessions_otel.operations", str(tmp_path / "pack")]
    outcome = subprocess.run(wrong, check=False, capture_output=True, text=True)
    assert outcome.returncode == 1
    assert outcome.stderr.startswith("error: ")
    assert outcome.stderr.endswith("cannot be written (Not a directory). Name another folder.\n")
    assert outcome.stderr.count("\n") == 1


def test_rules_record_what_alerts_look_at() -> None:
    recording, alerting = (group["rules"] for group in read("prometheus/rules.yaml")["groups"])
    recorded = {rule["record"]: rule["expr"] for rule in recording}
    assert recorded == {
        recorded_name(name): query.over(query.recorded) for name, query in QUERIES.items() if query.recorded
    }
    assert [rule["alert"] for rule in alerting] == [alert.name for alert in ALERTS]
    for rule, alert in zip(alerting, ALERTS, strict=True):
        series, comparison, threshold = rule["expr"].split()
        assert series in recorded
        assert (comparison, float(threshold)) == (">", alert.above)
        assert rule.get("for", "0s") == alert.lasting
        assert rule["annotations"]["summary"] == alert.summary


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_a_threshold_of_a_quantile_is_a_bound_of_the_buckets(alert: Alert) -> None:
    """Between two bounds Prometheus guesses: a threshold there fires for what is quicker than it says."""
    histogram = re.match(r"histogram_quantile\(.*rate\((\w+)_bucket\b", QUERIES[alert.query].text)
    if histogram is None:
        assert "histogram_quantile" not in QUERIES[alert.query].text
        return
    [bounds] = [semconv.BUCKETS[name] for name, metric in prometheus_metrics().items() if histogram[1] in metric.names]
    assert alert.above in bounds
    said = "half a second" if alert.above == 0.5 else f"{alert.above:g} seconds"
    assert said in alert.summary


def test_every_alert_has_its_section_in_the_runbook() -> None:
    sections = {heading.lower() for heading in re.findall(r"^### (\w+)$", PAGE.read_text(), flags=re.MULTILINE)}
    linked = {alert.runbook.removeprefix("docs/telemetry/operations.md#") for alert in ALERTS}
    assert sections == linked


def test_promtool_is_given_both_sides_of_every_alert() -> None:
    tests = read("prometheus/rules_test.yaml")["tests"]
    expected = "".join(str(check) for test in tests for check in test["promql_expr_test"] if check["exp_samples"])
    assert [alert.name for alert in ALERTS if alert.name not in expected] == []
    assert [test["name"] for test in tests if not any(c["exp_samples"] == [] for c in test["promql_expr_test"])] == []


def test_the_dashboard_can_be_imported() -> None:
    board = json.loads(pack_files()["grafana/dashboard.json"])
    [source] = board["__inputs"]
    assert (source["name"], source["pluginId"]) == ("DS_PROMETHEUS", "prometheus")
    assert [variable["name"] for variable in board["templating"]["list"]] == ["provider", "model"]
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert [panel["title"] for panel in panels if panel["type"] == "row"] == list(ROWS)
    for panel in panels:
        for holder in (panel, *panel.get("targets", ())):
            assert holder.get("datasource", {"uid": "${DS_PROMETHEUS}"})["uid"] == "${DS_PROMETHEUS}"
        references = [target["refId"] for target in panel.get("targets", ())]
        assert len({*references}) == len(references)


def test_panels_look_back_over_several_exports_of_a_process() -> None:
    """Prometheus scrapes a collector more often than processes send: the least step says how often there is news."""
    panels = json.loads(pack_files()["grafana/dashboard.json"])["panels"]
    assert {target.get("interval") for panel in panels for target in panel.get("targets", ())} == {"1m"}


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(pack_files()["grafana/dashboard.json"])["panels"]:
        place = panel["gridPos"]
        columns, lines = range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
        cells = {(column, line) for column in columns for line in lines}
        assert columns.stop <= 24
        assert not cells & taken, panel["title"]
        taken |= cells


def test_every_query_is_shown_or_recorded() -> None:
    shown = {curve.query for panels in ROWS.values() for panel in panels for curve in panel.curves}
    assert shown == {*QUERIES}


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Merge as the collector merges files: maps by key, all else replaced."""
    both = {key: (base[key], over[key]) for key in base.keys() & over.keys()}
    inner = {key: merged(*pair) if isinstance(pair[0], dict) else pair[1] for key, pair in both.items()}
    return {**base, **over, **inner}


@pytest.mark.parametrize("is_sampled", [False, True])
def test_the_collector_has_what_its_pipelines_name(is_sampled: bool) -> None:
    config = read("collector/collector.yaml")
    if is_sampled:
        config = merged(config, read("collector/tail-sampling.yaml"))
    service = config["service"]
    assert {*service["extensions"]} == {*config["extensions"]}
    for kind in ("receivers", "processors", "exporters"):
        named = {part for pipeline in service["pipelines"].values() for part in pipeline[kind]}
        assert named == {*config[kind]}
    for pipeline in service["pipelines"].values():
        assert pipeline["processors"][0] == "memory_limiter"
    assert ("tail_sampling" in service["pipelines"]["traces"]["processors"]) is is_sampled


def test_the_collector_takes_all_that_processes_send() -> None:
    """What has no pipeline it refuses, as for events: their processes count that, and the alert of telemetry fires."""
    pipelines = read("collector/collector.yaml")["service"]["pipelines"]
    assert {*pipelines} == {"metrics", "traces", "logs"}
    assert {name for name, pipeline in pipelines.items() if pipeline["receivers"] == ["otlp"]} == {*pipelines}


def test_everything_listens_on_loopback() -> None:
    config = read("collector/collector.yaml")
    listening = [
        config["extensions"]["health_check"],
        *config["receivers"]["otlp"]["protocols"].values(),
        config["exporters"]["prometheus"],
    ]
    assert {part["endpoint"].split(":")[0] for part in listening} == {"127.0.0.1"}


def test_prometheus_scrapes_the_collector_and_reads_the_rules() -> None:
    config = read("prometheus/prometheus.yaml")
    assert [(PACK / "prometheus" / name).is_file() for name in config["rule_files"]] == [True]
    [job] = config["scrape_configs"]
    assert job["honor_labels"] is True, "or processes behind one collector cannot be told apart"
    exported = read("collector/collector.yaml")["exporters"]["prometheus"]["endpoint"]
    assert job["static_configs"] == [{"targets": [exported]}]
