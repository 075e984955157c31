"""One outage of half an hour is one page and one message that it is over, whatever fails and whyever.

The shipped rules and routes run in a real Prometheus and Alertmanager, every duration in them divided by `HASTE`. What
the windows of hours and days see afterwards is in `grafana/rules/tests/slo.yml`, in promtool's own time.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

import pytest
import trustme
import yaml

from tests.grafana.shipped import GRAFANA, RULE_FILES, read_yaml
from tests.servers.alertmanager import run_alertmanager
from tests.servers.certificates import expired, present, server_context, valid
from tests.servers.dns import ZONE, run_dns_server
from tests.servers.exporter import run_exporter
from tests.servers.http import respond, run_http_server
from tests.servers.prometheus import run_prometheus
from tests.servers.webhook import run_receiver

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

    from tests.servers.exporter import Exporter
    from tests.servers.prometheus import Prometheus
    from tests.servers.webhook import Receiver

HASTE = 30
RECOVERY_SECONDS = 26.5
"""From the first message about failing checks until they recover: shortly before the fourth, as messages of a group are
`group_interval` apart. When it is due, the alerts about causes still hold back those about their checks: they are kept
firing for two minutes. A message that is due later names a held back alert that has ended, though not sent before."""

AFTERWARDS_SECONDS = 45 * 60 / HASTE
"""Longer than the short windows of the error budgets, which see the outage for 30 minutes and wait for up to 15."""

SCRAPE_INTERVAL = "1s"
"""Not divided: a busy machine may pause for half a second, and a healthy check must not fail for that."""

GROUP_SIZE = 20
NAME = "one-page.test"
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

Told = tuple[str, str, str, int]
"""Receiver, status, alert, and the number of alerts in the message."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


class Scene(NamedTuple):
    """Two exporters, their targets, and the receivers of alerts.

    Attributes:
        script: How the web server answers, by path.
        certificate: The certificate of the web server that speaks TLS.
        authority: The authority that the check of it trusts.
        second: The exporter that goes down.
        prometheus: Scrapes both.
        receiver: Gets the messages of all three receivers.
    """

    script: dict[str, Any]
    certificate: ssl.SSLContext
    authority: trustme.CA
    second: Exporter
    prometheus: Prometheus
    receiver: Receiver


def in_haste(text: str) -> str:
    """The durations of a configuration or of rules divided: after their keys, in ranges, and after `offset`."""

    def divided(found: re.Match[str]) -> str:
        seconds = sum(int(number) * SECONDS[unit] for number, unit in re.findall(r"(\d+)([smhd])", found[2]))
        return f"{found[1]}{round(seconds * 1000 / HASTE)}ms"

    keys = r"\b(?:for|keep_firing_for|interval|\w+_(?:interval|timeout|wait)): |\[|\boffset "
    starts = re.sub(rf"({keys})((?:\d+[smhd])+)(?!\w)", divided, text)
    return re.sub(r"(\[\d+ms:)((?:\d+[smhd])+)", divided, starts)


