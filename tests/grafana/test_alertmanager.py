"""grafana/alertmanager.yml: amtool accepts it, and a real Alertmanager routes, groups and inhibits as intended."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.grafana.shipped import GRAFANA, Alert, alerts
from tests.servers.alertmanager import Alertmanager, amtool, run_alertmanager
from tests.waiting import at_last

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

CONFIG = GRAFANA / "alertmanager.yml"
RECEIVERS = {"critical": "pager", "warning": "tickets", "info": "notes"}

Labels = dict[str, str]

BERLIN = {"job": "nyxmon", "instance": "berlin:10115"}
OSLO = {"job": "nyxmon", "instance": "oslo:10115"}
SHOP = {"check": "shop", "check_type": "http", "target": "https://shop.example/"}
MAIL = {"check": "mail", "check_type": "tcp", "target": "mail.example:25"}


def alert(name: str, severity: str, *parts: Labels, **labels: str) -> Labels:
    """The labels of an alert of the exporter."""
    alert = {"alertname": f"Nyxmon{name}", "severity": severity}
    for part in parts:
        alert |= part
    return alert | labels


def down(*parts: Labels) -> Labels:
    """An exporter that is down."""
    return alert("ExporterDown", "critical", *parts)


def failing(*parts: Labels, **labels: str) -> Labels:
    """A check that fails."""
    return alert("CheckFailing", "critical", *parts, **labels)


HELD_BACK: dict[str, tuple[list[Labels], list[Labels]]] = {
    "an exporter that is down explains what is seen through it": (
        [down(BERLIN)],
        [failing(BERLIN, SHOP), alert("CertificateExpiring", "critical", BERLIN, SHOP), alert("NoData", "critical")],
    ),
    "everything failing on an exporter explains its checks": (
        [alert("EverythingFailing", "critical", BERLIN)],
        [failing(BERLIN, SHOP), alert("DnsAnswersDiffer", "critical", BERLIN, MAIL)],
    ),
    "a group that fails explains its checks and their budgets": (
        [alert("GroupFailing", "critical", job="nyxmon", group="web")],
        [
            failing(BERLIN, SHOP, group="web"),
            alert("ErrorBudgetBurnFast", "critical", SHOP, job="nyxmon", group="web"),
        ],
    ),
    "what says why goes before what says that": (
        [alert("CertificateExpired", "critical", BERLIN, SHOP), alert("DnsAnswersDiffer", "critical", OSLO, MAIL)],
        [failing(BERLIN, SHOP), failing(OSLO, MAIL)],
    ),
    "a check that fails explains its budget": (
        [failing(BERLIN, SHOP)],
        [alert("ErrorBudgetBurnFast", "critical", SHOP, job="nyxmon")],
    ),
    "an alert of a check's own that wakes nobody explains its budget too": (
        [alert("CheckFailing", "warning", BERLIN, SHOP), alert("CheckFailing", "info", BERLIN, MAIL)],
        [
            alert("ErrorBudgetBurnFast", "critical", SHOP, job="nyxmon"),
            alert("ErrorBudgetBurnSlow", "warning", MAIL, job="nyxmon"),
        ],
    ),
    "of one check the worst is told": (
        [failing(BERLIN, SHOP), alert("CheckDegraded", "warning", BERLIN, MAIL)],
        [
            alert("CertificateExpiring", "warning", BERLIN, SHOP),
            alert("CheckFlapping", "warning", OSLO, SHOP),
            alert("CheckSlow", "info", BERLIN, SHOP),
            alert("CheckSlow", "info", BERLIN, MAIL),
        ],
    ),
}
"""The alerts that are sent, and those that they inhibit."""

TOLD: dict[str, list[Labels]] = {
    "another exporter goes on": [down(BERLIN), failing(OSLO, SHOP)],
    "another job goes on": [down(BERLIN), failing(SHOP, job="other", instance="berlin:10115")],
    "everything failing here says nothing of there": [
        alert("EverythingFailing", "critical", BERLIN),
        failing(OSLO, SHOP),
        alert("CertificateExpiring", "critical", BERLIN, MAIL),
    ],
    "a group says nothing of checks without one": [
        alert("GroupFailing", "critical", job="nyxmon", group="web"),
        failing(BERLIN, SHOP),
        failing(BERLIN, MAIL, group="mail"),
    ],
    "a certificate to be renewed hides nothing": [
        alert("CertificateExpiring", "critical", BERLIN, SHOP),
        alert("CheckDegraded", "warning", BERLIN, SHOP),
    ],
    "one check says nothing of another": [failing(BERLIN, SHOP), alert("CheckDegraded", "warning", BERLIN, MAIL)],
    "everything failing says nothing of the exporter itself": [
        alert("EverythingFailing", "critical", BERLIN),
        alert("CheckThreadsBusy", "warning", BERLIN),
    ],
    "what has no check is not of the same check": [
        alert("ConfigReloadFailed", "warning", BERLIN),
        failing(BERLIN, SHOP),
        alert("DnsSerialsDiffer", "warning", job="nyxmon", target="example"),
    ],
}
"""What does not hold each other back."""


@pytest.fixture
def alertmanager(servers: ExitStack, tmp_path: Path) -> Alertmanager:
    """Alertmanager with the shipped configuration."""
    return servers.enter_context(run_alertmanager(tmp_path / "alertmanager", CONFIG.read_text("utf-8")))


def told_of(alertmanager: Alertmanager, *alerts: Labels) -> list[Labels]:
    """What is sent when these alerts fire.

    Alertmanager processes alerts in order, on its own thread: these are done when it inhibits another one.
    """
    place = {"job": "nyxmon", "instance": "last:10115"}
    last = failing(place, check="last")
    alertmanager.fire(alerts)
    alertmanager.fire([down(place), last])
    give_up = time.monotonic() + 10
    while last in alertmanager.told():
        assert time.monotonic() < give_up
        time.sleep(0.02)
    return by_name([labels for labels in alertmanager.told() if labels.get("instance") != place["instance"]])


def by_name(labels: list[Labels]) -> list[Labels]:
    """The alerts in a canonical order."""
    return sorted(labels, key=lambda each: sorted(each.items()))


def test_amtool_accepts_the_configuration() -> None:
    """Amtool counts the expected receivers and inhibition rules."""
    assert "SUCCESS" in amtool("check-config", str(CONFIG))


@pytest.mark.parametrize("shipped", alerts(), ids=lambda shipped: f"{shipped.name}-{shipped.labels['severity']}")
def test_every_alert_goes_to_the_receiver_of_its_severity(shipped: Alert) -> None:
    """Critical alerts page, warnings create tickets, and others are noted."""
    severity = shipped.labels["severity"]
    labels = [f"alertname={shipped.name}", f"severity={severity}"]
    said = amtool("config", "routes", "test", f"--config.file={CONFIG}", *labels)
    assert said.split() == [RECEIVERS[severity]]


def test_alerts_of_other_sources_are_noted() -> None:
    """An alert without a known severity is not lost."""
    said = amtool("config", "routes", "test", f"--config.file={CONFIG}", "alertname=Watchdog", "severity=none")
    assert said.split() == ["notes"]


@pytest.mark.parametrize("case", HELD_BACK)
def test_an_explaining_alert_inhibits_others(alertmanager: Alertmanager, case: str) -> None:
    """Only the explaining alerts are sent."""
    told, held_back = HELD_BACK[case]
    assert told_of(alertmanager, *held_back, *told) == by_name(told)


@pytest.mark.parametrize("case", TOLD)
def test_an_unrelated_alert_inhibits_none(alertmanager: Alertmanager, case: str) -> None:
    """All of the alerts are sent."""
    assert told_of(alertmanager, *TOLD[case]) == by_name(TOLD[case])


def test_alerts_come_together_by_trouble_type_and_group(alertmanager: Alertmanager) -> None:
    """There is one message for the checks of one type and group with the same trouble, whatever the exporter."""
    basket = {"check": "basket", "check_type": "http"}
    alertmanager.fire(
        [
            failing(BERLIN, SHOP), failing(OSLO, SHOP), failing(BERLIN, basket),
            failing(BERLIN, MAIL),
            failing(BERLIN, {"check": "imap", "check_type": "tcp"}, group="post"),
        ]
    )  # fmt: skip
    common = {"alertname": "NyxmonCheckFailing", "job": "nyxmon"}
    expected = [
        (common | {"check_type": "http"}, 3),
        (common | {"check_type": "tcp", "group": "post"}, 1),
        (common | {"check_type": "tcp"}, 1),
    ]
    at_last(lambda: groups(alertmanager), expected)


def test_exporters_that_go_down_together_are_one_message(alertmanager: Alertmanager) -> None:
    """So are several exporters that see everything fail, and one exporter in two jobs."""
    oslo_again = {"job": "nyxmon-checks", "instance": "oslo:10115"}
    alertmanager.fire([down(BERLIN), down(OSLO), down(oslo_again)])
    alertmanager.fire([alert("EverythingFailing", "critical", place) for place in (BERLIN, OSLO)])
    expected = [({"alertname": "NyxmonEverythingFailing"}, 2), ({"alertname": "NyxmonExporterDown"}, 3)]
    at_last(lambda: groups(alertmanager), expected)


def groups(alertmanager: Alertmanager) -> list[tuple[Labels, int]]:
    """The labels of the expected messages, with the number of alerts in each."""
    found = [(group["labels"], len(group["alerts"])) for group in alertmanager.api("alerts/groups")]
    return sorted(found, key=lambda group: sorted(group[0].items()))
