"""Faults of certificates and of TLS servers, from YAML to page: each fails with its own text, and exports its facts."""

from __future__ import annotations

import re
import ssl
from contextlib import ExitStack
from html import unescape
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from tests.scraping import parsed
from tests.servers import certificates
from tests.servers.certificates import EVEN_WEAK, server_context
from tests.servers.exporter import run_exporter
from tests.servers.http import respond, run_http_server
from tests.servers.tcp import answer, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.servers.certificates import Certificate

# A server with an old version is what is tested.
pytestmark = pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning")

TLS11_SERVER_HELLO = bytes.fromhex("160302002a020000260302") + bytes(32) + bytes.fromhex("00c01400")
"""TLS 1.1 and a cipher suite, from a server that knows nothing of supported_versions (RFC 4346 section 7.4.1.3)."""

FAILURE = re.compile(r'<p class="failure"><code>(.*?)</code> <bdi>(.*?)</bdi></p>')


class Server(NamedTuple):
    """A server, and what a check reports about it.

    Attributes:
        detail: Why the check fails; empty when it does not.
        issue: Makes the server's certificate; without one it answers with an old ServerHello.
        host: The name or address by which it is checked.
        version: The only version it speaks.
        ciphers: Its cipher suites.
        presents: Whether the handshake gets as far as the certificate.
    """

    detail: str
    issue: Callable[..., Certificate] | None = None
    host: str = "good.test"
    version: ssl.TLSVersion | None = None
    ciphers: str | None = None
    presents: bool = True


def by_unknown_authority(_: trustme.CA, *names: str) -> Certificate:
    return certificates.with_intermediate(trustme.CA(), *names)


def by_itself(_: trustme.CA, *names: str) -> Certificate:
    return certificates.self_signed(*names)


def naming(*names: str) -> Callable[..., Certificate]:
    """Issue for these names whatever is asked for."""
    return lambda ca, _: certificates.valid(ca, *names)


def having(*dns_names: str) -> Callable[..., Certificate]:
    """Issue for these DNS names, whatever they look like."""
    return lambda ca, _: certificates.with_dns_names(ca, *dns_names)