def checks_of_first(url: str, tls_url: str, name_server: str, ca_file: Path) -> str:
    """A check that stays healthy, three that fail for different reasons, and a group that fails as a whole."""
    paths = ", ".join(f"/group-{number}" for number in range(GROUP_SIZE))
    return f"""
defaults: {{timeout: 800ms}}
checks:
  - {{name: home, type: http, target: "{url}/home"}}
  - {{name: billing, type: http, target: "{url}/billing"}}
  - {{name: shop-tls, type: http, target: "{tls_url}", tls_config: {{ca_file: "{ca_file}"}}}}
  - {{name: zone, type: dns, target: {NAME}, server: "{name_server}", expect: [{{answers: {{any_of: [192.0.2.10]}}}}]}}
  - name: "shop{{path}}"
    type: http
    target: "{url}{{path}}"
    labels: {{group: shop}}
    each: {{path: [{paths}]}}
"""


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """All checks are healthy, and Prometheus has scraped them."""
    monkeypatch.setitem(ZONE, f"{NAME}.", ["1 IN A 192.0.2.10"])
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    certificate = server_context(valid(authority, "127.0.0.1"))
    script = {path: respond(200) for path in ("/home", "/billing", *(f"/group-{n}" for n in range(GROUP_SIZE)))}
    with ExitStack() as servers:
        url = servers.enter_context(run_http_server(script)).url("")
        tls_url = servers.enter_context(run_http_server({"/": respond(200)}, context=certificate)).url()
        name_server = servers.enter_context(run_dns_server()).server
        checks = checks_of_first(url, tls_url, name_server, tmp_path / "ca.pem")
        first = servers.enter_context(run_exporter(tmp_path / "first", checks))
        second_checks = f"""
checks:
  - {{name: intranet, type: http, target: "{url}/home"}}
  - {{name: wiki, type: http, target: "{url}/home"}}
"""
        second = servers.enter_context(run_exporter(tmp_path / "second", second_checks))
        receiver = servers.enter_context(run_receiver())
        routes = in_haste((GRAFANA / "alertmanager.yml").read_text("utf-8"))
        routes = re.sub(r"http://(\w+)\.invalid/nyxmon", rf"http://127.0.0.1:{receiver.port}/\1", routes)
        alertmanager = servers.enter_context(run_alertmanager(tmp_path / "alertmanager", routes))
        (tmp_path / "prometheus" / "rules").mkdir(parents=True)
        for path in RULE_FILES:
            hasty = in_haste(path.read_text("utf-8"))
            (tmp_path / "prometheus" / "rules" / path.name).write_text(hasty, encoding="utf-8")
        config = read_yaml(GRAFANA / "prometheus.yml")
        config["global"] = yaml.safe_load(in_haste(yaml.safe_dump(config["global"])))
        config["global"] |= {"scrape_interval": SCRAPE_INTERVAL, "scrape_timeout": SCRAPE_INTERVAL}
        config["scrape_configs"][0]["static_configs"][0]["targets"] = [first.address, second.address]
        config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{alertmanager.port}"]
        prometheus = servers.enter_context(run_prometheus(tmp_path / "prometheus", yaml.safe_dump(config)))
        prometheus.wait_for("probe_success", lambda found: len(found) == GROUP_SIZE + 6)
        prometheus.wait_for("probe_success == 1", lambda found: len(found) == GROUP_SIZE + 6)
        yield Scene(script, certificate, authority, second, prometheus, receiver)


def told(receiver: Receiver) -> list[Told]:
    """The notifications of the receivers, sorted by name."""
    return sorted(
        (message["path"], message["status"], message["groupLabels"]["alertname"], len(message["alerts"]))
        for message in receiver.messages
    )


def test_all_durations_are_divided() -> None:
    """This includes keys, ranges with several units, subqueries and offsets, but not other numbers."""
    rules = "interval: 1m\nfor: 90s\nkeep_firing_for: 5m\nexpr: a[1h5m] offset 1h > 21 * 86400 or b[6h:30s] # 5m"
    assert in_haste(rules) == (
        "interval: 2000ms\nfor: 3000ms\nkeep_firing_for: 10000ms\n"
        "expr: a[130000ms] offset 120000ms > 21 * 86400 or b[720000ms:1000ms] # 5m"
    )
    assert in_haste("group_wait: 30s\ngroup_interval: 5m") == "group_wait: 1000ms\ngroup_interval: 10000ms"


def test_an_outage_is_one_page_and_one_end(scene: Scene) -> None:
    """Checks, a group of many and an exporter fail for half an hour, recover, and stay healthy.

    Of the alerts about a check, only the one that says why is sent.
    """
    paths = [path for path in scene.script if path != "/home"]
    for path in paths:
        scene.script[path] = respond(503)
    ZONE[f"{NAME}."] = ["1 IN A 192.0.2.66"]
    present(scene.certificate, expired(scene.authority, "127.0.0.1"))
    scene.second.process.stop()
    scene.receiver.wait_for(lambda message: message["groupLabels"]["alertname"] == "NyxmonCheckFailing")
    time.sleep(RECOVERY_SECONDS)
    scene.second.process.start()
    present(scene.certificate, valid(scene.authority, "127.0.0.1"))
    ZONE[f"{NAME}."] = ["1 IN A 192.0.2.10"]
    for path in paths:
        scene.script[path] = respond(200)
    time.sleep(AFTERWARDS_SECONDS)
    expected = {
        "NyxmonCertificateExpired": 1,
        "NyxmonCheckFailing": 1,
        "NyxmonDnsAnswersDiffer": 1,
        "NyxmonExporterDown": 1,
        "NyxmonGroupFailing": 1,
    }
    assert told(scene.receiver) == [
        ("/pager", status, name, number) for status in ("firing", "resolved") for name, number in expected.items()
    ]
    fired = scene.prometheus.query('count by (alertname) (last_over_time(ALERTS{alertstate="firing"}[1h]))')
    assert Counter({sample.labels["alertname"]: int(sample.value) for sample in fired}) == Counter(
        expected | {"NyxmonCheckFailing": 3 + GROUP_SIZE}
    )
