"""Popular dashboards for blackbox_exporter work with probes and with checks."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme
import yaml

from tests.grafana.reading import fill
from tests.grafana.shipped import discovery_job, read_yaml
from tests.servers import certificates
from tests.servers.certificates import server_context
from tests.servers.dns import run_dns_server
from tests.servers.exporter import run_exporter
from tests.servers.http import respond, run_http_server
from tests.servers.prometheus import run_prometheus
from tests.waiting import at_last

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.prometheus import Prometheus

QUERIES: dict[str, list[str]] = read_yaml(Path(__file__).with_name("blackbox_queries.yml"))
JOBS = ("blackbox", "nyxmon-checks")


def blackbox_job(address: str, module: str, target: str) -> dict[str, object]:
    """A job as in blackbox_exporter's README, for one module and target; separate jobs would have different names."""
    return {
        "job_name": f"blackbox-{module}",
        "metrics_path": "/probe",
        "params": {"module": [module]},
        "static_configs": [{"targets": [target], "labels": {"job": "blackbox"}}],
        "relabel_configs": [
            {"source_labels": ["__address__"], "target_label": "__param_target"},
            {"source_labels": ["__param_target"], "target_label": "instance"},
            {"target_label": "__address__", "replacement": address},
        ],
    }


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Scrapes the same targets twice: as probes of modules, and as discovered checks whose target is the instance."""
    place = tmp_path_factory.mktemp("blackbox")
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(place / "ca.pem"))
    tls = {"ca_file": str(place / "ca.pem")}
    with ExitStack() as servers:
        context = server_context(certificates.valid(ca, "127.0.0.1"))
        url = servers.enter_context(run_http_server({"/": respond(200, b"fine")}, context=context)).url("/")
        dns = servers.enter_context(run_dns_server()).server
        modules = {
            "http_2xx": {"prober": "http", "http": {"preferred_ip_protocol": "ip4", "tls_config": tls}},
            "icmp": {"prober": "icmp", "icmp": {"preferred_ip_protocol": "ip4"}},
            "dns": {"prober": "dns", "dns": {"preferred_ip_protocol": "ip4", "query_name": "www.test"}},
        }
        (place / "blackbox.yml").write_text(yaml.safe_dump({"modules": modules}), encoding="utf-8")
        checks = [
            {"name": "web", "type": "http", "target": url, "tls_config": tls},
            {"name": "ping", "type": "icmp", "target": "127.0.0.1"},
            {"name": "names", "type": "dns", "target": "www.test", "server": dns},
        ]
        flags = (f"--blackbox.config.file={place / 'blackbox.yml'}", "--blackbox.allowed-targets=*")
        exporter = servers.enter_context(run_exporter(place / "exporter", yaml.safe_dump({"checks": checks}), *flags))
        of_checks = discovery_job(exporter.address)
        of_checks["relabel_configs"] = [{"source_labels": ["target"], "regex": "(.+)", "target_label": "instance"}]
        config = {
            "global": {"scrape_interval": "2s", "scrape_timeout": "2s"},
            "scrape_configs": [
                of_checks,
                blackbox_job(exporter.address, "http_2xx", url),
                blackbox_job(exporter.address, "icmp", "127.0.0.1"),
                blackbox_job(exporter.address, "dns", dns),
            ],
        }
        running = servers.enter_context(run_prometheus(place / "prometheus", yaml.safe_dump(config)))
        running.wait_for("probe_success == 1", lambda found: len(found) == 2 * len(modules))
        yield running


@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize("dashboard", QUERIES)
def test_every_query_has_samples(prometheus: Prometheus, dashboard: str, job: str) -> None:
    """Each query of the dashboard, with all targets selected, returns numbers for this job only."""
    targets = "|".join(sample.labels["instance"] for sample in prometheus.query(f'probe_success{{job="{job}"}}'))
    values = {"job": job, "instance": targets, "target": targets}

    def without_samples() -> list[str]:
        return [query for query in QUERIES[dashboard] if not prometheus.query(fill(query, values))]

    assert at_last(without_samples, []) == []
