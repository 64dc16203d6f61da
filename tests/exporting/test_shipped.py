"""What is shipped for Grafana and Prometheus speaks of figures that exist, and has the shape that they need."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.exporting.figures import asked_for, exported, unknown

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
RULES = DEPLOY / "prometheus" / "mindbot.rules.yml"
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana" / "mindbot.json").read_text())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def plain(expression: str) -> str:
    """Without Grafana's variables."""
    return expression.replace("$__rate_interval", "1m").replace("$job", ".*")


def test_names_are_read_out_of_promql() -> None:
    expression = 'sum by (a, le) (rate(x_total{b=~"c{d}", e!="f"}[5m])) / on (a) max(y) > 2e9 and z offset 5m'
    assert list(asked_for(expression)) == [
        ("", {"a", "le"}), ("x_total", {"b", "e"}), ("", {"a"}), ("y", set()), ("z", set()),
    ]  # fmt: skip
    assert unknown('max by (stage) (mindbot_ready{queue="x"}) + mindbot_nothing') == [
        "mindbot_nothing", "mindbot_ready{queue}", "by (stage)",
    ]  # fmt: skip


@pytest.mark.parametrize("panel", [panel for panel in PANELS if "targets" in panel], ids=lambda panel: panel["title"])
def test_a_panel_asks_for_figures_and_labels_that_exist(panel: dict[str, Any]) -> None:
    assert panel["datasource"] == SOURCE
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
    for target in panel["targets"]:
        assert target["datasource"] == SOURCE
        assert unknown(plain(target["expr"])) == []
        assert 'job=~"$job"' in target["expr"]
        grouped = {label for name, labels in asked_for(plain(target["expr"])) if not name for label in labels}
        shown = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
        assert shown <= grouped, "a legend can only show what is grouped by"


def test_the_dashboard_is_one_that_grafana_can_load() -> None:
    assert DASHBOARD["uid"] == "mindbot"
    assert DASHBOARD["id"] is None  # Grafana gives the number
    assert DASHBOARD["schemaVersion"] >= 39
    ids = [panel["id"] for panel in PANELS]
    assert len(set(ids)) == len(ids)
    assert all(panel["title"] for panel in PANELS)
    variables = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    assert variables["datasource"]["query"] == "prometheus"
    assert variables["job"]["datasource"] == SOURCE
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(PANELS)))
    assert used - {"__rate_interval", "__all"} <= variables.keys()
    kinds = {"row", "stat", "timeseries", "state-timeline", "bargauge", "heatmap"}
    assert {panel["type"] for panel in PANELS} <= kinds


def test_panels_lie_on_the_grid_and_none_covers_another() -> None:
    places = [(panel["title"], panel["gridPos"]) for panel in PANELS]
    for title, place in places:
        assert 0 <= place["x"] < place["x"] + place["w"] <= 24, title
        assert place["h"] > 0 <= place["y"], title
    for (title, a), (other, b) in combinations(places, 2):
        apart = (
            a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"] or a["y"] + a["h"] <= b["y"]
            or b["y"] + b["h"] <= a["y"]
        )  # fmt: skip
        assert apart, f"{title} and {other}"


def test_every_rule_asks_for_figures_that_exist_and_says_what_to_do() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names)
    for rule in rules():
        assert unknown(rule["expr"]) == [], rule["alert"]
        assert rule["alert"].startswith("MindBot")
        assert rule["labels"]["severity"] in ("critical", "high", "medium", "low")
        assert set(rule["annotations"]) == {"summary", "description", "runbook"}, rule["alert"]
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        grouped = {label for name, labels in asked_for(rule["expr"]) if not name for label in labels}
        told = set(re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values())))
        assert told <= grouped | {"instance"}, rule["alert"]


def test_figures_of_the_fleet_are_never_added_up() -> None:
    """Each web process shows the same, so a sum would count the fleet as often as there are of them."""
    gauges = {name for name, (kind, _, _) in exported().items() if kind == "gauge"}
    gauges -= {"mindbot_process_resident_memory_bytes", "mindbot_processes"}  # of each machine
    asked = [target["expr"] for panel in PANELS for target in panel.get("targets", ())] + [r["expr"] for r in rules()]
    assert gauges & {name for expression in asked for name, _ in asked_for(plain(expression))}, "some are asked for"
    for expression in asked:
        for name, _ in asked_for(plain(expression)):
            if name in gauges:
                before = plain(expression).partition(name)[0]
                functions = re.findall(r"(\w+)\s*(?:by\s*\([^)]*\)\s*)?\($", before)
                assert functions, expression
                assert functions[-1] in ("max", "min", "absent"), expression


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed here")
@pytest.mark.parametrize(
    "command", [("check", "rules", "mindbot.rules.yml"), ("test", "rules", "mindbot.rules.test.yml")]
)
def test_promtool_agrees(command: tuple[str, ...]) -> None:
    done = subprocess.run(["promtool", *command], cwd=RULES.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_that_are_tested_exist() -> None:
    tests = yaml.safe_load((RULES.parent / "mindbot.rules.test.yml").read_text())
    tested = {case["alertname"] for test in tests["tests"] for case in test["alert_rule_test"]}
    assert tested <= {rule["alert"] for rule in rules()}
    assert tests["rule_files"] == [RULES.name]


def test_prometheus_scrapes_what_the_compose_file_starts() -> None:
    config = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
    compose = yaml.safe_load((DEPLOY.parent / "docker-compose.yml").read_text())["services"]
    (job,) = config["scrape_configs"]
    assert job["job_name"] == "mindbot"  # the rules say so
    targets = dict(target.split(":") for target in job["static_configs"][0]["targets"])
    port = compose["worker_fast"]["environment"]["MINDBOT_METRICS_PORT"]
    assert targets == {"web": "8000", **{name: port for name in compose if name.startswith("worker_")}}
    assert any(volume.startswith("./deploy/prometheus:") for volume in compose["prometheus"]["volumes"])
    assert config["rule_files"] == ["/etc/prometheus/rules/*.rules.yml"]


def test_grafana_finds_its_data_source_and_its_dashboard() -> None:
    provisioning = DEPLOY / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())["datasources"]
    assert (source["type"], source["url"]) == ("prometheus", "http://prometheus:9090")
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "mindbot.yml").read_text())["providers"]
    compose = yaml.safe_load((DEPLOY.parent / "docker-compose.yml").read_text())["services"]["grafana"]
    mounted = dict(volume.split(":")[:2] for volume in compose["volumes"])
    assert mounted["./deploy/grafana/mindbot.json"] == f"{provider['options']['path']}/mindbot.json"
