"""Exporters on one machine that share their checks, as described in grafana/README.md."""

from __future__ import annotations

import re
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.readme_blocks import blocks
from tests.servers.exporter import run_exporter
from tests.servers.http import respond, run_http_server
from tests.servers.prometheus import run_prometheus
from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.servers.exporter import Exporter
    from tests.servers.prometheus import Prometheus

GRAFANA = Path(__file__).parent.parent.parent / "grafana"
PORTS = ("10115", "10116")
NAMES = frozenset(f"check-{number}" for number in range(60))


def documented(exporters: list[Exporter]) -> str:
    """The documented configuration, with the test's ports and shorter times."""
    (block,) = (block for block in blocks("yaml", first_line="# prometheus.yml") if "__tmp_process" in block.text)
    text = block.text
    for port, exporter in zip(PORTS, exporters, strict=True):
        text = text.replace(f"localhost:{port}", exporter.address)
    hurry = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}}
    return yaml.safe_dump(hurry | yaml.safe_load(text))


def run_by(exporter: Exporter) -> frozenset[str]:
    """The checks that an exporter has run."""
    _, page = exporter.get("/metrics?run=none&name[]=nyxmon_check_runs_total")
    counts = re.findall(r'\{check="(.*?)".*\} (\S+)', page)
    return frozenset(name for name, count in counts if float(count) > 0)


def successes(prometheus: Prometheus) -> Counter[tuple[str, str]]:
    """Instance and check of each series of a check that succeeds."""
    found = prometheus.query("probe_success == 1")
    return Counter((each.labels["instance"], each.labels["check"]) for each in found)


@pytest.mark.slow
def test_each_process_runs_its_share_of_the_checks(tmp_path: Path) -> None:
    """No check runs twice, both processes run some, and Prometheus has each check once, with its process."""
    with ExitStack() as stack:
        server = stack.enter_context(run_http_server({"/": respond(body=b"hello")}))
        checks = [{"name": name, "type": "http", "target": server.url()} for name in sorted(NAMES)]
        config = yaml.safe_dump({"checks": checks})
        exporters = [stack.enter_context(run_exporter(tmp_path / port, config)) for port in PORTS]
        prometheus = stack.enter_context(run_prometheus(tmp_path / "prometheus", documented(exporters)))
        wait_until(lambda: {name for _, name in successes(prometheus)} == NAMES)
        shares = [run_by(exporter) for exporter in exporters]
        assert (shares[0] | shares[1], shares[0] & shares[1]) == (NAMES, frozenset())
        assert min(map(len, shares)) > len(NAMES) / 4
        pairs = zip(exporters, shares, strict=True)
        expected = [(exporter.address, name) for exporter, share in pairs for name in share]
        assert successes(prometheus) == Counter(expected)


def test_the_template_unit_differs_from_the_unit_in_its_port_only() -> None:
    """The template has the same restrictions as the unit."""
    unit, template = ((GRAFANA / f"nyxmon-exporter{at}.service").read_text("utf-8") for at in ("", "@"))
    differing = [
        (one, other) for one, other in zip(unit.splitlines(), template.splitlines(), strict=True) if one != other
    ]
    assert [(other.removeprefix(one)) for one, other in differing] == [" on port %i", " --web.listen-address=:%i"]
