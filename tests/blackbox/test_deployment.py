"""Deployments of blackbox_exporter, with the program exchanged: its systemd unit, Helm values and Probe resources."""

from __future__ import annotations

import re
import shlex
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any

import yaml

from tests.servers.exporter import run_command, run_exporter

if TYPE_CHECKING:
    from pathlib import Path

UNIT = """
[Service]
EnvironmentFile=-/etc/default/exporter
ExecStart=/usr/bin/exporter $ARGS
ExecReload=/bin/kill -HUP $MAINPID
"""
DEFAULTS = """
ARGS="--blackbox.config.file FILE --config.check --log.level=warn --timeout-offset=0.5 --history.limit=100"
"""
VALUES = """
config: {modules: {http_2xx: {prober: http, timeout: 5s, http: {valid_http_versions: [HTTP/1.1, HTTP/2.0],
  follow_redirects: true, preferred_ip_protocol: ip4}}}}
extraArgs: [--history.limit=1000, --log.prober=info, -timeout-offset=1]
livenessProbe: {httpGet: {path: /-/healthy, port: http}}
readinessProbe: {httpGet: {path: /-/healthy, port: http}}
"""
PROBE = """
apiVersion: monitoring.coreos.com/v1
kind: Probe
metadata: {name: shop}
spec:
  prober: {url: ADDRESS, path: /probe}
  module: http_2xx
  scrapeTimeout: 5s
  params: [{name: team, values: [web, shop]}, {name: hostname, values: [shop.example]}]
  targets: {staticConfig: {static: ["http://ADDRESS/-/healthy"]}}
"""


def request_of(probe: Any) -> urllib.request.Request:
    """Return the request that Prometheus sends for a Probe resource."""
    spec = probe["spec"]
    parameters = {one["name"]: one["values"] for one in spec["params"]}
    parameters |= {"module": [spec["module"]], "target": spec["targets"]["staticConfig"]["static"]}
    query = urllib.parse.urlencode(parameters, doseq=True)
    return urllib.request.Request(
        f"http://{spec['prober']['url']}{spec['prober']['path']}?{query}",
        headers={
            "X-Prometheus-Scrape-Timeout-Seconds": spec["scrapeTimeout"].removesuffix("s"),
            "Accept": "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.1",
        },
    )


def test_the_systemd_unit_starts_it(tmp_path: Path) -> None:
    """The arguments of the unit's environment file are understood, its file of modules named by the flag for it."""
    file = tmp_path / "blackbox.yml"
    file.write_text("modules: {http_2xx: {prober: http}}\n", encoding="utf-8")
    variables = dict(line.split("=", 1) for line in DEFAULTS.strip().splitlines())
    command = re.search("^ExecStart=(.*)$", UNIT, re.MULTILINE)
    assert command is not None
    arguments = shlex.split(command[1].replace("$ARGS", shlex.split(variables["ARGS"])[0].replace("FILE", str(file))))
    outcome = run_command(*arguments[1:])
    assert (outcome.status, outcome.stdout, outcome.stderr) == (0, f"{file}: 1 module, no problems\n", "")


def test_helm_values_and_a_probe_resource_work(tmp_path: Path) -> None:
    """The values of the Helm chart start it, and a Probe resource with parameters of its own gets its page."""
    values = yaml.safe_load(VALUES)
    file = tmp_path / "blackbox.yaml"
    file.write_text(yaml.safe_dump(values["config"]), encoding="utf-8")
    with run_exporter(tmp_path, None, f"--blackbox.config.file={file}", *values["extraArgs"]) as exporter:
        healthy = [exporter.get(values[probe]["httpGet"]["path"])[0] for probe in ("livenessProbe", "readinessProbe")]
        request = request_of(yaml.safe_load(PROBE.replace("ADDRESS", exporter.address)))
        with urllib.request.urlopen(request, timeout=20) as response:
            page, content_type = response.read().decode(), response.headers["Content-Type"]
    assert (healthy, content_type) == ([200, 200], "application/openmetrics-text; version=1.0.0; charset=utf-8")
    assert "\nprobe_success 1.0\n" in page
    assert "\nprobe_timeout_seconds 4.0\n" in page
