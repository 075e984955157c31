"""Checks as Prometheus targets of their own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from exporter.config import parse_config
from exporter.generate.discovery import ExporterAsTarget, target_groups
from exporter.runner.registry import ExecutorRegistry
from tests.servers.exporter import run_exporter
from tests.servers.prometheus import run_prometheus
from tests.servers.tcp import keep_silent, serve

if TYPE_CHECKING:
    from pathlib import Path

TYPES = ExecutorRegistry.with_builtins().check_types


def test_a_check_becomes_a_target_with_its_labels_and_its_interval() -> None:
    """A target has name, type, address, user labels, interval, and a timeout that allows for every attempt."""
    text = """
checks:
  - name: shop & co
    type: http
    target: https://shop.example/?token=${env:TOKEN}
    labels: {team: web}
    interval: 1m30s
    timeout: 2s
    retries: 1
    retry_delay: 500ms
"""
    checks = parse_config(text, "checks.yml", TYPES, environment={"TOKEN": "geheim"}).checks
    assert target_groups(checks, ExporterAsTarget("exporter.example:10115", "https")) == [
        {
            "targets": ["exporter.example:10115"],
            "labels": {
                "team": "web",
                "check": "shop & co",
                "check_type": "http",
                "target": checks[0].shown_target,
                "__scheme__": "https",
                "__metrics_path__": "/probe",
                "__param_check": "shop & co",
                "__scrape_interval__": "90s",
                "__scrape_timeout__": "5500ms",
            },
        }
    ]
    assert "geheim" not in checks[0].shown_target


def test_labels_are_those_that_metrics_has(tmp_path: Path) -> None:
    """Characters of a label that cannot be shown on a page are not in the labels of the target, either."""
    text = r"""checks: [{name: "a\x85b", type: tcp, target: 'a.example:1', labels: {odd: "\x9f"}}]"""
    with run_exporter(tmp_path, text) as exporter:
        [group] = json.loads(exporter.get("/sd")[1])
        _, page = exporter.get("/metrics?run=none")
    found = {name: group["labels"][name] for name in ("check", "odd", "__param_check")}
    assert found == {"check": "a\ufffdb", "odd": "\ufffd", "__param_check": "a\x85b"}
    assert 'nyxmon_check_info{check="a\ufffdb",check_type="tcp",odd="\ufffd",target="a.example:1"} 1' in page


def test_a_timeout_is_never_longer_than_the_interval() -> None:
    """Prometheus rejects a target whose scrape timeout is longer than its interval."""
    text = "checks: [{name: a, type: tcp, target: 'a.example:1', interval: 5s, timeout: 30s}]"
    [group] = target_groups(parse_config(text, "checks.yml", TYPES).checks, ExporterAsTarget("here:1"))
    assert group["labels"]["__scrape_timeout__"] == group["labels"]["__scrape_interval__"] == "5s"


def test_a_timeout_includes_the_offset(tmp_path: Path) -> None:
    """The timeout of a target is long enough for its check and for --timeout-offset."""
    text = "checks: [{name: a, type: tcp, target: 'a.example:1', interval: 1m, timeout: 20s, retries: 1}]"
    with run_exporter(tmp_path, text, "--timeout-offset=5") as exporter:
        [group] = json.loads(exporter.get("/sd")[1])
    assert group["labels"]["__scrape_timeout__"] == "45500ms"


CONFIG = """
checks:
  - {{name: often, type: tcp, target: "{target}", interval: 1s, timeout: 300ms, labels: {{team: web}}}}
  - {{name: as-the-job, type: tcp, target: "{target}", labels: {{team: web}}}}
  - {{name: of-others, type: tcp, target: "{target}", labels: {{team: mail}}}}
"""


def test_prometheus_scrapes_what_it_discovers(tmp_path: Path) -> None:
    """Every selected check is a healthy target with its own interval and the labels of the configuration."""
    with (
        serve(keep_silent) as server,
        run_exporter(tmp_path / "exporter", CONFIG.format(target=server.target)) as exporter,
    ):
        scrape = f"""
global: {{scrape_interval: 2s}}
scrape_configs:
  - job_name: checks
    http_sd_configs: [{{url: "http://{exporter.address}/sd?label.team=web", refresh_interval: 1s}}]
"""
        with run_prometheus(tmp_path / "prometheus", scrape) as prometheus:
            found = prometheus.wait_for("probe_success == 1", lambda vector: len(vector) == 2)
            targets = {target["labels"]["check"]: target for target in prometheus.api("targets")["activeTargets"]}
    assert {sample.labels["check"]: (sample.labels["team"], sample.labels["check_type"]) for sample in found} == {
        "often": ("web", "tcp"),
        "as-the-job": ("web", "tcp"),
    }
    assert {name: target["scrapeInterval"] for name, target in targets.items()} == {"often": "1s", "as-the-job": "2s"}


def test_nothing_to_discover_is_an_empty_list(tmp_path: Path) -> None:
    """A filter that matches no check yields a list without targets and no error."""
    with serve(keep_silent) as server, run_exporter(tmp_path, CONFIG.format(target=server.target)) as exporter:
        status, body = exporter.get("/sd?check_type=dns")
    assert (status, json.loads(body)) == (200, [])


def test_a_check_that_does_not_exist_is_not_discovered_silently(tmp_path: Path) -> None:
    """An unknown name is rejected as on /metrics, so that Prometheus keeps the known targets and reports the error."""
    with serve(keep_silent) as server, run_exporter(tmp_path, CONFIG.format(target=server.target)) as exporter:
        assert exporter.get("/sd?check=nope")[0] == 404
