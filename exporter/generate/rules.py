"""Generates alert rules for the checks with `alert`, which replace the general rules for just these checks.

An alert has the name of the general one, so that Alertmanager's routes and inhibitions and the advice in the README
apply to it. A marker series is recorded with it, and the general rules skip checks that have the marker. A check is
therefore skipped only where its own rules are loaded: forgetting to load a file silences nothing.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from exporter.config.yaml_dump import Block
from exporter.exposition.labels import clean_value
from exporter.generate.links import literal
from exporter.generate.promql import series_of_check
from exporter.settings import duration_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from exporter.generate.links import Links
    from exporter.model import AlertPolicy, AlertTerms, Check

OWN_ALERT_SERIES = "job_check:probe_success:own_alert"
"""The marker series recorded for a check and each kind of alert (the label `alert`) specific to it."""

Rule = dict[str, object]

_MOST_CHECKS_IN_GROUP = 100
"""Prometheus evaluates the rules of a group sequentially, and groups concurrently."""

_CERTIFICATE_FOR_SECONDS = 900.0
_CERTIFICATE_COUNTS_SECONDS = 3600.0
"""A target that is down briefly presents no certificate; that must not resolve its alert and fire it again."""


class _Kind(NamedTuple):
    """The common parts of alerts of one kind; texts are Go templates that Prometheus expands.

    Attributes:
        marker: Value of the label `alert` of the recorded series.
        name: The name of the alert.
        summary: One line for people, without the reason.
        reason: What is appended to the summary.
        description: The details of the problem.
        dashboard: The dashboard to look at.
    """

    marker: str
    name: str
    summary: str
    reason: str
    description: str
    dashboard: str


_SINCE = (
    ' {{- range printf "time() - probe_state_since_timestamp_seconds{job=%q,instance=%q,check=%q}" $labels.job'
    " $labels.instance $labels.check | query }} for {{ .Value | humanizeDuration }}{{ end }}"
    ' {{- range printf "probe_state_since_timestamp_seconds{job=%q,instance=%q,check=%q}" $labels.job'
    ' $labels.instance $labels.check | query }}, since {{ (toTime .Value).Format "2006-01-02 15:04" }} UTC {{- end }}'
)
_FAILING = _Kind(
    "failing",
    "NyxmonCheckFailing",
    "Check {{ $labels.check }} is failing",
    ' {{- with printf "probe_failure_info{job=%q,instance=%q,check=%q}" $labels.job $labels.instance $labels.check'
    ' | query }}: {{ . | first | label "reason" }}{{ end }}'
    ' {{- range printf "probe_expectation_ok{job=%q,instance=%q,check=%q,severity=\\"error\\"} == 0 and'
    ' on (job, instance, check) probe_failure_info{reason=~\\"expectation|status|rcode\\"}" $labels.job'
    ' $labels.instance $labels.check | query | sortByLabel "expectation" }} [{{ .Labels.expectation }}]{{ end }}',
    "The {{ $labels.check_type }} check of {{ $labels.target }} has failed on {{ $labels.instance }}"
    f"{_SINCE}; no exporter sees it succeed.",
    "nyxmon-check",
)
_DEGRADED = _Kind(
    "degraded",
    "NyxmonCheckDegraded",
    "Check {{ $labels.check }} is degraded",
    ': {{- range printf "probe_expectation_ok{job=%q,instance=%q,check=%q,severity=\\"warning\\"} == 0" $labels.job'
    ' $labels.instance $labels.check | query | sortByLabel "expectation" }} [{{ .Labels.expectation }}]'
    " {{- else }} every expectation is met by now{{ end }}",
    "The {{ $labels.check_type }} check of {{ $labels.target }} succeeds on {{ $labels.instance }}, but it has been"
    f" degraded{_SINCE}.",
    "nyxmon-check",
)
_CERTIFICATE = _Kind(
    "certificate",
    "NyxmonCertificateExpiring",
    "The certificate of {{ $labels.target }} expires in {{ $value | humanizeDuration }}",
    "",
    "The first certificate of the chain that check {{ $labels.check }} was shown on {{ $labels.instance }}"
    " expires in {{ $value | humanizeDuration }}. It has not been renewed.",
    "nyxmon-certificates",
)


def alert_rules(checks: Iterable[Check], links: Links) -> dict[str, list[dict[str, object]]]:
    """Return the content of a rule file for Prometheus 2.42 and newer, in groups by check type.

    These rules ignore a missing check, whose exporter is down or no longer has it: the general rules alert on exporters
    that cannot be scraped.

    Args:
        checks: The checks; those without specific alerts are skipped.
        links: The destinations of links.
    """
    by_type: dict[str, list[list[Rule]]] = {}
    for check in checks:
        if check.alert is not None:
            by_type.setdefault(check.check_type, []).append(list(_CheckRules(check, check.alert, links).rules()))
    groups: list[dict[str, object]] = []
    for check_type, rules_of_checks in by_type.items():
        for start in range(0, len(rules_of_checks), _MOST_CHECKS_IN_GROUP):
            name = f"nyxmon-own-{check_type}" + (f"-{start}" if start else "")
            rules = itertools.chain.from_iterable(rules_of_checks[start : start + _MOST_CHECKS_IN_GROUP])
            groups.append({"name": name, "rules": list(rules)})
    return {"groups": groups}


class _CheckRules:
    """Creates the rules of one check."""

    def __init__(self, check: Check, policy: AlertPolicy, links: Links) -> None:
        self._check = check
        self._policy = policy
        self._links = links
        self._success = series_of_check("probe_success", check)
        maintenance = series_of_check("probe_maintenance", check)
        self._unless = f"\n  unless on (job, instance, check) {maintenance} == 1"

    def rules(self) -> Iterator[Rule]:
        """Yield all rules that the policy requires."""
        policy = self._policy
        yield self._marker(_FAILING)
        yield self._alert(
            _FAILING,
            f"{self._success} == 0\n  and on (job, check) max by (job, check) ({self._success}) == 0{self._unless}",
            policy.failing,
        )
        if policy.degraded is not None:
            yield self._marker(_DEGRADED)
            status = series_of_check("probe_status", self._check)
            yield self._alert(_DEGRADED, f"{status} == 1{self._unless}", policy.degraded)
        if policy.certificate_seconds_left:
            yield self._marker(_CERTIFICATE)
            yield from self._certificate_alerts()

    def _certificate_alerts(self) -> Iterator[Rule]:
        """Yield an alert for each severity, which ends where the next more severe one begins."""
        expiry = series_of_check(
            "probe_ssl_earliest_cert_expiry", self._check, within_seconds=_CERTIFICATE_COUNTS_SECONDS
        )
        left = f"{expiry} - time()"
        least = "> 0"
        for severity, seconds in self._policy.certificate_seconds_left.items():
            bounds = f"{left} < {_number(seconds)}\n  and {left} {least}"
            terms = replace(self._policy.failing, for_seconds=_CERTIFICATE_FOR_SECONDS, severity=severity, summary="")
            expression = f"{bounds}\n  and on (job, instance, check) {self._success}{self._unless}"
            yield self._alert(_CERTIFICATE, expression, terms)
            least = f">= {_number(seconds)}"

    def _marker(self, kind: _Kind) -> Rule:
        return {
            "record": OWN_ALERT_SERIES,
            "expr": f"group by (job, check, check_type, target) ({self._success})",
            "labels": {"alert": kind.marker, "check": clean_value(self._check.name)},
        }

    def _alert(self, kind: _Kind, expression: str, terms: AlertTerms) -> Rule:
        labels = {
            "check": self._check.name,
            "check_type": self._check.check_type,
            "target": self._check.shown_target,
            **self._check.labels,
            **self._policy.labels,
            "severity": str(terms.severity),
        }
        return {
            "alert": kind.name,
            "expr": Block(f"{expression}\n"),
            "for": duration_text(terms.for_seconds) if terms.for_seconds else "0s",
            "labels": {name: literal(clean_value(value)) for name, value in labels.items()},
            "annotations": {
                "summary": (literal(terms.summary) or kind.summary) + kind.reason,
                "description": kind.description,
                "check_url": self._links.to_check(self._check),
                "dashboard_url": literal(terms.dashboard_url) or self._links.to_dashboard(kind.dashboard),
                "runbook_url": literal(terms.runbook_url) or self._links.to_runbook(kind.name),
            },
        }


def _number(seconds: float) -> str:
    return f"{seconds:.3f}".rstrip("0").rstrip(".")
