"""`import --verify`: which differences between a check and its probe count, and how they are reported."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import bcrypt
import pytest

from exporter.checks.http import HTTP
from exporter.exposition.reading import read_series
from exporter.migration.comparing import Difference, compare
from exporter.model import Measurement, Reason, Result, ResultStatus
from tests.servers.exporter import run_command, run_exporter
from tests.servers.http import respond, run_http_server
from tests.servers.tcp import closed_port

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path

    import trustme

    from tests.servers.blackbox import Blackbox
    from tests.servers.http import Request
    from tests.servers.nginx import CertificateFiles

SPECS = {spec.name: spec for spec in HTTP.metrics}
MODULES = """\
modules:
  page: {prober: http, timeout: 5s, http: {preferred_ip_protocol: ip4, fail_if_body_not_matches_regexp: [well]}}
  stays: {prober: http, http: {preferred_ip_protocol: ip4, follow_redirects: false, valid_status_codes: [302]}}
"""
JOB = """\
scrape_configs:
  - job_name: {module}
    metrics_path: /probe
    params: {{module: [{module}]}}
    static_configs: [{{targets: [{target}]}}]
    relabel_configs:
      - {{source_labels: [__address__], target_label: __param_target}}
      - {{target_label: __address__, replacement: "{exporter}"}}
