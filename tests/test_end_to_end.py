# ruff: noqa: E501 - the table of checks has a line for each
"""End to end: from checks.yml through a real Prometheus that scrapes, to queries with the right results."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from exporter.checks.builtin import BUILTIN
from exporter.exposition import families as catalogue
from exporter.exposition import self_metrics as own_metrics
from tests.servers.authority import run_revocable_server
from tests.servers.chrony import run_chronyd
from tests.servers.datagrams import serve_datagrams
from tests.servers.dnsmasq import Dnsmasq, run_dnsmasq
from tests.servers.exporter import Exporter, run_exporter
from tests.servers.grpc import run_grpc
from tests.servers.http import gzip_bomb, hold, reset_after, respond, run_http_server
from tests.servers.mail import imap_script, pop3_script, smtp_script
from tests.servers.nginx import PLAIN_SERVER, TLS_SERVER, Nginx, run_nginx
from tests.servers.prometheus import Prometheus, check_metrics, run_prometheus
from tests.servers.registries import rdap, rdap_domain
from tests.servers.sshd import run_sshd
from tests.servers.tcp import black_hole, closed_port, keep_silent, say, serve
from tests.servers.unix import serve_unix
from tests.servers.websocket import run_websocket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tests.servers.nginx import CertificateFiles

SCRAPE_CONFIG = """
global: {{scrape_interval: {seconds}s, scrape_timeout: {seconds}s}}
scrape_configs:
  - job_name: nyxmon
    honor_labels: true
    static_configs: [{{targets: ["{address}"]}}]
"""

NGINX = (
    PLAIN_SERVER
    + TLS_SERVER
    + """
