"""The tests' own servers: they start, answer, log, stop, and report when they cannot."""

from __future__ import annotations

import socket
import ssl
import time
from collections import UserDict
from typing import TYPE_CHECKING

import dns.message
import dns.query
import pytest
from blockbuster import BlockingError

from exporter.attempt import current_attempt
from tests.servers.mariadb import run_mariadb
from tests.servers.nginx import PLAIN_SERVER, TLS_SERVER, CertificateFiles, Nginx
from tests.servers.postgresql import run_postgresql
from tests.servers.process import ServerFailed, ServerProcess, accepts_tcp, http_get, server_program
from tests.servers.prometheus import Prometheus, check_metrics
from tests.servers.redis import run_redis
from tests.servers.slapd import run_slapd
from tests.servers.sshd import run_sshd

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.servers.blackbox import Blackbox
    from tests.servers.dnsmasq import Dnsmasq

BLACKBOX_CONFIG = "modules: {web: {prober: http, timeout: 5s, http: {preferred_ip_protocol: ip4}}}"


def test_nginx_answers_on_every_loopback_address(start_nginx: Callable[..., Nginx]) -> None:
    """One nginx serves many targets: every 127.x address reaches it on the same port."""
    nginx = start_nginx(PLAIN_SERVER)
    assert accepts_tcp(nginx.port, "127.0.1.200")
    assert http_get(nginx.port, "/") == (200, "hello\n")


def test_nginx_shows_the_certificate_it_was_given(
    start_nginx: Callable[..., Nginx], certificate: CertificateFiles, ca_file: Path
) -> None:
    """A client that trusts the tests' authority can verify the server."""
    nginx = start_nginx(TLS_SERVER, certificate=certificate)
    context = ssl.create_default_context(cafile=str(ca_file))
    presented = ssl.get_server_certificate(("localhost", nginx.tls_port), ca_certs=str(ca_file))
    assert context.cert_store_stats()["x509_ca"] == 1
    assert presented.strip() == certificate.cert_file.read_text().strip()


def test_dnsmasq_answers_configured_names(start_dnsmasq: Callable[..., Dnsmasq]) -> None:
    """It answers for names given as options, over UDP and TCP."""
    dnsmasq = start_dnsmasq(["--host-record=www.test,192.0.2.1"])
    query = dns.message.make_query("www.test", "A")
    for ask in (dns.query.udp, dns.query.tcp):
        assert ask(query, "127.0.0.1", port=dnsmasq.port, timeout=5).answer[0].to_text() == "www.test. 0 IN A 192.0.2.1"


def test_prometheus_scrapes_its_targets(start_prometheus: Callable[..., Prometheus]) -> None:
    """A query returns samples with their labels."""
    prometheus = start_prometheus("scrape_configs: []")
    assert prometheus.query("vector(3)") == [({}, 3.0)]


def test_blackbox_probes_nginx(start_blackbox: Callable[..., Blackbox], start_nginx: Callable[..., Nginx]) -> None:
    """The exporter used for comparison runs against the same servers."""
    nginx, blackbox = start_nginx(), start_blackbox(BLACKBOX_CONFIG)
    page = blackbox.probe(nginx.url(), "web")
    assert "probe_success 1" in page.splitlines()
    check_metrics(page)


def test_promtool_rejects_a_broken_page() -> None:
    """A page that is not in the exposition format fails the test that checks it."""
    with pytest.raises(AssertionError, match="promtool check metrics"):
        check_metrics("# TYPE broken gauge\nbroken{ 1\n")


def test_a_server_that_ends_early_is_reported_with_its_log(tmp_path: Path) -> None:
    """The log of a server that did not start is in the failure."""
    process = ServerProcess(["sh", "-c", "echo no such option; exit 3"], directory=tmp_path, is_ready=lambda: False)
    with pytest.raises(ServerFailed, match=r"sh ended with 3:\nno such option"):
        process.start()


def test_a_server_that_ignores_its_end_is_killed(tmp_path: Path) -> None:
    """Stopping takes bounded time even when the process ignores signals."""
    command = ["sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.05; done"]
    process = ServerProcess(
        command, directory=tmp_path, is_ready=lambda: "up" in process.log(), stop_timeout_seconds=0.2
    )
    with process:
        pid = process.pid
    assert "sh" not in _command_of(pid)


@pytest.mark.parametrize(("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_a_missing_server_fails_in_ci_and_skips_elsewhere(
    monkeypatch: pytest.MonkeyPatch, ci: str, outcome: type[BaseException]
) -> None:
    """Continuous integration must not pass because fewer tests run."""
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="Debian package no-such-package"):
        server_program("no-such-server", "no-such-package")


async def test_blocking_the_loop_from_the_exporter_fails_a_test() -> None:
    """Blocking calls on the event loop are detected when the exporter's code makes them, and only then."""
    slow = _SlowMapping(status=200)
    assert slow["status"] == 200
    with pytest.raises(BlockingError):
        current_attempt().observe(slow)


class _SlowMapping(UserDict[str, int]):
    """A mapping that blocks when it is read, like a file."""

    def __getitem__(self, key: str) -> int:
        time.sleep(0)
        return super().__getitem__(key)


def _command_of(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/cmdline", encoding="utf-8") as file:  # noqa: PTH123 - a process, not a document
            return file.read()
    except FileNotFoundError:
        return ""


def test_databases_directories_and_shells_answer(tmp_path: Path) -> None:
    """Redis, PostgreSQL, MariaDB, slapd and sshd start without a configuration of the host and speak."""
    with (
        run_redis(tmp_path / "redis") as redis,
        run_postgresql(tmp_path / "postgresql") as postgresql,
        run_mariadb(tmp_path / "mariadb") as mariadb,
        run_slapd(tmp_path / "slapd") as slapd,
        run_sshd(tmp_path / "sshd") as sshd,
    ):
        said = [
            _answer_to(redis.port, b"PING\r\n"),
            _answer_to(postgresql, bytes.fromhex("00000008 04d2162f")),
            _answer_to(mariadb, b"")[4:5],
            _answer_to(slapd, bytes.fromhex("300c 020101 6007 020103 0400 8000"))[:1],
            _answer_to(sshd.port, b"")[:4],
        ]
    assert said == [b"+PONG\r\n", b"N", b"\n", b"0", b"SSH-"]
    assert sshd.fingerprints["ed25519"].startswith("SHA256:")


def _answer_to(port: int, words: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(words)
        return connection.recv(1000)
