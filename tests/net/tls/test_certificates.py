"""Facts of certificates: reading DER, writing names, and the resulting metrics and subjects."""

from __future__ import annotations

import re
import ssl
import subprocess
from datetime import UTC, datetime
from hashlib import sha256
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from exporter.model import CertificateFacts
from exporter.net.connection_facts import TlsFacts
from exporter.net.tls.certificate_facts import certificate_facts, go_serial_number
from exporter.net.tls.certificates import TLS_METRICS, tls_measurements
from exporter.net.tls.cipher_suites import iana_cipher_name
from exporter.net.tls.go_names import go_name
from exporter.net.tls.server_hello import ServerHello, read_server_hello
from exporter.net.tls.subjects import TLS_SUBJECTS, tls_observations
from tests.servers import certificates
from tests.servers.certificates import LONG_AGO, LONG_AHEAD, server_context
from tests.servers.process import server_program
from tests.servers.tcp import over_tls, serve

if TYPE_CHECKING:
    from collections.abc import Callable

    import trustme

    from tests.servers.blackbox import Blackbox


def name(*attributes: tuple[x509.ObjectIdentifier, str]) -> x509.Name:
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes])


RICH_NAME = name(
    (NameOID.COUNTRY_NAME, "DE"),
    (NameOID.STATE_OR_PROVINCE_NAME, "Bayern"),
    (NameOID.LOCALITY_NAME, "München"),
    (NameOID.STREET_ADDRESS, "Straße 1"),
    (NameOID.POSTAL_CODE, "80331"),
    (NameOID.ORGANIZATION_NAME, "Müller, Söhne + Co; <KG>"),
    (NameOID.ORGANIZATION_NAME, "#2"),
    (NameOID.ORGANIZATIONAL_UNIT_NAME, " spaced "),
    (NameOID.COMMON_NAME, "first"),
    (NameOID.COMMON_NAME, 'a "quoted" \\ name'),
    (NameOID.SERIAL_NUMBER, "42"),
    (NameOID.DOMAIN_COMPONENT, "test"),
    (NameOID.EMAIL_ADDRESS, "ca@good.test"),
    (NameOID.TITLE, "Professor-Doktor " * 10),
)


def test_reads_every_fact_from_der() -> None:
    """Fingerprint, names, serial number and times come from the certificate itself."""
    certificate = certificates.self_signed("good.test", "*.good.test", subject=name((NameOID.COMMON_NAME, "good.test")))
    der = certificate.leaf.public_bytes(Encoding.DER)
    assert certificate_facts(der) == CertificateFacts(
        fingerprint_sha256=sha256(der).hexdigest(),
        subject="CN=good.test",
        issuer="CN=good.test",
        names=("good.test", "*.good.test"),
        serial_number="abcdef0123",
        key_type="ECDSA",
        key_bits=256,
        not_before_timestamp_seconds=LONG_AGO.timestamp(),
        not_after_timestamp_seconds=LONG_AHEAD.timestamp(),
    )
    assert certificate_facts(bytes(bytearray(der))) is certificate_facts(der)


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (0x0ABC, "0abc"),
        (0xABC0, "abc0"),
        (1, "01"),
        (0x80, "80"),
        (0x00FF_EE, "ffee"),
        (2**152 + 5, "01" + "0" * 37 + "5"),
    ],
)
def test_writes_a_serial_number_as_bytes(number: int, shown: str) -> None:
    """There are two digits for each byte, so that a number below 16 keeps its zero."""
    certificate = certificates.self_signed("good.test", serial_number=number)
    assert certificate_facts(certificate.leaf.public_bytes(Encoding.DER)).serial_number == shown


@pytest.mark.parametrize(("number", "shown"), [(0, ""), (-0x0ABC, "0abc")])
def test_writes_invalid_serial_numbers(number: int, shown: str) -> None:
    """Neither zero nor a negative number (RFC 5280 section 4.1.2.2) causes an error."""
    assert go_serial_number(number) == shown


