"""The files below grafana/ as their tests read them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).parent.parent.parent
GRAFANA = ROOT / "grafana"
RULE_FILES = sorted((GRAFANA / "rules").glob("*.yml"))
RULE_TEST_FILES = sorted((GRAFANA / "rules" / "tests").glob("*.yml"))


class Alert(NamedTuple):
    """An alerting rule."""

    name: str
    expression: str
    labels: dict[str, str]
    annotations: dict[str, str]


def read_yaml(path: Path) -> Any:
    """The one document of a YAML file."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def rules() -> list[dict[str, Any]]:
    """All rules, file by file, unchanged."""
    return [rule for path in RULE_FILES for group in read_yaml(path)["groups"] for rule in group["rules"]]


def alerts() -> list[Alert]:
    """The alerting rules; some share a name."""
    return [
        Alert(rule["alert"], rule["expr"], rule["labels"], rule["annotations"]) for rule in rules() if "alert" in rule
    ]


def discovering() -> str:
    """The text of prometheus.yml with the job that discovers checks uncommented, instead of the other one."""
    text = (GRAFANA / "prometheus.yml").read_text("utf-8")
    before, _, jobs = text.partition("scrape_configs:\n")
    job = jobs[jobs.index("  # - job_name: ") :]
    return f"{before}scrape_configs:\n{re.sub('^  # ', '  ', job, flags=re.MULTILINE)}"


def discovery_job(address: str, query: str = "") -> dict[str, Any]:
    """The job that discovers checks, as it is shipped, for an exporter at an address.

    Args:
        address: Its host and port.
        query: What `/sd` is asked for, to discover only some of its checks.
    """
    (job,) = yaml.safe_load(discovering().replace("exporter:10115", address))["scrape_configs"]
    job["http_sd_configs"][0]["url"] += query
    return dict(job)


def dashboards() -> dict[str, dict[str, Any]]:
    """The dashboards by uid."""
    found = [json.loads(path.read_text("utf-8")) for path in sorted((GRAFANA / "dashboards").glob("*.json"))]
    return {board["uid"]: board for board in found}
