"""What users of NyxMon ask for, each as the YAML of one check that is run against a real peer.

The name of each wish is the setting of NyxMon. What a check of this exporter says instead is beside it.
"""

from __future__ import annotations

import json
import ssl
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from exporter.checks.builtin import BUILTIN
from exporter.config import parse_config
from exporter.model import Reason, ResultStatus
from tests.checks.running import warm_runner
from tests.servers.certificates import server_context, valid
from tests.servers.dns import run_dns_server
from tests.servers.dovecot import PASSWORD, USER, run_dovecot
from tests.servers.http import Always, answered, redirect, respond, run_http_server
from tests.servers.postfix import run_postfix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import trustme

    from exporter.model import Result
    from exporter.runner.runner import AsyncCheckRunner
    from tests.servers.nginx import CertificateFiles

TYPES = {check_type.name: check_type for check_type in BUILTIN}
OK, WARNING, ERROR = ResultStatus.OK, ResultStatus.WARNING, ResultStatus.ERROR


@pytest.fixture(scope="module")
def runner() -> Iterator[AsyncCheckRunner]:
    """A runner for all built-in types whose loop stays warm."""
    with warm_runner(*BUILTIN) as runner:
        yield runner


def run(runner: AsyncCheckRunner, text: str) -> Result:
    """Run the one check of a configuration."""
    results: list[Result] = []
    runner.run_all(parse_config(f"checks:\n{text}", "checks.yml", TYPES).checks, results.append)
    return results[0]


@contextmanager
def shop(*answers: bytes) -> Iterator[str]:
    """An HTTP server that gives these answers one after the other."""
    script = Always()
    script.answers[:] = answers
    with run_http_server(script) as server:
        yield server.url()


@pytest.mark.parametrize(("first", "attempts", "status"), [(503, 2, OK), (500, 1, ERROR)])
def test_retry_status_codes(runner: AsyncCheckRunner, first: int, attempts: int, status: ResultStatus) -> None:
    """`retry_on` with a condition: other statuses are not tried again."""
    with shop(answered(first), answered(200)) as url:
        result = run(
            runner,
            f"""
  - name: retry_status_codes
    type: http
    target: {url}
    retries: 2
    retry_on: [{{status: [502, 503, 504]}}]
""",
        )
    assert (result.status, result.attempts) == (status, attempts)


@pytest.mark.parametrize(("location", "status"), [("/new", OK), ("/other", ERROR)])
def test_expected_location(runner: AsyncCheckRunner, location: str, status: ResultStatus) -> None:
    """The expectation `location`, without following the redirect."""
    with run_http_server({"/": redirect(location, 301)}) as server:
        result = run(
            runner,
            f"""
  - name: expected_location
    type: http
    target: {server.url()}
    follow_redirects: false
    expect:
      - status: [301, 302]
      - location: /new
""",
        )
    assert result.status is status


@pytest.mark.parametrize(("address", "status"), [("192.0.2.12", OK), ("192.0.2.99", ERROR)])
def test_expected_ips(runner: AsyncCheckRunner, address: str, status: ResultStatus) -> None:
    """`any_of`: one of the expected addresses among those of the answer is enough."""
    with run_dns_server() as server:
        result = run(
            runner,
            f"""
  - name: expected_ips
    type: dns
    target: two.test
    server: {server.server}
    expect:
      - answers: {{any_of: [198.51.100.1, {address}]}}
""",
        )
    assert result.status is status


@pytest.mark.parametrize(("days", "status", "reason"), [(60, OK, None), (10, WARNING, Reason.CERTIFICATE)])
def test_min_cert_days(
    runner: AsyncCheckRunner,
    write_certificate: Callable[..., CertificateFiles],
    ca_file: Path,
    days: int,
    status: ResultStatus,
    reason: Reason | None,
) -> None:
    """A certificate that expires soon degrades the check; days or a duration say the same."""
    files = write_certificate("localhost", not_after=datetime.now(UTC) + timedelta(days=days, hours=1))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.cert_file, files.key_file)
    with run_http_server({"/": respond()}, context=context) as server:
        result = run(
            runner,
            f"""
  - name: min_cert_days
    type: http
    target: {server.url(host="localhost")}
    tls_config: {{ca_file: {ca_file}}}
    expect:
      - {{certificate_days_left: {{gt: 21}}, severity: warning}}
      - {{certificate_days_left: {{gt: 3w}}, severity: warning}}
      - {{certificate_days_left: {days}, name: whole days}}
""",
        )
    assert (result.status, result.reason) == (status, reason)
    assert [outcome.ok for outcome in result.expectations] == [status is OK, status is OK, True, True]


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ("server_name: shop.test, ca_file: {ca_file}", None),
        ("ca_file: {ca_file}", Reason.CERTIFICATE),
        ("insecure_skip_verify: true", None),
    ],
    ids=["sni", "verify", "verify: false"],
)
def test_sni_and_verify(
    runner: AsyncCheckRunner, ca: trustme.CA, ca_file: Path, keys: str, reason: Reason | None
) -> None:
    """`tls_config.server_name` is sent and verified; `insecure_skip_verify` is `verify: false`."""
    with run_http_server({"/": respond()}, context=server_context(valid(ca, "shop.test"))) as server:
        result = run(
            runner,
            f"""
  - name: sni
    type: http
    target: {server.url(host="localhost")}
    tls_config: {{{keys.format(ca_file=ca_file)}}}
""",
        )
    assert result.reason is reason


