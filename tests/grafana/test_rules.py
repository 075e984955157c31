"""grafana/rules: promtool accepts them, every alert is tested completely, and everything that they name exists."""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import pytest

from exporter import ExecutorRegistry
from exporter.exposition import families as catalogue
from exporter.generate.rules import OWN_ALERT_SERIES
from exporter.net.dns.getaddrinfo import MAX_RESOLVER_THREADS
from exporter.runner.check_threads import MAX_CHECK_THREADS
from exporter.web.live_web_config import FAMILIES as WEB_CONFIG_FAMILIES
from tests.grafana.shipped import ROOT, RULE_FILES, RULE_TEST_FILES, Alert, alerts, dashboards, read_yaml, rules
from tests.servers.prometheus import promtool

if TYPE_CHECKING:
    from pathlib import Path

ALERTS = alerts()
NAMES = sorted({alert.name for alert in ALERTS})
SEVERITIES = ("critical", "warning", "info")
OF_OTHERS = {"up", "scrape_duration_seconds", "scrape_timeout_seconds", OWN_ALERT_SERIES}
"""What Prometheus tells by itself, and what the rules record that are generated for single checks."""

QUERY = re.compile(r'(?:printf|query) "((?:[^"\\]|\\.)*)"')
METRIC = re.compile(r"\b(?:probe_|nyxmon_|scrape_)\w+|\bup\b|\w+:\w+:\w+")
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Moment(NamedTuple):
    """One sample of an alert in a unit test: its time, and the severities of the firing alerts."""

    test: str
    seconds: int
    severities: tuple[str, ...]


def moments(alert_name: str) -> list[Moment]:
    """All samples of an alert, in the order of time within each test."""
    found = [
        Moment(test["name"], seconds(look["eval_time"]), severities(look))
        for path in RULE_TEST_FILES
        for test in read_yaml(path)["tests"]
        for look in test.get("alert_rule_test", ())
        if look["alertname"] == alert_name
    ]
    return sorted(found)


def seconds(duration: str) -> int:
    """The seconds of a duration with one unit, such as `90m`."""
    return int(duration[:-1]) * UNITS[duration[-1]]


def severities(look: dict[str, Any]) -> tuple[str, ...]:
    """The severities that should fire."""
    return tuple(sorted({alert["exp_labels"]["severity"] for alert in look["exp_alerts"]}))


def test_promtool_accepts_the_rules() -> None:
    """Promtool finds no fault in the syntax and lint of all rule files."""
    said = promtool("check", "rules", "--lint=all", "--lint-fatal", *map(str, RULE_FILES))
    assert re.findall(r"SUCCESS: (\d+) rules", said) == [
        str(sum(len(group["rules"]) for group in read_yaml(path)["groups"])) for path in RULE_FILES
    ]


@pytest.mark.parametrize("path", RULE_TEST_FILES, ids=lambda path: path.stem)
def test_rules_do_what_their_unit_tests_say(path: Path) -> None:
    """The tests of a rule file pass in promtool's own engine."""
    assert "SUCCESS" in promtool("test", "rules", str(path))


def test_every_rule_file_has_unit_tests() -> None:
    """Rule files and test files have the same names."""
    assert [path.name for path in RULE_TEST_FILES] == [path.name for path in RULE_FILES]


@pytest.mark.parametrize("name", NAMES)
def test_every_alert_is_tested_before_during_and_after(name: str) -> None:
    """Within one test, each alert is silent before it fires and silent afterwards, with each of its severities."""
    seen = set()
    for _, looks in groupby(moments(name), key=lambda moment: moment.test):
        fired = [look.severities for look in looks]
        if not fired[0] and not fired[-1]:
            seen |= {severity for severities in fired for severity in severities}
    assert seen == {alert.labels["severity"] for alert in ALERTS if alert.name == name}


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: f"{alert.name}-{alert.labels['severity']}")
def test_every_alert_has_summary_severity_and_links(alert: Alert) -> None:
    """Severity is the only additional label. Alerts about exporters link to their pages; all links are in links.yml."""
    assert alert.labels.keys() == {"severity"}
    assert alert.labels["severity"] in SEVERITIES
    links = {"dashboard_url", "runbook_url", *(() if alert.name == "NyxmonNoData" else ("check_url",))}
    assert alert.annotations.keys() == {"summary", "description", *links}
    for link in links:
        assert '{{ range query "all:alert_links:info" }}' in alert.annotations[link]
    assert f"{{{{ .Labels.runbook_url }}}}#{alert.name.lower()}{{{{ end }}}}" in alert.annotations["runbook_url"]


def test_recorded_series_are_named_as_prometheus_advises() -> None:
    """`level:metric:operation`, in lower case."""
    recorded = [rule["record"] for rule in rules() if "record" in rule]
    assert [name for name in recorded if not re.fullmatch(r"[a-z_]+:[a-z_]+:[a-z0-9_]+", name)] == []


def test_every_metric_in_the_rules_exists() -> None:
    """Expressions and the queries in annotations name series of the exporter, of Prometheus or of rules."""
    queries = [query for alert in ALERTS for text in alert.annotations.values() for query in QUERY.findall(text)]
    expressions = [re.sub(r'"[^"]*"', "", text) for text in (*(rule["expr"] for rule in rules()), *queries)]
    used = set(METRIC.findall(" ".join(expressions)))
    known = catalogue.MetricFamilies(ExecutorRegistry.with_builtins().check_types)
    exported = {name for family in (*known.families, *WEB_CONFIG_FAMILIES) for name in family.sample_names}
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    assert used - exported - recorded - OF_OTHERS == set()
    assert recorded - used == set()


@pytest.mark.parametrize(
    ("name", "family", "most"),
    [
        ("NyxmonResolverThreadsBusy", catalogue.RESOLVER_THREADS, MAX_RESOLVER_THREADS),
        ("NyxmonCheckThreadsBusy", catalogue.CHECK_THREADS, MAX_CHECK_THREADS),
    ],
)
def test_rules_have_the_numbers_of_threads(name: str, family: catalogue.Family, most: int) -> None:
    """The rules contain the exporter's numbers of threads."""
    (alert,) = (alert for alert in ALERTS if alert.name == name)
    assert alert.expression.strip() == f"{family.name} >= {most}"


def test_the_readme_has_a_runbook_for_every_alert() -> None:
    """Each runbook link has a heading there, and no alert without a rule is described."""
    headings = re.findall(r"^### (Nyxmon\w+)$", (ROOT / "grafana" / "README.md").read_text("utf-8"), re.MULTILINE)
    assert sorted(headings) == sorted(NAMES)


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: f"{alert.name}-{alert.labels['severity']}")
def test_every_link_leads_to_a_dashboard_with_its_variables(alert: Alert) -> None:
    """The dashboard exists, and has each variable in the link."""
    _, _, template = alert.annotations["dashboard_url"].partition("{{ .Labels.grafana_url }}")
    link = urlsplit(re.sub(r"{{.*?}}", "x", template.removesuffix("{{ end }}")))
    board = dashboards()[link.path.removeprefix("/d/")]
    variables = {f"var-{variable['name']}" for variable in board["templating"]["list"]}
    assert {name for name, _ in parse_qsl(link.query)} - variables == set()
