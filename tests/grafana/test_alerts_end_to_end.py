"""From a broken target to the message that people get: exporter, Prometheus and Alertmanager as shipped."""

from __future__ import annotations

import re
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import yaml

from tests.grafana.shipped import GRAFANA, RULE_FILES, discovery_job, read_yaml
from tests.servers.alertmanager import Alertmanager, run_alertmanager
from tests.servers.exporter import run_exporter
from tests.servers.http import HttpServer, respond, run_http_server
from tests.servers.process import free_port
from tests.servers.prometheus import Prometheus, run_prometheus
from tests.servers.webhook import Message, Receiver, run_receiver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def impatient_rules(directory: Path) -> None:
    """Write the shipped rules, evaluated often and without patience: what waits for minutes there waits for a second.

    Nothing else is changed, so that expressions, labels and annotations are those that are shipped. How long each
    waits is tested in promtool's own time, by the unit tests of the rules.
    """
    directory.mkdir(parents=True)
    for path in RULE_FILES:
        text = path.read_text("utf-8")
        text = re.sub(r"^( +)(for|keep_firing_for): \d+[smh]$", r"\1\2: 1s", text, flags=re.MULTILINE)
        text = re.sub(r"^( +)interval: \d+m$", r"\1interval: 500ms", text, flags=re.MULTILINE)
        (directory / path.name).write_text(text, encoding="utf-8")