@pytest.mark.parametrize(
    ("document", "status"),
    [
        ({"status": "ok", "queue": {"depth": 5}, "errors": "3"}, OK),
        ({"status": "ok", "queue": {"depth": 500}, "errors": "3"}, WARNING),
        ({"status": "down", "queue": {"depth": 5}, "errors": "3"}, ERROR),
        ({"status": "ok", "queue": {"depth": 5}, "errors": "30"}, WARNING),
        ({"status": "ok", "queue": {"depth": 5}}, OK),
    ],
)
def test_json_metrics_rules(runner: AsyncCheckRunner, document: object, status: ResultStatus) -> None:
    """Rules of `json-metrics` are expectations with a path, an operator and a severity; numbers can be exported."""
    with shop(_json(document)) as url:
        result = run(
            runner,
            f"""
  - name: json-metrics
    type: json-http
    target: {url}
    values: {{queue_depth: $.queue.depth}}
    expect:
      - {{json: $.status, eq: ok}}
      - {{json: $.queue.depth, le: 100, severity: warning}}
      - {{json: $.errors, lt: 10, as: number, missing_ok: true, severity: warning}}
""",
        )
    assert result.status is status


def _json(document: object) -> bytes:
    body = json.dumps(document).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def test_disabled() -> None:
    """`enabled: false`: validated and listed, but not run."""
    config = parse_config("checks: [{name: it, type: http, target: 'http://a/', enabled: false}]", "checks.yml", TYPES)
    assert ([check.name for check in config.checks], [check.name for check in config.disabled]) == ([], ["it"])


def test_ping(runner: AsyncCheckRunner) -> None:
    """The type `icmp`."""
    result = run(
        runner,
        """
  - name: ping
    type: icmp
    target: 127.0.0.1
    expect:
      - packet_loss: 0
      - {rtt: {lt: 1s}, severity: warning}
""",
    )
    assert result.status is OK


@pytest.mark.parametrize(("severity", "status"), [("warning", WARNING), ("error", ERROR)])
def test_max_age_minutes_and_no_recent_message_severity(
    runner: AsyncCheckRunner, certificate: CertificateFiles, ca_file: Path, severity: str, status: ResultStatus
) -> None:
    """`newest_age` with a severity: a message that is too old, or none at all."""
    with run_dovecot(certificate) as server:
        text = f"""
  - name: imap
    type: imap
    target: localhost:{server.imap_port}
    tls: starttls
    tls_config: {{ca_file: {ca_file}}}
    username: {USER}
    password: {PASSWORD}
    search: {{subject: Backup}}
    expect:
      - {{newest_age: {{lt: 30m}}, severity: {severity}}}
"""
        assert run(runner, text).status is status
        server.deliver(b"From: a@mail.test\r\nSubject: Backup\r\n\r\nold\r\n", age_seconds=3600)
        assert run(runner, text).status is status
        server.deliver(b"From: a@mail.test\r\nSubject: Backup\r\n\r\nnew\r\n")
        assert run(runner, text).status is OK


def test_smtp(runner: AsyncCheckRunner, certificate: CertificateFiles, ca_file: Path) -> None:
    """The type `smtp`, with TLS by STARTTLS unless it says otherwise."""
    with run_postfix(certificate) as server:
        result = run(
            runner,
            f"""
  - name: smtp
    type: smtp
    target: localhost:{server.port}
    tls_config: {{ca_file: {ca_file}}}
    expect: [{{certificate_days_left: {{gt: 1}}, severity: warning}}]
""",
        )
    assert result.status is OK


@pytest.mark.parametrize(
    "way",
    [
        "starttls: imap",
        """dialogue:
      - expect: "^[*] OK"
      - send: "a STARTTLS\\r\\n"
      - expect: "^a OK"
      - starttls: true
      - send: "b NOOP\\r\\n"
      - {expect: "^b OK"}""",
    ],
    ids=["by name", "with any command"],
)
def test_tls_mode_starttls(runner: AsyncCheckRunner, certificate: CertificateFiles, ca_file: Path, way: str) -> None:
    """The certificate behind STARTTLS is verified and judged, whatever the protocol says before it."""
    with run_dovecot(certificate) as server:
        result = run(
            runner,
            f"""
  - name: tls_mode
    type: tcp
    target: localhost:{server.imap_port}
    tls_config: {{ca_file: {ca_file}}}
    expect: [{{certificate: true}}, {{certificate_days_left: {{gt: 1}}}}]
    {way}
""",
        )
    assert (result.status, result.detail) == (OK, "")