ADDRESS = "127.0.0.1"
FAULTY = {
    "expired": Server("it expired on 2001-02-03T04:05:06Z", certificates.expired),
    "not yet valid": Server("it is not valid before 2199-12-31T23:59:58Z", certificates.not_yet_valid),
    "other host": Server("it is for a.test, *.b.test, not for good.test", naming("a.test", "*.b.test")),
    "self-signed": Server("it is self-signed", by_itself),
    "no intermediate": Server(
        "its issuer {issuer} is unknown and no intermediate certificate was sent", certificates.without_intermediate
    ),
    "other authority": Server("its chain ends with the issuer {issuer}, which is unknown", by_unknown_authority),
    "no address": Server("it is for good.test, not for 127.0.0.1", naming("good.test"), ADDRESS),
    "other address": Server("it is for 127.0.0.9, ::1, not for 127.0.0.1", naming("127.0.0.9", "::1"), ADDRESS),
    "common name alone": Server(
        "it has no subject alternative name for a host; the name in its subject (CN=good.test) does not count",
        certificates.without_names,
    ),
    "no host": Server(
        "it has no subject alternative name for a host; the name in its subject (CN=good.test) does not count",
        certificates.naming_no_host,
    ),
    "common name of an address": Server(
        "it has no subject alternative name for a host; the name in its subject (CN=127.0.0.1) does not count",
        certificates.without_names,
        ADDRESS,
    ),
    "address as a DNS name": Server(
        "it is for 127.0.0.1, not for 127.0.0.1: it has 127.0.0.1 as a DNS name, and only an IP address covers an "
        "address",
        certificates.with_dns_names,
        ADDRESS,
    ),
    "wildcard for an address": Server(
        "it is for *.0.0.1, not for 127.0.0.1: it has *.0.0.1 as a DNS name, and only an IP address covers an address",
        having("*.0.0.1"),
        ADDRESS,
    ),
    "address for a host": Server("it is for 127.0.0.1, not for good.test", naming(ADDRESS)),
    "wide wildcard": Server(
        "it is for *.test, not for good.test: *.test is too wide, because a wildcard needs two labels after it",
        having("*.test"),
    ),
    "wildcard for everything": Server(
        "it is for *, not for good.test: * is too wide, because a wildcard needs two labels after it", having("*")
    ),
    "wildcard above": Server(
        "it is for *.good.test, not for good.test: the * of *.good.test stands for exactly one label",
        having("*.good.test"),
    ),
    "wildcard below": Server(
        "it is for *.good.test, not for a.b.good.test: the * of *.good.test stands for exactly one label",
        having("*.good.test"),
        "a.b.good.test",
    ),
    "part of a label": Server(
        "it is for w*.good.test, not for www.good.test: the * of w*.good.test must be the whole first label",
        having("w*.good.test"),
        "www.good.test",
    ),
    "second label": Server(
        "it is for www.*.test, not for www.good.test: the * of www.*.test must be the whole first label",
        having("www.*.test"),
        "www.good.test",
    ),
    "final dot": Server(
        "it is for good.test., not for good.test: the dot at the end of good.test. does not belong there",
        having("good.test."),
    ),
    "weak key": Server("its key is too weak", certificates.with_weak_key, ciphers=EVEN_WEAK),
    "weak signature": Server(
        "a signature in its chain uses a weak digest", certificates.with_weak_signature, ciphers=EVEN_WEAK
    ),
    "broken signature": Server(
        "a signature in its chain uses a weak digest", certificates.with_broken_signature, ciphers=EVEN_WEAK
    ),
    "weak intermediate": Server(
        "a signature in its chain uses a weak digest", certificates.with_weak_intermediate, ciphers=EVEN_WEAK
    ),
    "old version": Server(
        "good.test refused the handshake: it speaks none of the TLS versions offered (alert protocol_version)",
        certificates.valid,
        version=ssl.TLSVersion.TLSv1_1,
        ciphers=EVEN_WEAK,
        presents=False,
    ),
    "very old version": Server("good.test speaks TLS 1.1, which tls_config does not allow", presents=False),
    "no common cipher": Server(
        "good.test refused the handshake: it has no cipher suite or other parameter in common with those offered "
        "(alert handshake_failure)",
        certificates.valid,
        version=ssl.TLSVersion.TLSv1_2,
        ciphers="AES128-SHA",
        presents=False,
    ),
}
GOOD = {
    "good host": Server("", certificates.with_intermediate),
    "good address": Server("", certificates.valid, ADDRESS),
}
SERVERS = FAULTY | GOOD
TYPES = {
    "http": "type: http, target: 'https://{host}:{port}/'",
    "tcp": "type: tcp, target: '{host}:{port}', tls: true",
}
TLS_CONFIGS = {"strict": "ca_file: {ca_file}", "lenient": "ca_file: {ca_file}, insecure_skip_verify: true"}
TOLD_LABELS = ("reason", "version", "fingerprint_sha256")


class Told(NamedTuple):
    """What the exporter reports.

    Attributes:
        series: Check to its series about success, failure and TLS, each by its name and its label of TOLD_LABELS.
        failures: Check to reason and detail, as its page has them.
        presented: Server to the certificates it has, its own first.
    """

    series: dict[str, dict[str, float]]
    failures: dict[str, tuple[str, str]]
    presented: dict[str, list[x509.Certificate]]


