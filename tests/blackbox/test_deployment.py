"""Deployments of blackbox_exporter that run this program: Debian's systemd unit, Helm values, Probe resources."""

from __future__ import annotations

import re
import shlex
import signal
import urllib.parse
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.manifests import problems
from tests.servers.exporter import run_command, run_exporter
from tests.servers.process import server_program
from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.servers.exporter import Exporter

UNIT = Path("/lib/systemd/system/prometheus-blackbox-exporter.service")
"""The unit of Debian's package; the test needs the package installed."""

FLAGS = (
    ("--config.check", "--timeout-offset=0.5", "--history.limit=100"),
    ("--config.check", "-timeout-offset", "0.25"),
    ("--config.check", "--config.enable-auto-reload", "--config.auto-reload-interval=30"),
    ("--config.check", "--no-config.enable-auto-reload"),
    ("--config.check", "--log.level=debug", "--log.format=json", "--log.prober=warn"),
    ("--config.check", "--log.level=error", "--log.format=logfmt"),
    ("--config.check", "--web.listen-address=:9115", "--web.listen-address=[::1]:9116"),
    ("--config.check", "--web.external-url=https://monitor.example/blackbox/", "--web.route-prefix=/"),
    ("--config.check", "--web.config.file="),
    ("--config.check", "--web.systemd-socket"),
    ("--config.check", "--no-web.systemd-socket"),
    ("--no-config.check", "--version"),
)
"""The flags of blackbox_exporter in the form in which people give them."""

VALUES = """
image: {registry: quay.io, repository: prometheus/blackbox-exporter}
config:
  modules:
    http_2xx:
      prober: http
      timeout: 5s
      http:
        valid_http_versions: ["HTTP/1.1", "HTTP/2.0"]
        follow_redirects: true
        preferred_ip_protocol: ip4
    ssh_banner: {prober: tcp, timeout: 10s, tcp: {query_response: [{expect: "^SSH-2.0-"}]}}
extraArgs: [--history.limit=1000, --log.prober=info, -timeout-offset=1]
livenessProbe: {httpGet: {path: /-/healthy, port: http}, failureThreshold: 3}
readinessProbe: {httpGet: {path: /-/healthy, port: http}}
service: {type: ClusterIP, port: 9115}
serviceMonitor:
  enabled: true
  defaults: {interval: 30s, scrapeTimeout: 30s, module: http_2xx}
  targets: [{name: shop, url: "http://ADDRESS/-/healthy"}, {name: api, url: "http://ADDRESS/-/ready", module: http_2xx}]
"""
PROBES = """
apiVersion: monitoring.coreos.com/v1
kind: Probe
metadata: {name: shop, namespace: monitoring, labels: {team: web}}
spec:
  jobName: shop
  interval: 30s
  scrapeTimeout: 5s
  module: http_2xx
  prober: {url: "ADDRESS", scheme: http, path: /probe}
  params: [{name: team, values: [web, shop]}, {name: hostname, values: [shop.example]}]
  targets: {staticConfig: {static: ["http://ADDRESS/-/healthy"], labels: {environment: test}}}
---
apiVersion: monitoring.coreos.com/v1
kind: Probe
metadata: {name: module-in-params}
spec:
  scrapeTimeout: 5s
  prober: {url: "ADDRESS"}
  params: [{name: module, values: [http_2xx]}, {name: debug, values: ["false"]}]
  targets: {staticConfig: {static: ["ADDRESS/-/healthy"]}}
---
apiVersion: monitoring.coreos.com/v1
kind: Probe
metadata: {name: default-module}
spec:
  scrapeTimeout: 5s
  prober: {url: "ADDRESS"}
  targets: {staticConfig: {static: ["http://ADDRESS/-/healthy"]}}
"""
PROMETHEUS_ACCEPTS = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.1"


def request_of(probe: Any) -> urllib.request.Request:
    """Return the request that Prometheus sends for a Probe resource, with the parameters that the operator writes."""
    spec = probe["spec"]
    prober = spec["prober"]
    parameters = {one["name"]: one["values"] for one in spec.get("params", [])}
    if "module" in spec:
        parameters["module"] = [spec["module"]]
    parameters["target"] = spec["targets"]["staticConfig"]["static"]
    return urllib.request.Request(
        f"{prober.get('scheme', 'http')}://{prober['url']}{prober.get('path', '/probe')}"
        f"?{urllib.parse.urlencode(parameters, doseq=True)}",
        headers={
            "X-Prometheus-Scrape-Timeout-Seconds": spec["scrapeTimeout"].removesuffix("s"),
            "Accept": PROMETHEUS_ACCEPTS,
        },
    )


def succeeds(exporter: Exporter, target: str, module: str) -> bool:
    query = urllib.parse.urlencode({"target": target, "module": module})
    return "\nprobe_success 1" in exporter.get(f"/probe?{query}")[1]


