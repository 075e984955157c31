"""Imports modules and scrape jobs that a test writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.blackbox import load_modules
from exporter.checks.builtin import BUILTIN
from exporter.config import parse_config
from exporter.migration.document import import_jobs
from exporter.migration.prometheus import read_jobs

if TYPE_CHECKING:
    from pathlib import Path

    from exporter.config import Config

USUAL = """\
      - {source_labels: [__address__], target_label: __param_target}
      - {source_labels: [__param_target], target_label: instance}
      - {target_label: __address__, replacement: "127.0.0.1:9115"}
"""


def imported(directory: Path, modules: str, jobs: str) -> str:
    """Return the checks.yml for modules and the scrape jobs of `scrape_configs`."""
    (directory / "blackbox.yml").write_text(f"modules:\n{modules}")
    (directory / "prometheus.yml").write_text(f"scrape_configs:\n{jobs}")
    read = read_jobs(directory / "prometheus.yml")
    (directory / "out").mkdir()
    return import_jobs(load_modules(directory / "blackbox.yml"), read, directory, directory / "out").text


def job(targets: str, rules: str = USUAL, module: str = "m") -> str:
    return f"""\
  - job_name: web
    metrics_path: /probe
    params: {{module: [{module}]}}
    {targets}
    relabel_configs:
{rules}"""


def loaded(directory: Path, text: str) -> Config:
    return parse_config(text, str(directory / "out" / "checks.yml"), {kind.name: kind for kind in BUILTIN})


STATIC = 'static_configs: [{targets: ["http://a.test/"]}]'
