"""Expectations about a server's own certificate: written as openssl prints them, met by real servers."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING, NamedTuple

import pytest

from exporter.checks.http import HTTP
from exporter.checks.tcp import TCP
from exporter.config import parse_config
from exporter.errors import ConfigError
from exporter.model import Reason, ResultStatus
from tests.checks.running import warm_runner
from tests.servers.nginx import TLS_SERVER, CertificateFiles, run_nginx
from tests.servers.process import server_program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from exporter.model import Result
    from exporter.runner.runner import AsyncCheckRunner

TYPES = {"http": HTTP, "tcp": TCP}
KEYS = {
    "RSA 3072": ("rsa:3072",),
    "ECDSA 384": ("ec", "-pkeyopt", "ec_paramgen_curve:P-384"),
    "Ed25519 256": ("ed25519",),
    "Ed448 456": ("ed448",),
}


class Server(NamedTuple):
    """A server, what openssl says of its certificate, and where its certificate is."""

    target: str
    key: str
    serial: str
    fingerprint: str
    cert_file: Path


@pytest.fixture(scope="module")
def runner() -> Iterator[AsyncCheckRunner]:
    """A runner whose loop stays warm."""
    with warm_runner(HTTP, TCP) as runner:
        yield runner


def openssl(*arguments: str) -> str:
    program = server_program("openssl", "openssl")
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module", params=KEYS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A web server with a certificate that openssl has made, with each kind of key."""
    place = tmp_path_factory.mktemp("nginx")
    files = CertificateFiles(place / "cert.pem", place / "key.pem")
    made = ("-keyout", str(files.key_file), "-out", str(files.cert_file), "-set_serial", "0x00ABCDEF0123456789")
    names = ("-nodes", "-days", "90", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
    openssl("req", "-x509", "-newkey", *KEYS[request.param], *made, *names)
    said = openssl("x509", "-in", str(files.cert_file), "-noout", "-serial", "-fingerprint", "-sha256")
    serial, fingerprint = said.splitlines()
    with run_nginx(place, TLS_SERVER, certificate=files) as nginx:
        yield Server(f"localhost:{nginx.tls_port}", request.param, serial, fingerprint, files.cert_file)


def run(runner: AsyncCheckRunner, server: Server, expectation: str) -> Result:
    text = (
        f"checks: [{{name: it, type: tcp, target: '{server.target}', tls: true, "
        f"tls_config: {{ca_file: {server.cert_file}}}, expect: [{{{expectation}}}]}}]"
    )
    results: list[Result] = []
    runner.run_all(parse_config(text, "checks.yml", TYPES).checks, results.append)
    return results[0]


def test_a_certificate_is_known_by_what_openssl_prints(runner: AsyncCheckRunner, server: Server) -> None:
    """Fingerprint and serial number may be written with and without colons, in either case."""
    digits = server.fingerprint.partition("=")[2]
    serial = server.serial.partition("=")[2]
    kind, bits = server.key.split()
    for expectation in (
        f"certificate_fingerprint: '{server.fingerprint}'",
        f"certificate_fingerprint: '{digits}'",
        f"certificate_fingerprint: '{digits.replace(':', '').lower()}'",
        f"certificate_fingerprint: {{in: ['{'00' * 32}', '{digits}']}}",
        f"certificate_serial: '{serial}'",
        "certificate_serial: 'ab:cd:ef:01:23:45:67:89'",
        "certificate_serial: '0x00abcdef0123456789'",
        f"certificate_key_type: {kind}",
        f"certificate_key_type: {kind.lower()}",
        f"certificate_key_bits: {bits}",
        "certificate_age: {ge: 0, lt: 1}",
    ):
        assert run(runner, server, expectation).status is ResultStatus.OK, expectation


@pytest.mark.parametrize(
    ("expectation", "observed"),
    [
        (f"certificate_fingerprint: '{'00' * 32}'", r"[0-9a-f]{64}"),
        ("certificate_serial: '01'", r"abcdef0123456789"),
        ("certificate_key_type: DSA", r"RSA|ECDSA|Ed25519|Ed448"),
        ("certificate_key_bits: {gt: 9000}", r"\d{3,4}"),
        ("certificate_age: {gt: 30}", r"0\.0\d*"),
    ],
)
def test_another_certificate_fails_the_check(
    runner: AsyncCheckRunner, server: Server, expectation: str, observed: str
) -> None:
    """The reason is `certificate`, and what was observed is shown."""
    result = run(runner, server, expectation)
    assert (result.status, result.reason) == (ResultStatus.ERROR, Reason.CERTIFICATE)
    assert re.fullmatch(observed, result.expectations[0].observed)


@pytest.mark.parametrize(
    ("expectation", "fault"),
    [
        ("certificate_fingerprint: SHA256", "is not hex, such as 03:ab:4f"),
        ("certificate_fingerprint: 'AB:CD'", "is not a SHA-256 in hex, which has 64 digits instead of 4"),
        ("certificate_serial: none", "is not hex, such as 03:ab:4f"),
        ("certificate_serial: 12", "must be text; put it in quotes"),
        ("certificate_key_type: RSA2048", '"RSA2048" is not a known certificate_key_type; did you mean "RSA"?'),
        ("certificate_key_bits: 0", "0 can never hold; certificate_key_bits is a whole number, at least 1"),
    ],
)
def test_what_no_certificate_has_is_rejected(expectation: str, fault: str) -> None:
    """An expectation that no certificate can meet is an error of the configuration."""
    text = f"checks: [{{name: it, type: http, target: 'https://a.example/', expect: [{{{expectation}}}]}}]"
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "checks.yml", TYPES)
    assert fault in str(caught.value)