def prometheus_config(exporter_port: int, alertmanager_port: int) -> str:
    """The shipped configuration, twice a second instead of four times a minute, and everybody on this machine.

    Of the two ways to find checks that it has, discovery is there as well, for two of the checks.
    """
    config = read_yaml(GRAFANA / "prometheus.yml")
    config["global"] = {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"}
    config["scrape_configs"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{exporter_port}"]
    config["scrape_configs"].append(discovery_job(f"127.0.0.1:{exporter_port}", "?check=gone-1&check=home"))
    config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{alertmanager_port}"]
    return yaml.safe_dump(config)


def alertmanager_config(receiver: Receiver) -> str:
    """The shipped configuration with the receiver in place of the addresses to fill in, and little to wait for.

    A message goes out a quarter of a second after an evaluation, between two of them: Prometheus sends the alerts of
    one evaluation one after the other, and a message that went out amid them would tell of half of it.
    """
    text = (GRAFANA / "alertmanager.yml").read_text("utf-8")
    text = re.sub(r"http://(\w+)\.invalid/nyxmon", rf"http://127.0.0.1:{receiver.port}/\1", text)
    text = re.sub(r"^( *)group_wait: \w+$", r"\1group_wait: 750ms", text, flags=re.MULTILINE)
    return re.sub(r"^( *)group_interval: \w+$", r"\1group_interval: 1s", text, flags=re.MULTILINE)


class Scene(NamedTuple):
    """What a test uses: the targets' server, a closed port, and the watching servers."""

    web: HttpServer
    script: dict[str, Any]
    closed_port: int
    instance: str
    prometheus: Prometheus
    alertmanager: Alertmanager
    receiver: Receiver


def checks(web: HttpServer, closed_port: int) -> str:
    """A healthy check, a degraded one, two failing ones, and a group of two that start healthy."""
    return f"""
defaults: {{timeout: 400ms, labels: {{team: web}}}}
checks:
  - {{name: home, type: http, target: "{web.url("/home")}"}}
  - name: old
    type: http
    target: {web.url("/old")}
    expect:
      - {{header: Server, exists: true, severity: warning}}
  - {{name: "gone-{{number}}", type: tcp, target: "127.0.0.1:{closed_port}", each: {{number: [1, 2]}}}}
  - {{name: shop, type: http, target: "{web.url("/shop")}", labels: {{group: shop}}}}
  - {{name: basket, type: http, target: "{web.url("/basket")}", labels: {{group: shop}}}}
"""


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Everything runs, and Prometheus has scraped every check once."""
    place = tmp_path_factory.mktemp("scene")
    script = {path: respond(200, b"fine") for path in ("/home", "/old", "/shop", "/basket")}
    with ExitStack() as servers:
        web = servers.enter_context(run_http_server(script))
        closed_port = free_port()
        exporter = servers.enter_context(run_exporter(place / "exporter", checks(web, closed_port)))
        receiver = servers.enter_context(run_receiver())
        alertmanager = servers.enter_context(run_alertmanager(place / "alertmanager", alertmanager_config(receiver)))
        impatient_rules(place / "prometheus" / "rules")
        config = prometheus_config(exporter.port, alertmanager.port)
        prometheus = servers.enter_context(run_prometheus(place / "prometheus", config))
        prometheus.wait_for("probe_success", lambda vector: len(vector) == 8)
        instance = f"127.0.0.1:{exporter.port}"
        yield Scene(web, script, closed_port, instance, prometheus, alertmanager, receiver)


def told(name: str, status: str, *names: str) -> Callable[[Message], bool]:
    """Return a condition on a message: its alert, and the checks (or the group) whose alerts have the status."""

    def is_meant(message: Message) -> bool:
        alerts = [alert["labels"] for alert in message["alerts"] if alert["status"] == status]
        found = {labels.get("check") or labels.get("group") for labels in alerts}
        return message["groupLabels"]["alertname"] == name and found >= set(names)

    return is_meant


@pytest.mark.parametrize(("job", "checks"), [("nyxmon", ["gone-1", "gone-2"]), ("nyxmon-checks", ["gone-1"])])
def test_failing_checks_of_one_type_are_sent_in_one_message(scene: Scene, job: str, checks: list[str]) -> None:
    """The message has the labels of the configuration, the reason, and links, for /metrics and for targets."""
    of_checks = told("NyxmonCheckFailing", "firing", *checks)
    message = scene.receiver.wait_for(lambda message: of_checks(message) and message["groupLabels"]["job"] == job)
    target = f"127.0.0.1:{scene.closed_port}"
    alerts = {
        alert["labels"]["check"]: (alert["labels"], timeless(alert["annotations"])) for alert in message["alerts"]
    }
    assert (message["path"], message["groupLabels"]["check_type"]) == ("/pager", "tcp")
    assert alerts == {
        check: (
            {
                "alertname": "NyxmonCheckFailing", "severity": "critical", "job": job, "instance": scene.instance,
                "check": check, "check_type": "tcp", "target": target, "team": "web",
            },
            {
                "summary": f"Check {check} is failing: connect_refused",
                "description": f"The tcp check of {target} has failed on {scene.instance} for SECONDS, since TIME; "
                "no exporter sees it succeed.",
                "check_url": f"http://localhost:10115/checks/{check}",
                "dashboard_url": f"http://localhost:3000/d/nyxmon-check?var-job={job}"
                f"&var-instance={scene.instance.replace(':', '%3A')}&var-check={check}",
                "runbook_url": "https://runbooks.invalid/grafana/README.md#nyxmoncheckfailing",
            },
        )
        for check in checks
    }  # fmt: skip


def timeless(annotations: dict[str, str]) -> dict[str, str]:
    """The annotations without start times and durations."""
    texts = {name: re.sub(r"for [\d.]+m?s(?=,)", "for SECONDS", text) for name, text in annotations.items()}
    return {name: re.sub(r"since [\d-]+ [\d:]+ UTC", "since TIME", text) for name, text in texts.items()}


def recorded(scene: Scene, job: str) -> list[dict[str, str]]:
    """The labels of the series that rules record about a check, without the job's name."""
    found = scene.prometheus.query(f'{{__name__=~".+:.+:.+",check="home",job="{job}"}}')
    labels = [{**sample.labels, "job": "either"} for sample in found]
    for each in labels:
        if ":probe_duration_seconds:" in each["__name__"]:
            each.pop("team", "")  # no alert begins with it, and only discovered targets have it there
    return sorted(labels, key=lambda each: each["__name__"])


def test_rules_record_discovered_checks_as_they_do_others(scene: Scene) -> None:
    """The same series with the same labels, those of the configuration included."""
    for job in ("nyxmon", "nyxmon-checks"):
        scene.prometheus.wait_for(f'job_check:probe_success:avg3d{{check="home",job="{job}"}}')
        scene.prometheus.wait_for(f'instance_check:probe_duration_seconds:avg10m{{check="home",job="{job}"}}')
    by_metrics = recorded(scene, "nyxmon")
    assert recorded(scene, "nyxmon-checks") == by_metrics
    of_success = [each["team"] for each in by_metrics if ":probe_success:" in each["__name__"]]
    assert of_success == ["web"] * 6


def test_a_degraded_check_is_a_ticket(scene: Scene) -> None:
    """The message names the missed expectation, and nobody is paged."""
    message = scene.receiver.wait_for(told("NyxmonCheckDegraded", "firing", "old"))
    (alert,) = message["alerts"]
    assert message["path"] == "/tickets"
    assert alert["annotations"]["summary"] == "Check old is degraded: [header Server exists true]"
    assert timeless(alert["annotations"])["description"] == (
        f"The http check of {scene.web.url('/old')} succeeds on {scene.instance}, but it has been degraded"
        " for SECONDS, since TIME."
    )


def test_failures_and_recoveries_are_both_sent(scene: Scene) -> None:
    """There is a message when a check fails, one when its whole group fails instead, and one when all recover."""
    scene.script["/shop"] = respond(500)
    message = scene.receiver.wait_for(told("NyxmonCheckFailing", "firing", "shop"))
    (alert,) = message["alerts"]
    assert (message["path"], message["groupLabels"]["group"]) == ("/pager", "shop")
    assert alert["annotations"]["summary"] == "Check shop is failing: status [status in 2xx]"

    scene.script["/basket"] = respond(500)
    message = scene.receiver.wait_for(told("NyxmonGroupFailing", "firing", "shop"))
    (alert,) = message["alerts"]
    assert message["path"] == "/pager"
    assert alert["annotations"]["summary"] == "Every check of the group shop is failing: status (2)"
    assert timeless(alert["annotations"])["description"] == (
        "No check of the group shop has succeeded on any exporter for SECONDS, since TIME: basket shop."
    )
    held_back = {
        labels["check"]
        for labels in (found["labels"] for found in scene.alertmanager.api("alerts?active=false&inhibited=true"))
        if labels["alertname"] == "NyxmonCheckFailing"
    }
    assert held_back == {"shop", "basket"}

    scene.script["/basket"] = respond(200, b"fine")
    scene.receiver.wait_for(told("NyxmonGroupFailing", "resolved", "shop"))
    scene.script["/shop"] = respond(200, b"fine")
    scene.receiver.wait_for(told("NyxmonCheckFailing", "resolved", "shop"))
    told_of_basket = told("NyxmonCheckFailing", "firing", "basket")
    assert [message for message in scene.receiver.messages if told_of_basket(message)] == []