"""


class Verified(NamedTuple):
    """The exit status, and the lines on standard error, the runs of blanks in them as ` | `."""

    status: int
    lines: list[str]


@pytest.fixture
def verify(tmp_path: Path) -> Callable[..., Verified]:
    """Imports a job that probes a target with a module, and verifies it."""

    def run(module: str, target: str, exporter: str, *access: str) -> Verified:
        (tmp_path / "blackbox.yml").write_text(MODULES)
        job = JOB.format(module=module, target=target, exporter=exporter)
        (tmp_path / "prometheus.yml").write_text("\n    ".join((job.rstrip(), *access)) + "\n")
        files = [f"--blackbox={tmp_path}/blackbox.yml", f"--prometheus={tmp_path}/prometheus.yml"]
        outcome = run_command("import", *files, f"--output={tmp_path}/checks.yml", "--verify")
        return Verified(outcome.status, [re.sub(r"  +", " | ", line) for line in outcome.stderr.splitlines()[1:]])

    return run


def measurement(name: str, value: float, *labels: str) -> Measurement:
    return Measurement(SPECS[name], value, labels)


def result_of(*measurements: Measurement, status: ResultStatus = ResultStatus.OK) -> Result:
    reason = None if status is ResultStatus.OK else Reason.EXPECTATION
    return Result(
        check_name="it", status=status, reason=reason, detail="d", measurements=measurements, duration_seconds=0.1
    )


PHASES = 'probe_http_duration_seconds{phase="connect"}'
LEAF = 'probe_ssl_last_chain_info{fingerprint_sha256="f",issuer="i",subject="s",subjectalternative="a"}'


@pytest.mark.parametrize(
    ("page", "result", "differences"),
    [
        ("probe_success 1\nprobe_http_status_code 200", result_of(measurement("probe_http_status_code", 200)), []),
        (
            "probe_success 1\nprobe_http_status_code 200",
            result_of(measurement("probe_http_status_code", 404), status=ResultStatus.ERROR),
            [
                Difference("probe_success", "1", "0 (expectation: d)"),
                Difference("probe_http_status_code", "200", "404"),
            ],
        ),
        ("probe_success 1\nprobe_http_version 2", result_of(), [Difference("probe_http_version", "2", "0")]),
        (
            "probe_success 1\nprobe_ssl_earliest_cert_expiry 1.9e+09",
            result_of(measurement("probe_ssl_earliest_cert_expiry", 1.8e9)),
            [Difference("probe_ssl_earliest_cert_expiry", "1900000000", "1800000000")],
        ),
        (
            "probe_success 1\nprobe_ssl_earliest_cert_expiry 1.9e+09",
            result_of(),
            [Difference("probe_ssl_earliest_cert_expiry", "1900000000", "absent")],
        ),
        (f"probe_success 1\n{PHASES} 0.1", result_of(measurement("probe_http_duration_seconds", 0.5, "connect")), []),
        (
            f"probe_success 1\n{PHASES} 0.1",
            result_of(measurement("probe_http_duration_seconds", 1.5, "connect")),
            [Difference(PHASES, "0.1", "1.5")],
        ),
        (f"probe_success 1\n{PHASES} 3", result_of(measurement("probe_http_duration_seconds", 4.0, "connect")), []),
        (
            f"probe_success 0\n{PHASES} 0",
            result_of(measurement("probe_http_duration_seconds", 9.0, "connect"), status=ResultStatus.ERROR),
            [],
        ),
        (
            f"probe_success 1\n{LEAF} 1",
            result_of(measurement("probe_ssl_last_chain_info", 1, "f", "s", "i", "a", "0abc")),
            [],
        ),
        (
            f"probe_success 1\n{LEAF} 1",
            result_of(measurement("probe_ssl_last_chain_info", 1, "other", "s", "i", "a", "0abc")),
            [Difference(LEAF, "1", "absent")],
        ),
        ("probe_success 1\nprobe_http_content_length 10\nprobe_ip_addr_hash 7", result_of(), []),
        (
            "probe_success 1\nprobe_http_redirects 1",
            result_of(),
            [Difference("probe_http_redirects", "1", "0", "counts the redirects that were followed")],
        ),
        (
            "probe_success 0\nprobe_failed_due_to_regex 0",
            result_of(measurement("probe_failed_due_to_regex", 1), status=ResultStatus.ERROR),
            [
                Difference(
                    "probe_failed_due_to_regex", "0", "1", "judges every answer, also one with a wrong status"
                )
            ],
        ),
        (
            "probe_success 1\nprobe_ssl_earliest_cert_expiry 0",
            result_of(),
            [Difference("probe_ssl_earliest_cert_expiry", "0", "absent", "there is no certificate")],
        ),
    ],
)  # fmt: skip
def test_a_series_differs_or_not(page: str, result: Result, differences: list[Difference]) -> None:
    """Values must be equal, durations close, lengths present; additional series here are not a difference."""
    assert compare(read_series(page), result, HTTP.metrics) == differences


def test_differences_are_in_a_table_and_in_the_exit_status(
    verify: Callable[..., Verified], start_blackbox: Callable[..., Blackbox]
) -> None:
    """A server that rejects this program is found, with every series that differs."""

    def discriminate(connection: socket.socket, request: Request) -> None:
        is_liked = request.headers["user-agent"].startswith("Blackbox")
        respond(200 if is_liked else 403, b"well met" if is_liked else b"go away")(connection, request)

    with run_http_server({"/": discriminate}) as server:
        found = verify("page", server.url("/"), f"127.0.0.1:{start_blackbox(MODULES).port}")
    name = f"page {server.url('/')}"
    why = "0 (status: expected status in 2xx, observed 403)"
    assert found == Verified(
        1,
        [
            "check | series | blackbox_exporter | here | on purpose",
            f"{name} | probe_success | 1 | {why}",
            f"{name} | probe_failed_due_to_regex | 0 | 1",
            f"{name} | probe_http_status_code | 200 | 403",
            "nyxmon-exporter: 1 compared, 1 different",
        ],
    )


def test_an_intended_difference_is_listed_but_is_not_a_failure(
    verify: Callable[..., Verified], start_blackbox: Callable[..., Blackbox]
) -> None:
    """The table has the reason of the difference, and the exit status is 0."""
    with run_http_server({"/": respond(302, b"", [("Location", "/next")])}) as server:
        found = verify("stays", server.url("/"), f"127.0.0.1:{start_blackbox(MODULES).port}")
    assert found == Verified(
        0,
        [
            "check | series | blackbox_exporter | here | on purpose",
            f"stays {server.url('/')} | probe_http_redirects | 1 | 0 | counts the redirects that were followed",
            "nyxmon-exporter: 1 compared, 0 different, 1 on purpose",
        ],
    )


def test_a_check_that_differs_is_compared_again(
    verify: Callable[..., Verified], start_blackbox: Callable[..., Blackbox]
) -> None:
    """A server that fails one of the two requests is not a difference if it then answers both."""
    asked = 0

    def unwell_at_first(connection: socket.socket, request: Request) -> None:
        nonlocal asked
        asked += 1
        respond(503 if asked == 1 else 200, b"well met")(connection, request)

    with run_http_server({"/": unwell_at_first}) as server:
        found = verify("page", server.url("/"), f"127.0.0.1:{start_blackbox(MODULES).port}")
    assert found == Verified(0, ["nyxmon-exporter: 1 compared, 0 different"])


ACCESS = {
    "password": (
        "basic_auth: {{username: prometheus, password_file: password}}\n    tls_config: {{ca_file: ca.pem}}",
        "basic_auth_users: {{prometheus: '{hashed}'}}\n",
    ),
    "certificate": (
        "tls_config: {{ca_file: ca.pem, cert_file: client.pem, key_file: client.pem, server_name: localhost}}",
        "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: {ca_file}\n",
    ),
    "unverified": ("tls_config: {{insecure_skip_verify: true}}", ""),
}


@pytest.mark.parametrize("kind", ACCESS)
def test_credentials_and_tls_options_of_the_job_are_used(
    verify: Callable[..., Verified], tmp_path: Path, ca: trustme.CA, certificate: CertificateFiles, kind: str
) -> None:
    """The old exporter gets the requests that Prometheus sends; paths are relative to prometheus.yml."""
    (tmp_path / "password").write_text("secret\n", "utf-8")
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    ca.issue_cert("prometheus.example").private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "client.pem"))
    job, server_side = ACCESS[kind]
    hashed = bcrypt.hashpw(b"secret", bcrypt.gensalt(10)).decode()
    web = f"tls_server_config:\n  cert_file: {certificate.cert_file}\n  key_file: {certificate.key_file}\n"
    (tmp_path / "web.yml").write_text(web + server_side.format(hashed=hashed, ca_file=tmp_path / "ca.pem"), "utf-8")
    (tmp_path / "old.yml").write_text(MODULES, "utf-8")
    flags = (f"--blackbox.config.file={tmp_path / 'old.yml'}", f"--web.config.file={tmp_path / 'web.yml'}")
    with (
        run_http_server({"/": respond(200, b"well met")}) as server,
        run_exporter(tmp_path / "old", None, *flags, is_protected=True) as old,
    ):
        found = verify("page", server.url("/"), old.address, "scheme: https", job.format())
        stranger = verify("page", server.url("/"), old.address, "scheme: https")
    assert found == Verified(0, ["nyxmon-exporter: 1 compared, 0 different"])
    assert stranger.status == 1


def test_an_access_that_is_not_applied_is_a_difference(verify: Callable[..., Verified]) -> None:
    """The table has the name of the option, instead of an answer to a request without it."""
    with run_http_server({"/": respond(200, b"well met")}) as server:
        found = verify("page", server.url("/"), "127.0.0.1:1", "oauth2: {client_id: me}")
    why = "none: the job has oauth2, which --verify does not apply"
    assert found.lines[1] == f"page {server.url('/')} | probe_success | {why} | 1"


def test_an_exporter_that_does_not_answer_is_a_difference(verify: Callable[..., Verified]) -> None:
    """A probe that failed to run is not compared, and the table has the reason."""
    with closed_port() as port, run_http_server({"/": respond(200, b"well met")}) as server:
        found = verify("page", server.url("/"), f"127.0.0.1:{port}")
    name = f"page {server.url('/')}"
    assert found == Verified(
        1,
        [
            "check | series | blackbox_exporter | here | on purpose",
            f"{name} | probe_success | none: [Errno 111] Connection refused | 1",
            "nyxmon-exporter: 1 compared, 1 different",
        ],
    )
