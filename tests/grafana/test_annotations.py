"""The marks on all panels of a dashboard: alerts, maintenance, reloads and new versions."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.grafana.reading import NAMES, defaults, fill, marks, read_dashboard
from tests.servers.prometheus import promtool

if TYPE_CHECKING:
    from pathlib import Path

    from tests.grafana.scene import Scene
    from tests.servers.prometheus import Prometheus


@pytest.mark.parametrize("name", NAMES)
def test_alerts_are_marked(scene: Scene, name: str) -> None:
    """The annotation finds firing alerts."""
    dashboard = read_dashboard(name)
    scene.prometheus.wait_for(fill(marks(dashboard)["Alerts"], defaults(dashboard)))


def test_alerts_about_more_than_a_check_are_marked_on_the_overview(scene: Scene) -> None:
    """Grafana puts the names of all checks for the variable, and these alerts have no label `check`."""
    dashboard = read_dashboard("overview")
    query = fill(marks(dashboard)["Alerts"], defaults(dashboard) | {"check": "shop|fax"})
    marked = scene.prometheus.wait_for(query, lambda found: len(found) >= 2)
    assert {sample.labels["alertname"] for sample in marked} >= {"NyxmonCheckFailing", "NyxmonGroupFailing"}


def test_a_reload_is_marked(scene: Scene) -> None:
    """The configuration is read again although it is unchanged."""
    dashboard = read_dashboard("overview")
    scene.exporter.process.send_signal(signal.SIGHUP)
    scene.prometheus.wait_for(fill(marks(dashboard)["Reloads"], defaults(dashboard)))


def test_maintenance_is_marked(demo_prometheus: Prometheus) -> None:
    """Only the check in its maintenance window is marked."""
    dashboard = read_dashboard("overview")
    marked = demo_prometheus.wait_for(fill(marks(dashboard)["Maintenance"], defaults(dashboard)))
    expected = demo_prometheus.query("count by (check) (probe_maintenance == 1)")
    assert [sample.labels for sample in marked] == [sample.labels for sample in expected]


def test_a_new_version_is_marked_and_a_restart_is_not(tmp_path: Path) -> None:
    """An exporter that appears for the first time is not marked, either."""
    dashboard = read_dashboard("overview")
    series = 'nyxmon_exporter_build_info{job="nyxmon",instance="'
    inputs = [
        {"series": f'{series}berlin:10115",version="1.0"}}', "values": "1x4 stale"},
        {"series": f'{series}berlin:10115",version="1.1"}}', "values": "_x5 1x4"},
        {"series": f'{series}oslo:10115",version="1.1"}}', "values": "1x3 stale 1x5"},
        {"series": f'{series}rome:10115",version="1.1"}}', "values": "_x5 1x4"},
    ]
    query = {"expr": fill(marks(dashboard)["Versions"], defaults(dashboard)), "eval_time": "5m"}
    found = [{"labels": '{instance="berlin:10115",version="1.1"}', "value": 1}]
    test = {"interval": "1m", "input_series": inputs, "promql_expr_test": [query | {"exp_samples": found}]}
    (tmp_path / "test.yml").write_text(yaml.safe_dump({"rule_files": [], "tests": [test]}), encoding="utf-8")
    assert "SUCCESS" in promtool("test", "rules", str(tmp_path / "test.yml"))