@pytest.fixture(scope="module")
def told(ca: trustme.CA, ca_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """The pages of an exporter that has checked every server in every way."""
    with ExitStack() as stack:
        presented, lines = {}, ["checks:"]
        for name, server in SERVERS.items():
            port, presented[name] = start(stack, server, ca)
            for check_type, keys in TYPES.items():
                lines += [
                    f"  - {{name: {name} {check_type} {way}, {keys.format(host=server.host, port=port)}, "
                    f"connect_to: {ADDRESS}, tls_config: {{{config.format(ca_file=ca_file)}}}}}"
                    for way, config in TLS_CONFIGS.items()
                ]
        exporter = stack.enter_context(run_exporter(tmp_path_factory.mktemp("exporter"), "\n".join(lines)))
        series = series_by_check(exporter.get("/metrics")[1])
        pages = {check: exporter.get(f"/checks/{quote(check)}")[1] for check in series}
        failures = {check: FAILURE.search(page) for check, page in pages.items()}
        yield Told(
            series,
            {check: (found[1], unescape(found[2])) for check, found in failures.items() if found is not None},
            presented,
        )


def start(stack: ExitStack, server: Server, ca: trustme.CA) -> tuple[int, list[x509.Certificate]]:
    """Start a server and return its port and its certificates."""
    if server.issue is None:
        return stack.enter_context(serve(answer(TLS11_SERVER_HELLO))).port, []
    certificate = server.issue(ca, server.host)
    context = server_context(certificate, version=server.version, ciphers=server.ciphers)
    running = stack.enter_context(run_http_server({"/": respond()}, context=context))
    return running.port, x509.load_pem_x509_certificates(certificate.chain)


def series_by_check(page: str) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for sample in [sample for family in parsed(page) for sample in family.samples]:
        if sample.name.startswith(("probe_success", "probe_status", "probe_failure", "probe_ssl", "probe_tls")):
            labels = [sample.labels[name] for name in TOLD_LABELS if name in sample.labels]
            found.setdefault(sample.labels["check"], {})[" ".join([sample.name, *labels])] = sample.value
    return found


def facts(chain: list[x509.Certificate], *, verified: bool) -> dict[str, float]:
    """The series about TLS of a server that presents these certificates."""
    expiry = min(one.not_valid_after_utc for one in chain).timestamp()
    last_chain = {"probe_ssl_last_chain_expiry_timestamp_seconds": expiry} if verified else {}
    return last_chain | {
        "probe_ssl_earliest_cert_expiry": expiry,
        f"probe_ssl_last_chain_info {chain[0].fingerprint(SHA256()).hex()}": 1,
        "probe_tls_verified": verified,
        "probe_tls_version_info TLS 1.3": 1,
        "probe_tls_cipher_info": 1,
    }


@pytest.mark.parametrize("check_type", TYPES)
@pytest.mark.parametrize("name", FAULTY)
def test_no_faulty_server_passes(name: str, check_type: str, told: Told) -> None:
    """Each fault fails the check with its reason, and the certificates are exported nevertheless."""
    server, chain = SERVERS[name], told.presented[name]
    reason = "certificate" if server.presents else "tls"
    expected: dict[str, float] = {"probe_success": 0, "probe_status": 2, f"probe_failure_info {reason}": 1}
    if server.presents:
        expected |= facts(chain, verified=False)
    elif server.issue is None:
        expected |= {"probe_tls_version_info TLS 1.1": 1, "probe_tls_cipher_info": 1}
    assert told.series[f"{name} {check_type} strict"] == expected


@pytest.mark.parametrize("check_type", TYPES)
@pytest.mark.parametrize("name", FAULTY)
def test_every_fault_has_its_own_text(name: str, check_type: str, told: Told) -> None:
    """The page of a failing check describes the fault, so that no two faults look the same, and names what it can."""
    server, chain = SERVERS[name], told.presented[name]
    reason, detail = told.failures[f"{name} {check_type} strict"]
    if server.presents:
        issuer = chain[-1].issuer.rfc4514_string()
        words = f"the certificate of {server.host} was rejected: {server.detail.format(issuer=issuer)}"
        assert (reason, detail) == ("certificate", words)
    else:
        assert (reason, detail) == ("tls", server.detail)


@pytest.mark.parametrize("check_type", TYPES)
@pytest.mark.parametrize("name", FAULTY)
def test_skipping_verification_accepts_only_bad_certificates(name: str, check_type: str, told: Told) -> None:
    """With insecure_skip_verify, any certificate passes unverified; a server that cannot agree on TLS still fails."""
    check = f"{name} {check_type} lenient"
    if SERVERS[name].presents:
        passed = {"probe_success": 1.0, "probe_status": 0.0}
        assert told.series[check] == passed | facts(told.presented[name], verified=False)
        assert check not in told.failures
    else:
        assert told.series[check] == told.series[f"{name} {check_type} strict"]
        assert told.failures[check] == ("tls", SERVERS[name].detail)


@pytest.mark.parametrize("check_type", TYPES)
@pytest.mark.parametrize("name", GOOD)
def test_a_certificate_without_faults_passes(name: str, check_type: str, told: Told) -> None:
    """A name and an IP address in the certificate are verified; the metrics show when verification was skipped."""
    for way, verified in (("strict", True), ("lenient", False)):
        passed = {"probe_success": 1.0, "probe_status": 0.0}
        assert told.series[f"{name} {check_type} {way}"] == passed | facts(told.presented[name], verified=verified)