def test_reads_a_certificate_without_names_and_with_the_last_date() -> None:
    """A certificate may lack alternative names, and the year 9999 is an ordinary date."""
    forever = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    certificate = certificates.self_signed(subject=x509.Name([]), not_after=forever)
    facts = certificate_facts(certificate.leaf.public_bytes(Encoding.DER))
    assert (facts.subject, facts.names) == ("", ())
    assert facts.not_after_timestamp_seconds == 253402300799


@given(st.binary(max_size=80))
def test_anything_has_at_least_a_fingerprint(octets: bytes) -> None:
    """Bytes that are not a certificate have only a fingerprint."""
    assert certificate_facts(octets) == CertificateFacts(fingerprint_sha256=sha256(octets).hexdigest())


@pytest.mark.parametrize("names", ["3003 8201ff", "3004 a3023000"], ids=["no ASCII", "X.400 address"])
def test_leaves_out_what_is_malformed(names: str) -> None:
    """Subject alternative names that are broken or of an unknown kind are left out without affecting other facts."""
    broken = x509.UnrecognizedExtension(x509.oid.ExtensionOID.SUBJECT_ALTERNATIVE_NAME, bytes.fromhex(names))
    certificate = certificates.self_signed(subject=name((NameOID.COMMON_NAME, "odd")), extensions=(broken,))
    facts = certificate_facts(certificate.leaf.public_bytes(Encoding.DER))
    assert (facts.names, facts.subject, facts.serial_number) == ((), "CN=odd", "abcdef0123")


def test_leaves_out_an_invalid_date() -> None:
    """An invalid year only affects its date."""
    der = certificates.self_signed("odd.test").leaf.public_bytes(Encoding.DER)
    facts = certificate_facts(der.replace(b"21991231", b"00001231"))
    assert (facts.not_before_timestamp_seconds, facts.not_after_timestamp_seconds) == (LONG_AGO.timestamp(), None)


def test_leaves_out_a_name_of_bits() -> None:
    """A distinguished name with a bit string as text is left out without affecting other facts."""
    der = certificates.self_signed(subject=name((NameOID.COMMON_NAME, "odd"))).leaf.public_bytes(Encoding.DER)
    text, bits = bytes.fromhex("0c03") + b"odd", bytes.fromhex("0303006465")
    facts = certificate_facts(der.replace(text, bits))
    assert (facts.subject, facts.issuer, facts.serial_number) == ("", "", "abcdef0123")


def test_keeps_a_certificate_with_hundreds_of_addresses(ca: trustme.CA) -> None:
    """Reading 200 addresses takes longer than a handshake, so it happens once."""
    addresses = [f"2001:db8:1234:5678:9abc:def0:1:{number:x}" for number in range(200)]
    der = certificates.valid(ca, *addresses).leaf.public_bytes(Encoding.DER)
    facts = certificate_facts(der)
    assert facts.addresses == tuple(str(ip_address(address)) for address in addresses)
    assert certificate_facts(der) is facts


def test_keeps_no_certificate_of_unusual_size() -> None:
    """A large certificate is read like others, but not kept, because a target may present a new one each time."""
    certificate = certificates.self_signed(*[f"{number}.good.test" for number in range(500)])
    der = certificate.leaf.public_bytes(Encoding.DER)
    facts, again = certificate_facts(der), certificate_facts(der)
    assert (len(facts.names), facts == again, facts is again) == (500, True, False)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (name(), ""),
        (name((NameOID.COMMON_NAME, "a.test")), "CN=a.test"),
        (name((NameOID.COUNTRY_NAME, "US"), (NameOID.ORGANIZATION_NAME, "A, Inc.")), r"O=A\, Inc.,C=US"),
        (name((NameOID.ORGANIZATION_NAME, "A"), (NameOID.ORGANIZATION_NAME, "B")), "O=A+O=B"),
        (name((NameOID.COMMON_NAME, "one"), (NameOID.COMMON_NAME, "two")), "CN=two"),
        (name((NameOID.COMMON_NAME, " # ")), r"CN=\ #\ "),
        (name((NameOID.COMMON_NAME, "#1")), r"CN=\#1"),
        (
            name((NameOID.DOMAIN_COMPONENT, "test"), (NameOID.COMMON_NAME, "x")),
            "CN=x,0.9.2342.19200300.100.1.25=#130474657374",
        ),
    ],
)
def test_writes_names_as_go_does(written: x509.Name, shown: str) -> None:
    """Order, escapes, repeated and unknown attributes follow Go's pkix.Name."""
    assert go_name(written) == shown


