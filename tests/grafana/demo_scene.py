"""The demo's targets, an exporter with checks of every type, and a Prometheus that scrapes it in both ways."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from exporter.demo import run_demo
from tests.grafana.scene import scraping
from tests.grafana.shipped import discovery_job
from tests.servers.exporter import run_exporter
from tests.servers.prometheus import run_prometheus

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.prometheus import Prometheus

EXEC_CHECK = """
  - name: disk
    type: exec
    target: root
    command: [/bin/echo, "DISK OK | inodes=12;80;90 free_bytes=3MB used_ratio=0.4 wait_seconds=12ms"]
"""
RULES = """
groups:
  - name: checks
    rules:
      - alert: NyxmonCheckFailing
        expr: probe_success == 0
"""


@contextmanager
def run_demo_scene(directory: Path) -> Iterator[Prometheus]:
    """Run everything for the duration of the block, and yield the Prometheus."""
    (directory / "prometheus").mkdir()
    (directory / "prometheus" / "rules.yml").write_text(RULES, encoding="utf-8")
    with (
        run_demo() as demo,
        run_exporter(directory / "exporter", demo.configuration + EXEC_CHECK, "--enable-exec") as exporter,
    ):
        whole = {"targets": [exporter.address], "labels": {"instance": "exporter:10115"}}
        jobs = [{"job_name": "nyxmon", "static_configs": [whole]}, discovery_job(exporter.address)]
        with run_prometheus(directory / "prometheus", scraping("2s", jobs)) as prometheus:
            yield prometheus
