"""Servers without secure renegotiation (RFC 5746): rejected with all their facts, or accepted on request."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from exporter.model import Reason
from exporter.net.tls.certificate_facts import certificate_facts
from exporter.settings import TlsConfig
from tests.net.connecting import LOOP_NAMES, LOOPS, connected, refused
from tests.servers.gnutls import WITHOUT_RFC_5746, run_gnutls

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.nginx import CertificateFiles

TLS12_ONLY = ("-VERS-ALL", "+VERS-TLS1.2")


@pytest.fixture(params=LOOPS, ids=LOOP_NAMES)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(scope="module")
def legacy_port(certificate: CertificateFiles, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a server of TLS 1.2 without RFC 5746."""
    with run_gnutls(tmp_path_factory.mktemp("gnutls"), certificate, *TLS12_ONLY, WITHOUT_RFC_5746) as port:
        yield port


class Place:
    """Where a server listens."""

    host = "127.0.0.1"

    def __init__(self, port: int) -> None:
        self.port = port


async def test_refuses_a_legacy_server_and_shows_its_certificate(
    legacy_port: int, certificate: CertificateFiles, ca_file: Path
) -> None:
    """The reason is tls, and the detail says what to set; version, cipher and certificate are known."""
    failure, facts = await refused(legacy_port, tls=TlsConfig(ca_file=str(ca_file)))
    why = "127.0.0.1 does not support secure renegotiation (RFC 5746)"
    what_to_do = "set legacy_renegotiation: true in tls_config to accept that"
    assert (failure.reason, failure.detail) == (Reason.TLS, f"{why}; {what_to_do}")
    assert facts.tls is not None
    assert (facts.tls.version, facts.tls.cipher) == ("TLS 1.2", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256")
    assert facts.tls.presented == (certificate_facts(ssl.PEM_cert_to_DER_cert(certificate.cert_file.read_text())),)
    assert (facts.tls.verified, facts.ready_at) == (False, 0.0)


async def test_skipping_verification_accepts_no_legacy_server(legacy_port: int) -> None:
    """insecure_skip_verify applies only to certificates."""
    failure, _ = await refused(legacy_port, tls=TlsConfig(insecure_skip_verify=True))
    assert failure.reason is Reason.TLS


@pytest.mark.parametrize("options", [{}, {"insecure_skip_verify": True}, {"min_version": "TLS10"}])
async def test_reaches_a_legacy_server_on_demand(options: dict[str, Any], legacy_port: int, ca_file: Path) -> None:
    """With legacy_renegotiation, the connection works, and the certificate is judged as usual."""
    tls = TlsConfig(ca_file=str(ca_file), legacy_renegotiation=True, **options)
    async with connected(Place(legacy_port), tls=tls) as connection:
        connection.transport.write(b"GET / HTTP/1.0\r\n\r\n")
        assert (await connection.protocol.until(12)).startswith(b"HTTP/1.0 200")
        assert connection.facts.tls is not None
        assert connection.facts.tls.verified is ("insecure_skip_verify" not in options)


async def test_a_bad_certificate_of_a_legacy_server_stays_bad(legacy_port: int, tmp_path: Path) -> None:
    """A fault of the certificate is reported first, with or without the option."""
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    for legacy_renegotiation in (False, True):
        tls = TlsConfig(ca_file=str(other), legacy_renegotiation=legacy_renegotiation)
        failure, _ = await refused(legacy_port, tls=tls)
        assert failure.reason is Reason.CERTIFICATE


@pytest.mark.parametrize(
    "priorities", [TLS12_ONLY, (), (WITHOUT_RFC_5746,)], ids=["1.2", "1.3", "1.3 without RFC 5746"]
)
async def test_accepts_other_servers_of_the_same_make(
    priorities: tuple[str, ...], certificate: CertificateFiles, ca_file: Path, tmp_path: Path
) -> None:
    """TLS 1.2 with RFC 5746, and TLS 1.3, which has no renegotiation, need no option."""
    with run_gnutls(tmp_path, certificate, *priorities) as port:
        async with connected(Place(port), tls=TlsConfig(ca_file=str(ca_file))) as connection:
            assert connection.facts.tls is not None
            assert connection.facts.tls.verified