@pytest.mark.parametrize("serial_number", [0xABCDEF0123, 0x0ABC, 2**152 + 5])
def test_labels_are_those_of_blackbox_exporter(serial_number: int, start_blackbox: Callable[..., Blackbox]) -> None:
    """The labels of probe_ssl_last_chain_info are those of the real blackbox_exporter, however odd the certificate."""
    certificate = certificates.self_signed("good.test", "alt.test", subject=RICH_NAME, serial_number=serial_number)
    facts = certificate_facts(certificate.leaf.public_bytes(Encoding.DER))
    config = "{modules: {m: {prober: tcp, tcp: {tls: true, tls_config: {insecure_skip_verify: true}}}}}"
    with serve(over_tls(server_context(certificate))) as server:
        page = start_blackbox(config).probe(server.target, "m")
    line = next(line for line in page.splitlines() if line.startswith("probe_ssl_last_chain_info{"))
    labels = re.findall(r'(\w+)="((?:\\.|[^"])*)"', line)
    theirs = {label: re.sub(r"\\(.)", r"\1", value) for label, value in labels}
    ours = {
        "fingerprint_sha256": facts.fingerprint_sha256,
        "issuer": facts.issuer,
        "subject": facts.subject,
        "subjectalternative": ",".join(facts.names),
        "serialnumber": facts.serial_number,
    }
    assert theirs.items() <= ours.items()
    assert len(theirs) >= 4  # newer ones have the serial number too


LEAF = CertificateFacts(
    fingerprint_sha256="aa",
    subject="CN=leaf",
    issuer="CN=ca",
    names=("a.test", "b.test"),
    serial_number="1f",
    key_type="RSA",
    key_bits=2048,
    not_before_timestamp_seconds=1500.0 - 86400 * 90,
    not_after_timestamp_seconds=2000.0,
)
INTERMEDIATE = CertificateFacts(fingerprint_sha256="bb", not_after_timestamp_seconds=1000.0)
VERIFIED = TlsFacts(
    version="TLS 1.3",
    cipher="TLS_AES_128_GCM_SHA256",
    verified=True,
    presented=(LEAF, INTERMEDIATE),
    chain_expiry_timestamp_seconds=1500.0,
)


def test_measures_what_is_known() -> None:
    """A verified handshake has every series; a rejected one lacks those of the verified chain."""
    info = ("aa", "CN=leaf", "CN=ca", "a.test,b.test", "1f")
    series = {(one.spec.name, one.labels): one.value for one in tls_measurements(VERIFIED)}
    assert series == {
        ("probe_tls_verified", ()): 1,
        ("probe_ssl_earliest_cert_expiry", ()): 1000,
        ("probe_ssl_last_chain_expiry_timestamp_seconds", ()): 1500,
        ("probe_ssl_last_chain_info", info): 1,
        ("probe_tls_version_info", ("TLS 1.3",)): 1,
        ("probe_tls_cipher_info", ("TLS_AES_128_GCM_SHA256",)): 1,
    }
    refused = TlsFacts(version="", cipher="", verified=False, presented=(LEAF,))
    series = {(one.spec.name, one.labels): one.value for one in tls_measurements(refused)}
    assert series == {
        ("probe_tls_verified", ()): 0,
        ("probe_ssl_earliest_cert_expiry", ()): 2000,
        ("probe_ssl_last_chain_info", info): 1,
    }
    assert {one.spec for one in tls_measurements(VERIFIED)} == set(TLS_METRICS)


