"""Targets of every kind, an exporter that checks them, and a Prometheus that scrapes it, both ways there are."""

from __future__ import annotations

import ssl
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import trustme
import yaml

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


class Scene(NamedTuple):
    """What runs; `web` and `web_tls` are the scripts of the web servers and may be changed."""

    exporter: Exporter
    prometheus: Prometheus
    web: dict[str, Act]
    web_tls: dict[str, Act]


@contextmanager
def run_scene(directory: Path, *, interval: str = "500ms", discovered: bool = True) -> Iterator[Scene]:
    """Run it all for the length of the block.

    Args:
        directory: Where files are kept.
        interval: How often Prometheus scrapes.
        discovered: Whether there is a second job, of one target for each check.
    """
    directory.mkdir(parents=True, exist_ok=True)
    web: dict[str, Act] = {
        "/": respond(200, b"welcome", LAST_MODIFIED),
        "/old": redirect("/"),
        "/broken": respond(500, b"sorry"),
        "/health": respond(200, b'{"status": "ok", "queue": {"depth": 130}}', [("Content-Type", "application/json")]),
    }
    web_tls: dict[str, Act] = {"/": respond(200, b"welcome")}
    with ExitStack() as stack:
        checks = _checks(stack, directory, web, web_tls)
        (directory / "checks.yml").write_text(yaml.safe_dump({"checks": checks}), encoding="utf-8")
        exporter = stack.enter_context(
            run_exporter(directory / "exporter", f"--config.file={directory / 'checks.yml'}")
        )
        (directory / "prometheus").mkdir()
        (directory / "prometheus" / "rules.yml").write_text(RULES, encoding="utf-8")
        address = f"127.0.0.1:{exporter.port}"
        jobs = [{"job_name": "nyxmon", "static_configs": [{"targets": [address]}]}]
        if discovered:
            jobs.append({"job_name": "discovered", "static_configs": _discovered(address, checks)})
        prometheus = stack.enter_context(run_prometheus(directory / "prometheus", _scraping(interval, jobs)))
        yield Scene(exporter, prometheus, web, web_tls)


def _checks(
    stack: ExitStack, directory: Path, web: Mapping[str, Act], web_tls: Mapping[str, Act]
) -> list[dict[str, object]]:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(directory / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    soon = datetime.now(UTC) + timedelta(days=14)
    authority.issue_cert("127.0.0.1", "localhost", not_after=soon).configure_cert(context)
    plain = stack.enter_context(run_http_server(web))
    secure = stack.enter_context(run_http_server(web_tls, context=context))
    names = stack.enter_context(run_dns_server())
    mail = stack.enter_context(serve(say(b"220 mail.test ESMTP\r\n")))
    closed = stack.enter_context(closed_port())
    trusting = {"tls_config": {"ca_file": str(directory / "ca.pem")}}
    return [
        {"name": "shop", "type": "http", "target": plain.url("/"), "labels": {"team": "web"},
         "expect": [{"status": "2xx"}, {"body": {"contains": "welcome"}}]},
        {"name": "shop-moved", "type": "http", "target": plain.url("/old"), "labels": {"team": "web"}},
        {"name": "shop-broken", "type": "http", "target": plain.url("/broken"), "labels": {"team": "web"}},
        {"name": "secure", "type": "http", "target": secure.url("/"), "labels": {"team": "web"}, **trusting,
         "expect": [{"status": "2xx"}, {"certificate_days_left": {"gt": 21}, "severity": "warning"}]},
        {"name": "untrusted", "type": "http", "target": secure.url("/"), "labels": {"team": "web"}},
        {"name": "queue", "type": "json-http", "target": plain.url("/health"), "labels": {"team": "shop"},
         "expect": [{"json": "$.queue.depth", "lt": 1000}]},
        {"name": "address", "type": "dns", "target": "www.test", "server": names.server, "labels": {"team": "net"}},
        {"name": "zone", "type": "dns", "target": "test", "record_type": "SOA", "server": names.server},
        {"name": "refused", "type": "dns", "target": "refused.test", "server": names.server},
        {"name": "mail", "type": "tcp", "target": mail.target, "expect": [{"banner": {"matches": "^220 "}}]},
        {"name": "nobody", "type": "tcp", "target": f"127.0.0.1:{closed}"},
    ]  # fmt: skip


def _discovered(address: str, checks: Sequence[Mapping[str, object]]) -> list[Mapping[str, object]]:
    return [
        {
            "targets": [address],
            "labels": {
                "__metrics_path__": "/probe",
                "__param_check": check["name"],
                "check": check["name"],
                "check_type": check["type"],
                "target": check["target"],
            },
        }
        for check in checks
    ]


def _scraping(interval: str, jobs: Sequence[Mapping[str, object]]) -> str:
    times = dict.fromkeys(("scrape_interval", "scrape_timeout", "evaluation_interval"), interval)
    return yaml.safe_dump({"global": times, "rule_files": ["rules.yml"], "scrape_configs": jobs})
