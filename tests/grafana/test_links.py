"""Links in alerts and dashboards: each leads to a page of a real exporter, a shipped dashboard or a heading."""

from __future__ import annotations

import re
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import pytest
import yaml

from tests.grafana.shipped import GRAFANA, RULE_FILES, alerts, dashboards, read_yaml
from tests.servers.exporter import run_exporter
from tests.servers.process import http_get
from tests.servers.prometheus import run_prometheus
from tests.waiting import at_last

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.exporter import Exporter
    from tests.servers.prometheus import Prometheus

ODD = 'a b/c+"é"?&%2F#'
"""A name of which every character has to be escaped somewhere."""

LINKS = {"grafana_url": "https://grafana.example/base", "runbook_url": "https://wiki.example/runbook.md"}

FIRING = {
    "NyxmonEverythingFailing": "max by (job, instance) (up)",
    "NyxmonGroupFailing": "max by (job, group) (instance_check:probe_success:labelled)",
    "NyxmonErrorBudgetBurnFast": "max by (job, check, check_type, target) (instance_check:probe_success:labelled)",
    "NyxmonErrorBudgetBurnSlow": "max by (job, check, check_type, target) (instance_check:probe_success:labelled)",
    "NyxmonDnsSerialsDiffer": "max by (job, target) (instance_check:probe_success:labelled)",
    "NyxmonNoData": "vector(1)",
}
"""Expressions with the labels of the alert's own that are true at once; others are as those of a check or of `up`."""

OF_EXPORTERS = ("Exporter", "Scrape", "Deadline", "Resolver", "Config")


class Firing(NamedTuple):
    """Every alert at once.

    Attributes:
        exporter: The exporter that the alerts are about.
        annotations: The annotations of each alert, by name.
    """

    exporter: Exporter
    annotations: dict[str, dict[str, str]]


def always_firing(links: dict[str, str]) -> dict[str, Any]:
    """The shipped rules with their annotations, and with expressions that are always true."""
    groups = [group for path in RULE_FILES for group in read_yaml(path)["groups"]]
    for group in groups:
        group["interval"] = "200ms"
        for rule in group["rules"]:
            if rule.get("record") == "all:alert_links:info":
                rule["labels"] = links
            if "alert" in rule:
                is_of_exporter = rule["alert"].removeprefix("Nyxmon").startswith(OF_EXPORTERS)
                usual = "up" if is_of_exporter else "instance_check:probe_success:labelled"
                rule["expr"] = FIRING.get(rule["alert"], usual)
                rule.pop("for", None)
    return {"groups": groups}


def firing(prometheus: Prometheus) -> dict[str, dict[str, str]]:
    """The annotations of the firing alerts, by name, once they have a link."""
    found = prometheus.api("alerts")["alerts"]
    return {one["labels"]["alertname"]: one["annotations"] for one in found if one["annotations"]["runbook_url"]}


@pytest.fixture(scope="module", params=["", "http://{address}", "http://{{instance}}/nyxmon"])
def all_firing(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firing]:
    """Every alert fires, with links to the scraped address, to another one, or to a path at the scraped one."""
    place = tmp_path_factory.mktemp("links")
    (place / "prometheus").mkdir()
    checks = {"checks": [{"name": ODD, "type": "tcp", "target": "127.0.0.1:1", "labels": {"group": "a b"}}]}
    with ExitStack() as servers:
        prefix = "/nyxmon" if request.param.endswith("/nyxmon") else ""
        flags = [f"--web.route-prefix={prefix}"] if prefix else []
        exporter = servers.enter_context(
            run_exporter(place / "exporter", yaml.safe_dump(checks), *flags, route_prefix=prefix)
        )
        external = {"exporter_url": request.param.format(address=exporter.address)} if request.param else {}
        instance = "nowhere.invalid:1" if "{address}" in request.param else exporter.address
        (place / "prometheus" / "rules.yml").write_text(yaml.safe_dump(always_firing(LINKS | external)), "utf-8")
        job = {
            "job_name": "nyxmon",
            "metrics_path": f"{prefix}/metrics",
            "static_configs": [{"targets": [exporter.address], "labels": {"instance": instance}}],
        }
        config = {
            "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "200ms"},
            "rule_files": ["rules.yml"],
            "scrape_configs": [job],
        }
        prometheus = servers.enter_context(run_prometheus(place / "prometheus", yaml.safe_dump(config)))
        names = {alert.name for alert in alerts()}
        at_last(lambda: firing(prometheus).keys(), names)
        yield Firing(exporter, firing(prometheus))


def test_every_link_of_every_alert_leads_somewhere(all_firing: Firing) -> None:
    """The exporter's page answers 200 and names the check; the dashboard, its variables and the heading exist."""
    headings = re.findall(r"^### (\w+)$", (GRAFANA / "README.md").read_text("utf-8"), re.MULTILINE)
    anchors = {heading.lower() for heading in headings}
    boards = dashboards()
    for name, texts in all_firing.annotations.items():
        base, _, fragment = texts["runbook_url"].partition("#")
        assert (base, fragment) == (LINKS["runbook_url"], name.lower())
        assert fragment in anchors
        link = urlsplit(texts["dashboard_url"])
        assert texts["dashboard_url"].startswith(f"{LINKS['grafana_url']}/d/")
        board = boards[link.path.removeprefix("/base/d/")]
        variables = {f"var-{variable['name']}" for variable in board["templating"]["list"]}
        chosen = dict(parse_qsl(link.query, strict_parsing=True)) if link.query else {}
        assert chosen.keys() <= variables
        assert chosen.get("var-check", ODD) == ODD
        if "check_url" in texts:
            page = urlsplit(texts["check_url"])
            assert page.netloc == all_firing.exporter.address
            status, body = http_get(all_firing.exporter.port, f"{page.path}?{page.query}")
            assert (status, "a b/c+" in body) == (200, True)


def test_every_alert_has_texts_without_a_mistake_in_a_template(all_firing: Firing) -> None:
    """Otherwise, Prometheus would put the error message into the text."""
    for texts in all_firing.annotations.values():
        assert not any("error expanding template" in text for text in texts.values())
        assert all(texts.values())
