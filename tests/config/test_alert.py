"""The key `alert`: the terms that a check gets from it, and how it is shown."""

from __future__ import annotations

import yaml

from exporter.config import Config, parse_config
from exporter.model import AlertPolicy, AlertSeverity, AlertTerms
from exporter.runner.registry import ExecutorRegistry

TYPES = ExecutorRegistry.with_builtins().check_types
GENERAL = AlertPolicy(failing=AlertTerms(for_seconds=120.0, severity=AlertSeverity.CRITICAL))
NIGHT = AlertPolicy(failing=AlertTerms(for_seconds=1800.0, severity=AlertSeverity.INFO))


def load(checks: str, defaults: str = "{}") -> Config:
    return parse_config(f"defaults: {defaults}\nchecks: {checks}\n", "checks.yml", TYPES)


def policies(checks: str, defaults: str = "{}") -> list[AlertPolicy | None]:
    return [check.alert for check in load(checks, defaults).checks]


def test_a_check_has_no_alert_of_its_own_unless_it_says_so() -> None:
    """True means the general terms under its own name; false, null and no key leave it to the general alerts."""
    assert policies(
        "[{name: a, type: tcp, target: 'a:1'}, {name: b, type: tcp, target: 'a:1', alert: true},"
        " {name: c, type: tcp, target: 'a:1', alert: false}, {name: d, type: tcp, target: 'a:1', alert: {}}]"
    ) == [None, GENERAL, None, GENERAL]


def test_every_term_can_be_set() -> None:
    """The degraded state shares runbook and dashboard; certificates have a time for each severity."""
    [policy] = policies("""[{name: a, type: tcp, target: 'a:1', alert: {
      for: 5m, severity: warning, runbook: https://wiki.example/a, dashboard: https://grafana.example/d/a,
      summary: It is down, labels: {team: web},
      degraded: {for: 1h, severity: info, summary: It is slow}, certificate: {warning: 14d, critical: 3d}}}]""")
    assert policy == AlertPolicy(
        failing=AlertTerms(
            for_seconds=300.0,
            severity=AlertSeverity.WARNING,
            runbook_url="https://wiki.example/a",
            dashboard_url="https://grafana.example/d/a",
            summary="It is down",
        ),
        degraded=AlertTerms(
            for_seconds=3600.0,
            severity=AlertSeverity.INFO,
            runbook_url="https://wiki.example/a",
            dashboard_url="https://grafana.example/d/a",
            summary="It is slow",
        ),
        certificate_seconds_left={AlertSeverity.CRITICAL: 3 * 86400.0, AlertSeverity.WARNING: 14 * 86400.0},
        labels={"team": "web"},
    )


def test_a_degraded_check_waits_as_long_as_the_general_alert_by_default() -> None:
    """Ten minutes, a warning."""
    [policy] = policies("[{name: a, type: tcp, target: 'a:1', alert: {degraded: {}}}]")
    assert policy is not None
    assert policy.degraded == AlertTerms(for_seconds=600.0, severity=AlertSeverity.WARNING)


def test_defaults_hold_for_all_checks_or_for_those_of_a_type() -> None:
    """A check's own key replaces the default as a whole."""
    assert policies(
        "[{name: a, type: tcp, target: 'a:1'}, {name: b, type: dns, target: b},"
        " {name: c, type: dns, target: b, alert: false}, {name: d, type: dns, target: b, alert: {}}]",
        "{alert: true, dns: {alert: {for: 30m, severity: info}}}",
    ) == [GENERAL, NIGHT, None, GENERAL]


def test_each_fills_in_its_values() -> None:
    """Each text of it may have placeholders."""
    found = policies("""[{name: 'a-{n}', type: tcp, target: 'a:1', each: {n: ['1', '2']}, alert: {
      runbook: 'https://wiki.example/{n}', labels: {number: '{n}'}}}]""")
    assert [(policy.failing.runbook_url, dict(policy.labels)) for policy in found if policy] == [
        ("https://wiki.example/1", {"number": "1"}),
        ("https://wiki.example/2", {"number": "2"}),
    ]


def test_it_is_shown_as_it_was_written() -> None:
    """`/config` shows it with the check, with defaults applied."""
    shown = load("[{name: a, type: tcp, target: 'a:1'}]", "{alert: {for: 5m, degraded: {}}}").rendered
    assert yaml.safe_load(shown)["checks"][0]["alert"] == {"for": "5m", "degraded": {}}