server {
    listen 127.0.0.9:{port};
    location = / { return 200; }
    location = /moved { return 301 http://$host:{port}/; }
    location = /gone { return 410; }
    location = /health { default_type application/json; return 200 '{"status": "ok", "queue": {"depth": 130}}'; }
}
"""
)

OK, WARNING, ERROR = 0, 1, 2


@pytest.fixture(scope="module")
def stack() -> Iterator[ExitStack]:
    """All servers of this module, running as long as it does."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture(scope="module")
def checks(
    stack: ExitStack, tmp_path_factory: pytest.TempPathFactory, certificate: CertificateFiles, ca_file: Path
) -> dict[str, tuple[str, int, str]]:
    """Each check's name, with its YAML, its status, and the reason of its failure."""
    directory = tmp_path_factory.mktemp("targets")
    nginx: Nginx = stack.enter_context(run_nginx(directory / "nginx", NGINX, certificate=certificate))
    records = [
        "--host-record=www.test,192.0.2.1,2001:db8::1",
        "--txt-record=www.test,hi",
        "--mx-host=www.test,mail.test,10",
        "--host-record=several.test,127.0.0.1,::1",
    ]
    names: Dnsmasq = stack.enter_context(run_dnsmasq(directory / "dnsmasq", records))
    script = {"/bomb": respond(200, gzip_bomb(50 << 20), [("Content-Encoding", "gzip")]), "/hang": hold(),
              "/domain/shop.example": rdap(rdap_domain()), "/reset": reset_after(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")}  # fmt: skip
    bad = stack.enter_context(run_http_server(script))
    closed = stack.enter_context(closed_port())
    hole = stack.enter_context(black_hole())
    greeting = stack.enter_context(serve(say(b"220 mail.test ESMTP\r\n")))
    smtp, imap, pop3 = (
        stack.enter_context(serve(script)).target for script in (smtp_script(), imap_script(), pop3_script())
    )
    grpc = stack.enter_context(run_grpc())
    websocket = stack.enter_context(run_websocket())
    ssh = stack.enter_context(run_sshd(directory / "sshd"))
    clock = stack.enter_context(run_chronyd(directory / "chrony"))
    datagrams = stack.enter_context(serve_datagrams(lambda _: [b"load 3"]))
    socket_path = directory / "socket"
    stack.enter_context(serve_unix(socket_path, say(b"hello\r\n")))
    (directory / "listed").mkdir()
    listed = stack.enter_context(run_revocable_server(directory / "listed"))
    login = "tls: none, insecure_auth: true, min_interval: 0, username: probe, password: unguessable"
    pages = f"http://127.0.0.9:{nginx.port}"
    trust = f"tls_config: {{ca_file: {ca_file}}}"
    dns = f"type: dns, target: www.test, server: '{names.server}'"
    return {
        "plain": (f"type: http, target: '{nginx.url()}', phase_histograms: true", OK, ""),
        "ipv4": (f"type: http, target: '{nginx.url()}', ip_protocol: ip4", OK, ""),
        "body": (f"type: http, target: '{nginx.url()}', expect: [{{body: {{contains: hello}}}}]", OK, ""),
        "body-wrong": (f"type: http, target: '{nginx.url()}', expect: [{{body: {{contains: bye}}}}]", ERROR, "expectation"),
        "redirect": (f"type: http, target: '{pages}/moved'", OK, ""),
        "location": (f"type: http, target: '{pages}/moved', follow_redirects: false, expect: [{{status: 301}}, {{location: '{pages}/'}}]", OK, ""),
        "gone": (f"type: http, target: '{pages}/gone'", ERROR, "status"),
        "gone-expected": (f"type: http, target: '{pages}/gone', expect: [{{status: 410}}]", OK, ""),
        "https": (f"type: http, target: '{nginx.tls_url()}', {trust}", OK, ""),
        "https-untrusted": (f"type: http, target: '{nginx.tls_url()}'", ERROR, "certificate"),
        "https-soon": (f"type: http, target: '{nginx.tls_url()}', {trust}, expect: [{{certificate_days_left: {{lt: 5}}, severity: warning}}]", WARNING, ""),
        "json": (f"type: json-http, target: '{pages}/health', expect: [{{json: $.status, eq: ok}}]", OK, ""),
        "json-degraded": (f"type: json-http, target: '{pages}/health', expect: [{{json: $.queue.depth, lt: 100, severity: warning}}]", WARNING, ""),
        "cel": (f"type: http, target: '{pages}/health', expect: [{{cel: body.queue.depth < 100.0}}]", ERROR, "expectation"),
        "no-json": (f"type: json-http, target: '{nginx.url()}'", ERROR, "decode"),
        "bomb": (f"type: http, target: '{bad.url('/bomb')}', compression: gzip", ERROR, "too_large"),
        "reset": (f"type: http, target: '{bad.url('/reset')}'", ERROR, "connection_reset"),
        "hang": (f"type: http, target: '{bad.url('/hang')}', timeout: 200ms", ERROR, "timeout"),
        "dns-a": (f"{dns}, expect: [{{answers: {{any_of: [192.0.2.1]}}}}]", OK, ""),
        "dns-aaaa": (f"{dns}, record_type: AAAA", OK, ""),
        "dns-wrong": (f"{dns}, expect: [{{answers: {{any_of: [192.0.2.99]}}}}]", ERROR, "expectation"),
        "dns-nothing": (f"{dns}, record_type: SRV", ERROR, "rcode"),
        "steps": (f"type: http-steps, target: '{nginx.url()}', steps: [{{name: home, url: /}}]", OK, ""),
        "dns-compared": (f"{dns}, compare: [{{server: '{names.server}', name: again}}]", OK, ""),
        "domain": (f"type: domain, target: shop.example, min_interval: 0, protocol: rdap, rdap_server: '{bad.url('/')}'", OK, ""),
        "tcp": (f"type: tcp, target: '127.0.0.1:{nginx.port}'", OK, ""),
        "tcp-tls": (f"type: tcp, target: 'localhost:{nginx.tls_port}', tls: true, {trust}", OK, ""),
        "tcp-banner": (f"type: tcp, target: '{greeting.target}', expect: [{{banner: {{matches: '^220 '}}}}]", OK, ""),
        "tcp-closed": (f"type: tcp, target: '127.0.0.1:{closed}'", ERROR, "connect_refused"),
        "tcp-addresses": (f"type: tcp, target: 'several.test:{closed}', resolver: '{names.server}', every_address: true", ERROR, "connect_refused"),
        "tcp-hole": (f"type: tcp, target: '127.0.0.1:{hole}', timeout: 200ms", ERROR, "connect_timeout"),
        "smtp": (f"type: smtp, target: '{smtp}', {login}, from: a@x.test, to: b@x.test", OK, ""),
        "imap": (f"type: imap, target: '{imap}', {login}, expect: [{{newest_age: {{lt: 1h}}, severity: warning}}]", WARNING, ""),
        "pop3": (f"type: pop3, target: '{pop3}', {login}, expect: [{{messages: 1}}]", OK, ""),
        "mail-roundtrip": (f"type: mail-roundtrip, target: '{smtp}', {login}, from: a@x.test, to: b@x.test, imap: {{target: '{imap}', tls: none, insecure_auth: true, username: probe, password: unguessable}}", OK, ""),
        "dialogue": (f"type: tcp, target: '{greeting.target}', dialogue: [{{expect: '^220 (.+)', labels: {{host: '${{1}}'}}}}]", OK, ""),
        "udp": (f"type: udp, target: '127.0.0.1:{datagrams}', dialogue: [{{send: q}}, {{expect: '^load (.+)', values: {{load: '${{1}}'}}}}]", OK, ""),
        "unix": (f"type: unix, target: '{socket_path}', dialogue: [{{expect: hello}}]", OK, ""),
        "grpc": (f"type: grpc, target: '{grpc.target}', tls: false", OK, ""),
        "websocket": (f"type: websocket, target: '{websocket.url}', dialogue: [{{send: a}}, {{expect: b}}]", ERROR, "timeout"),
        "websocket-closed": (f"type: websocket, target: '{websocket.url}', expect: [{{close_code: 1000}}]", OK, ""),
        "ssh": (f"type: ssh, target: '127.0.0.1:{ssh.port}'", OK, ""),
        "icmp": ("type: icmp, target: 127.0.0.1", OK, ""),
        "ntp": (f"type: ntp, target: '127.0.0.1:{clock}'", OK, ""),
        "certificate": (f"type: certificate, target: '{listed.target}', min_interval: 0, tls_config: {{ca_file: {listed.ca_file}}}", OK, ""),
        "exec": ("type: exec, target: here, command: [echo, 'fine | users=3'], min_interval: 0", OK, ""),
    }  # fmt: skip


@pytest.fixture(scope="module")
def exporter(
    stack: ExitStack, tmp_path_factory: pytest.TempPathFactory, checks: dict[str, tuple[str, int, str]]
) -> Exporter:
    """The exporter with those checks."""
    lines = (f"  - {{name: {name}, {keys}}}\n" for name, (keys, _, _) in checks.items())
    config = "defaults: {timeout: 700ms, labels: {team: web}}\nchecks:\n" + "".join(lines)
    return stack.enter_context(run_exporter(tmp_path_factory.mktemp("exporter"), config, "--enable-exec"))


@pytest.fixture(scope="module")
def prometheus(
    stack: ExitStack,
    tmp_path_factory: pytest.TempPathFactory,
    exporter: Exporter,
    checks: dict[str, tuple[str, int, str]],
) -> Prometheus:
    """Prometheus, after it has scraped the exporter twice."""
    config = SCRAPE_CONFIG.format(address=exporter.address, seconds=2)
    prometheus = stack.enter_context(run_prometheus(tmp_path_factory.mktemp("prometheus"), config))
    prometheus.wait_for(f"sum(nyxmon_check_runs_total) >= {2 * len(checks)}")
    return prometheus


def by_check(prometheus: Prometheus, expression: str) -> dict[str, float]:
    return {sample.labels["check"]: sample.value for sample in prometheus.query(expression)}


def wait_for_values(prometheus: Prometheus, expression: str, values: Mapping[str, float]) -> None:
    """Wait for a scrape with these values by check; a single scrape may suffer from a busy machine."""
    prometheus.wait_for(expression, lambda found: {each.labels["check"]: each.value for each in found} == values)


def test_every_check_has_the_status_it_should_have(
    prometheus: Prometheus, checks: dict[str, tuple[str, int, str]]
) -> None:
    """Ok, warning and error arrive unchanged in Prometheus, and only errors are not successful."""
    assert len(checks) >= 20
    wait_for_values(prometheus, "probe_status", {name: status for name, (_, status, _) in checks.items()})
    succeeding = {name: int(status != ERROR) for name, (_, status, _) in checks.items()}
    wait_for_values(prometheus, "probe_success", succeeding)


def test_every_failure_has_its_reason(prometheus: Prometheus, checks: dict[str, tuple[str, int, str]]) -> None:
    """Each failing check, and no other, has its reason as a label of a metric."""
    expected = {name: reason for name, (_, _, reason) in checks.items() if reason}
    prometheus.wait_for(
        "probe_failure_info", lambda found: {each.labels["check"]: each.labels["reason"] for each in found} == expected
    )


def test_measured_values_are_real(prometheus: Prometheus) -> None:
    """These values can come only from a real response."""
    for expression, values in (
        ('probe_http_status_code{check=~"plain|gone|redirect"}', {"plain": 200, "gone": 410, "redirect": 200}),
        ('probe_http_redirects{check="redirect"}', {"redirect": 1}),
        ('probe_dns_answer_rrs{check="dns-a"}', {"dns-a": 1}),
        ('probe_expectation_value{check="json-degraded",expectation=~"json.*"}', {"json-degraded": 130}),
        ('probe_tls_verified{check=~"https|https-untrusted"}', {"https": 1, "https-untrusted": 0}),
    ):
        wait_for_values(prometheus, expression, values)
    [expiry] = prometheus.query('probe_ssl_earliest_cert_expiry{check="https-untrusted"} - time() > 0')
    assert expiry.labels["check_type"] == "http"


def test_the_timeouts_are_kept(prometheus: Prometheus) -> None:
    """A hanging check takes as long as its timeout, and the batch no longer than its slowest check."""
    hanging = 'probe_duration_seconds{check=~"hang|tcp-hole"}'
    assert min(by_check(prometheus, f"min_over_time({hanging}[1m])").values()) > 0.195
    prometheus.wait_for(hanging, lambda found: max(sample.value for sample in found) < 0.6)
    prometheus.wait_for("scrape_duration_seconds < 0.9")


def test_every_family_of_the_catalogue_reaches_prometheus(prometheus: Prometheus) -> None:
    """Every declared metric appears in a scrape."""
    declared = {spec.name for check_type in BUILTIN for spec in check_type.metrics}
    for module in (catalogue, own_metrics):
        declared |= {family.name for family in vars(module).values() if isinstance(family, catalogue.Family)}
    scraped = {name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count").removesuffix("_total")
               for name in prometheus.api("label/__name__/values")}  # fmt: skip
    of_zones = {"probe_dns_serial", "probe_dns_compared_serial", "probe_dns_compared_serial_difference"}
    rare = {"probe_http_last_modified_timestamp_seconds", "probe_dns_nsid_info", *of_zones}
    assert {name.removesuffix("_total") for name in declared} - scraped <= rare


def test_the_batch_has_metrics(prometheus: Prometheus, checks: dict[str, tuple[str, int, str]]) -> None:
    """A batch has one HTTP client, an executor for each of its types, and reuses no connection by default."""
    [without] = prometheus.query("nyxmon_batch_duration_seconds_count - nyxmon_batch_http_clients_created_total")
    assert without.value <= 1  # the batch of another test, which has only DNS checks
    assert prometheus.query("nyxmon_batch_checks")[0].value == len(checks)
    assert prometheus.query("nyxmon_batch_http_connections_reused_total")[0].value == 0
    made = {sample.labels["check_type"] for sample in prometheus.query("nyxmon_batch_executors_instantiated_total")}
    assert {"dns", "tcp"} < made


def test_counters_and_histograms_grow_from_scrape_to_scrape(
    prometheus: Prometheus, checks: dict[str, tuple[str, int, str]]
) -> None:
    """Values that live as long as the process accumulate, as rates and error budgets require."""
    [first] = prometheus.query('nyxmon_check_failures_total{check="gone",reason="status"}')
    prometheus.wait_for(f'nyxmon_check_failures_total{{check="gone",reason="status"}} > {first.value}')
    timed = by_check(prometheus, "nyxmon_check_duration_seconds_count > nyxmon_check_runs_total / 2")
    assert len(timed) == len(checks)  # all but runs that a busy machine could not start


def test_the_page_is_well_formed(exporter: Exporter) -> None:
    """Prometheus' own linter reports nothing, for the whole page and for the page of one check."""
    for path in ("/metrics", "/probe?check=https"):
        status, page = exporter.get(path)
        assert status == 200
        check_metrics(page)


def test_a_selection_runs_only_what_it_selects(exporter: Exporter) -> None:
    """Parameters select the checks before anything runs."""
    _, page = exporter.get("/metrics?check_type=dns&label.team=web&name[]=probe_success")
    samples = [line for line in page.splitlines() if not line.startswith("#")]
    assert [line.partition('"')[2].partition('"')[0] for line in samples] == [
        "dns-a",
        "dns-aaaa",
        "dns-wrong",
        "dns-nothing",
        "dns-compared",
    ]


def test_up_stays_1_when_every_target_hangs(tmp_path: Path) -> None:
    """The page meets every scrape timeout and has all series, even when nothing answers."""
    with serve(keep_silent) as silent, ExitStack() as stack:
        lines = (f"  - {{name: h{n}, type: http, target: 'http://{silent.target}/{n}'}}\n" for n in range(40))
        exporter = stack.enter_context(run_exporter(tmp_path / "exporter", "checks:\n" + "".join(lines)))
        config = SCRAPE_CONFIG.format(address=exporter.address, seconds=3)
        prometheus = stack.enter_context(run_prometheus(tmp_path / "prometheus", config))
        prometheus.wait_for("min(nyxmon_check_runs_total) >= 2")
        assert {sample.value for sample in prometheus.query("min_over_time(up[1m])")} == {1}
        assert {sample.value for sample in prometheus.query("count(probe_failure_info{reason='deadline'})")} == {40}


def test_names_are_looked_up_once_per_batch(start_dnsmasq: Callable[..., Dnsmasq], tmp_path: Path) -> None:
    """Fifty checks of one name query its name server once."""
    names = start_dnsmasq(["--host-record=shop.test,127.0.0.1", "--log-queries", "--log-facility=-"])
    with serve(keep_silent) as server:
        port = server.target.rpartition(":")[2]
        lines = (
            f"  - {{name: t{n}, type: tcp, target: 'shop.test:{port}', resolver: '{names.server}'}}\n"
            for n in range(50)
        )
        with run_exporter(tmp_path / "exporter", "checks:\n" + "".join(lines)) as exporter:
            _, page = exporter.get("/metrics?name[]=probe_success")
    assert page.count("} 1.0") == 50
    assert names.process.log().count("query[A] shop.test") == 1