@pytest.mark.parametrize("flags", FLAGS, ids=" ".join)
def test_its_flags_are_understood(tmp_path: Path, flags: tuple[str, ...]) -> None:
    """Each flag keeps its name and values, with one dash or two; only the configuration file's flag is renamed."""
    file = tmp_path / "blackbox.yml"
    file.write_text("modules: {http_2xx: {prober: http}}\n", encoding="utf-8")
    assert run_command(f"--blackbox.config.file={file}", *flags).status == 0


def test_the_flag_of_the_file_is_explained(tmp_path: Path) -> None:
    """Modules in the flag for checks are rejected, and the error names the flag to use."""
    file = tmp_path / "blackbox.yml"
    file.write_text("modules: {http_2xx: {prober: http}}\n", encoding="utf-8")
    outcome = run_command(f"--config.file={file}", "--config.check")
    assert outcome.status == 2
    assert "this is a blackbox.yml; start with --blackbox.config.file" in outcome.stderr


def test_debians_systemd_unit_starts_and_reloads_it(tmp_path: Path) -> None:
    """With another program and flag for the file, the unit's arguments work, and its signal reloads the modules."""
    server_program("prometheus-blackbox-exporter", "prometheus-blackbox-exporter")
    unit = dict(re.findall(r"^(\w+)=(.*)$", UNIT.read_text(encoding="utf-8"), re.MULTILINE))
    defaults = Path(unit["EnvironmentFile"].removeprefix("-")).read_text(encoding="utf-8")
    variables = dict(line.split("=", 1) for line in defaults.splitlines() if line.startswith("ARGS"))
    arguments = shlex.split(unit["ExecStart"].replace("$ARGS", shlex.split(variables["ARGS"])[0]))[1:]
    assert (arguments, unit["ExecReload"]) == (
        ["--config.file", "/etc/prometheus/blackbox.yml"],
        "/bin/kill -HUP $MAINPID",
    )
    file = tmp_path / "blackbox.yml"
    file.write_text("modules: {http_2xx: {prober: http}}\n", encoding="utf-8")
    exchanged = {"--config.file": "--blackbox.config.file", "/etc/prometheus/blackbox.yml": str(file)}
    started = [exchanged.get(argument, argument) for argument in arguments]
    with run_exporter(tmp_path, None, *started, "--no-config.enable-auto-reload") as exporter:
        target = f"http://{exporter.address}/-/healthy"
        assert succeeds(exporter, target, "http_2xx")
        file.write_text("modules: {later: {prober: http}}\n", encoding="utf-8")
        exporter.process.send_signal(signal.SIGHUP)
        wait_until(lambda: succeeds(exporter, target, "later"))


def test_the_values_of_the_helm_chart_work(tmp_path: Path) -> None:
    """The chart's modules, arguments, container probes and ServiceMonitor requests work unchanged."""
    values = yaml.safe_load(VALUES)
    file = tmp_path / "blackbox.yaml"
    file.write_text(yaml.safe_dump(values["config"]), encoding="utf-8")
    with run_exporter(tmp_path, None, f"--blackbox.config.file={file}", *values["extraArgs"]) as exporter:
        healthy = [exporter.get(values[probe]["httpGet"]["path"])[0] for probe in ("livenessProbe", "readinessProbe")]
        monitor = values["serviceMonitor"]
        found = [
            succeeds(
                exporter,
                target["url"].replace("ADDRESS", exporter.address),
                target.get("module", monitor["defaults"]["module"]),
            )
            for target in monitor["targets"]
        ]
    assert (healthy, found) == ([200, 200], [True, True])


def test_probe_resources_work(tmp_path: Path) -> None:
    """Unknown parameters are ignored, `params` may name the module, and there is a default module."""
    file = tmp_path / "blackbox.yml"
    file.write_text("modules: {http_2xx: {prober: http, http: {preferred_ip_protocol: ip4}}}\n", encoding="utf-8")
    with run_exporter(tmp_path, None, f"--blackbox.config.file={file}") as exporter:
        probes = list(yaml.safe_load_all(PROBES.replace("ADDRESS", exporter.address)))
        # The schemas are those of an operator before 0.85, which brought `params`.
        for probe in probes:
            spec = {key: value for key, value in probe["spec"].items() if key != "params"}
            assert problems({**probe, "spec": spec}) == []
        pages = []
        for probe in probes:
            with urllib.request.urlopen(request_of(probe), timeout=20) as response:
                pages.append((response.read().decode(), response.headers["Content-Type"]))
    for page, content_type in pages:
        assert content_type == "application/openmetrics-text; version=1.0.0; charset=utf-8"
        assert "\nprobe_success 1.0\n" in page
        assert "\nprobe_timeout_seconds 4.5\n" in page