def test_observes_what_expectations_ask_for() -> None:
    """Days left are those of the verified chain, else of the presented certificates; all subjects are observed."""
    observed = tls_observations(VERIFIED, now=lambda: 1500.0 - 86400 * 21)
    assert observed == {
        "certificate": True,
        "certificate_days_left": 21.0,
        "certificate_subject": "CN=leaf",
        "certificate_issuer": "CN=ca",
        "certificate_names": ("a.test", "b.test"),
        "certificate_age": 69.0,
        "certificate_serial": "1f",
        "certificate_fingerprint": "aa",
        "certificate_key_type": "RSA",
        "certificate_key_bits": 2048,
        "tls_version": "TLS 1.3",
        "tls_cipher": "TLS_AES_128_GCM_SHA256",
    }
    assert set(observed) == {subject.name for subject in TLS_SUBJECTS}
    refused = TlsFacts(version="TLS 1.2", cipher="", verified=False, presented=(LEAF,))
    assert tls_observations(refused, now=lambda: 2000.0 + 43200)["certificate_days_left"] == -0.5
    nothing = tls_observations(TlsFacts(version="", cipher="", verified=False))
    assert nothing == dict.fromkeys(nothing) | {"certificate": False}


def test_ciphers_have_their_iana_names() -> None:
    """Every suite that a handshake can choose has the standard name in OpenSSL's own table."""
    openssl = server_program("openssl", "openssl")
    table = subprocess.run(
        [openssl, "ciphers", "-stdname", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"], capture_output=True, text=True, check=True
    ).stdout
    standard = {line.split()[2]: line.split()[0] for line in table.splitlines()}
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("ALL:COMPLEMENTOFDEFAULT:!aNULL:!PSK:!SRP:@SECLEVEL=0")
    offered = [suite["name"] for suite in context.get_ciphers()]
    assert {suite: iana_cipher_name(suite) for suite in offered} == {suite: standard[suite] for suite in offered}
    assert len(offered) > 50


HELLO = bytes.fromhex("0303") + bytes(32) + bytes.fromhex("00c03000")
"""TLS 1.2, no session, ECDHE_RSA_WITH_AES_256_GCM_SHA384, no compression; extensions may follow."""


def hello(extensions: str | None) -> bytes:
    """A ServerHello with these extensions, as a message without a record layer."""
    octets = b"" if extensions is None else len(bytes.fromhex(extensions)).to_bytes(2) + bytes.fromhex(extensions)
    body = HELLO + octets
    return b"\x02" + len(body).to_bytes(3) + body


def record(content: bytes, kind: int = 22) -> bytes:
    return bytes([kind, 3, 3]) + len(content).to_bytes(2) + content


WARNING = record(b"\x01\x70", 21)  # unrecognized_name


@pytest.mark.parametrize(
    ("head", "is_legacy"),
    [
        (record(hello(None)), True),
        (record(hello("")), True),
        (record(hello("00170000 000b00020100")), True),
        (record(hello("ff01000100")), False),
        (record(hello("00170000 ff01000100")), False),
        (record(hello("0010000900070668747470312f ff01000100")), False),
        (WARNING + record(hello(None)), True),
        (WARNING + record(hello("ff01000100")), False),
        (record(hello(None)[:20]) + record(hello(None)[20:]), True),
        (record(hello("ff01000100")[:20]) + record(hello("ff01000100")[20:]), False),
        (record(hello(None) + b"\x0b\0\0\0"), True),
        (record(hello("00170000"))[:-1], False),  # not all of it is there
    ],
)
def test_reads_what_a_server_chose(head: bytes, is_legacy: bool) -> None:
    """Version, suite and the absence of secure renegotiation are read, in any number of records."""
    assert read_server_hello(head) == ServerHello("TLS 1.2", 0xC030, is_legacy)


@given(st.binary(max_size=100))
def test_reading_a_server_hello_never_fails(octets: bytes) -> None:
    """Bytes that are not a ServerHello yield nothing."""
    for head in (octets, record(b"\x02" + octets)):
        assert read_server_hello(head) is None or b"\x02" in head
