"""Targets of every kind, an exporter that checks them, and a Prometheus that scrapes it in both ways."""

from __future__ import annotations

import ssl
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import trustme
import yaml

from tests.grafana.shipped import discovery_job
from tests.servers.dns import run_dns_server
from tests.servers.exporter import run_exporter
from tests.servers.http import redirect, respond, run_http_server
from tests.servers.prometheus import run_prometheus
from tests.servers.tcp import closed_port, say, serve

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from tests.servers.exporter import Exporter
    from tests.servers.http import Act
    from tests.servers.prometheus import Prometheus

    CheckYaml = Mapping[str, object]

RULES = """
# Like those among the rules that are committed, but without delay.
groups:
  - name: checks
    rules:
      - alert: NyxmonCheckFailing
        expr: probe_success == 0
      - alert: NyxmonGroupFailing
        expr: max by (job) (probe_success) == 1
"""

LAST_MODIFIED = [("Last-Modified", "Wed, 04 Nov 2026 10:00:00 GMT")]
GREETING = b"220 mail.example ESMTP\r\n"
HEALTHY = b'{"status": "ok", "queue": {"depth": 130}}'


class Certificates:
    """Two authorities; checks trust the first."""

    def __init__(self, directory: Path) -> None:
        self.trusted = trustme.CA()
        self.strange = trustme.CA()
        self.file = directory / "ca.pem"
        self.trusted.cert_pem.write_to_path(str(self.file))

    def install(self, context: ssl.SSLContext, name: str, days: int, *, authority: trustme.CA | None = None) -> None:
        """Make a server present a certificate for a name that expires in so many days."""
        end = datetime.now(UTC) + timedelta(days=days, minutes=1)
        (authority or self.trusted).issue_cert(name, not_after=end, common_name=name).configure_cert(context)


class Targets(NamedTuple):
    """The targets, and an exporter that checks them.

    Attributes:
        exporter: The exporter.
        acts: How the web servers answer, by path; may be changed.
        contexts: The TLS of the hosts `shop`, `intranet` and `partner`; may get other certificates.
        certificates: Issues them.
    """

    exporter: Exporter
    acts: dict[str, Act]
    contexts: dict[str, ssl.SSLContext]
    certificates: Certificates


class Scene(NamedTuple):
    """The same, and a Prometheus that scrapes the exporter.

    Attributes:
        exporter: The exporter.
        prometheus: The Prometheus.
        acts: How the web servers answer, by path; may be changed.
        contexts: The TLS of the hosts `shop`, `intranet` and `partner`; may get other certificates.
        certificates: Issues them.
    """

    exporter: Exporter
    prometheus: Prometheus
    acts: dict[str, Act]
    contexts: dict[str, ssl.SSLContext]
    certificates: Certificates


@contextmanager
def run_targets(directory: Path, *, without: Sequence[str] = ()) -> Iterator[Targets]:
    """Run targets and exporter for the length of the block.

    Args:
        directory: Where files are kept.
        without: Names of checks to leave out.
    """
    acts: dict[str, Act] = {
        "/": respond(200, b"welcome", LAST_MODIFIED),
        "/old": redirect("/"),
        "/wiki": respond(200, b"hello"),
        "/feed": respond(200, b"news"),
        "/billing": respond(500, b"sorry"),
        "/health": respond(200, HEALTHY, [("Content-Type", "application/json")]),
    }
    contexts = {name: ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) for name in ("shop", "intranet", "partner")}
    certificates = Certificates(directory)
    certificates.install(contexts["shop"], "shop.example", 61)
    certificates.install(contexts["intranet"], "intranet.example", 13)
    certificates.install(contexts["partner"], "partner.example", 4, authority=certificates.strange)
    with ExitStack() as stack:
        checks = [
            check
            for check in (*_web(stack, acts, contexts, certificates.file), *_others(stack))
            if check["name"] not in without
        ]
        config = yaml.safe_dump({"defaults": {"timeout": "600ms"}, "checks": checks})
        exporter = stack.enter_context(run_exporter(directory / "exporter", config))
        yield Targets(exporter, acts, contexts, certificates)


@contextmanager
def run_scene(directory: Path) -> Iterator[Scene]:
    """Run it all for the length of the block, with files in a directory.

    Prometheus has two jobs: one scrape for all checks, and one target for each, as the exporter itself names them.
    """
    with run_targets(directory) as targets:
        (directory / "prometheus").mkdir()
        (directory / "prometheus" / "rules.yml").write_text(RULES, encoding="utf-8")
        address = targets.exporter.address
        whole = {"targets": [address], "labels": {"instance": "exporter:10115"}}
        jobs = [{"job_name": "nyxmon", "static_configs": [whole]}, discovery_job(address)]
        with run_prometheus(directory / "prometheus", scraping("1s", jobs)) as prometheus:
            yield Scene(targets.exporter, prometheus, *targets[1:])


def _web(
    stack: ExitStack, acts: Mapping[str, Act], contexts: Mapping[str, ssl.SSLContext], ca_file: Path
) -> list[CheckYaml]:
    plain = {"connect_to": f"127.0.0.1:{stack.enter_context(run_http_server(acts)).port}", "labels": {"team": "web"}}
    secure = {
        name: {
            "connect_to": f"127.0.0.1:{stack.enter_context(run_http_server(acts, context=context)).port}",
            "labels": {"team": "web"},
            "tls_config": {"ca_file": str(ca_file)},
        }
        for name, context in contexts.items()
    }
    fast = {"duration": {"lt": "400ms"}, "severity": "warning"}
    long_valid = {"certificate_days_left": {"gt": 21}, "severity": "warning"}
    return [
        {"name": "shop", "type": "http", "target": "https://shop.example/", **secure["shop"],
         "expect": [{"status": "2xx"}, {"body": {"contains": "welcome"}}, fast, long_valid]},
        {"name": "search", "type": "http", "target": "http://shop.example/", **plain,
         "expect": [{"status": "2xx"}, fast]},
        {"name": "old-shop", "type": "http", "target": "http://shop.example/old", **plain},
        {"name": "billing", "type": "http", "target": "http://billing.example/billing", **plain},
        {"name": "intranet", "type": "http", "target": "https://intranet.example/wiki", **secure["intranet"],
         "expect": [{"status": "2xx"}, long_valid]},
        {"name": "partner", "type": "http", "target": "https://partner.example/feed", **secure["partner"]},
        {"name": "orders", "type": "json-http", "target": "http://orders.example/health",
         "connect_to": plain["connect_to"], "labels": {"team": "orders"},
         "expect": [{"json": "$.status", "eq": "ok"}, {"json": "$.queue.depth", "lt": 1000}]},
    ]  # fmt: skip


def _others(stack: ExitStack) -> list[CheckYaml]:
    server = stack.enter_context(run_dns_server()).server
    mail = stack.enter_context(serve(say(GREETING))).target
    closed = f"127.0.0.1:{stack.enter_context(closed_port())}"
    return [
        {"name": "dns-www", "type": "dns", "target": "www.test", "server": server, "labels": {"team": "net"},
         "expect": [{"answers": {"any_of": ["192.0.2.10"]}}]},
        {"name": "dns-zone", "type": "dns", "target": "test", "record_type": "SOA", "server": server,
         "compare": [{"server": server, "name": "secondary"}]},
        {"name": "dns-closed", "type": "dns", "target": "refused.test", "server": server,
         "expect": [{"rcode": "REFUSED"}]},
        {"name": "dns-lost", "type": "dns", "target": "nxdomain.test", "server": server},
        {"name": "mail", "type": "tcp", "target": "mail.example:25", "connect_to": mail,
         "expect": [{"banner": {"matches": "^220 .*ESMTP"}}]},
        {"name": "fax", "type": "tcp", "target": "fax.example:9", "connect_to": closed},
    ]  # fmt: skip


def scraping(interval: str, jobs: Sequence[Mapping[str, object]]) -> str:
    """The text of a configuration with these scrape jobs and `rules.yml`, evaluated at an interval."""
    times = dict.fromkeys(("scrape_interval", "scrape_timeout", "evaluation_interval"), interval)
    return yaml.safe_dump({"global": times, "rule_files": ["rules.yml"], "scrape_configs": jobs})
