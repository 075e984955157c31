"""A verified chain is not verified again, and this never accepts a chain that would be rejected."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL

from exporter.attempt import current_attempt
from exporter.model import Reason
from exporter.net import Network
from exporter.net.tls.certificate_facts import Presented
from exporter.net.tls.context_recipe import context_recipe
from exporter.settings import TlsConfig
from tests.net.connecting import connected, refused
from tests.servers import certificates
from tests.servers.certificates import Certificate, server_context
from tests.servers.tcp import over_tls, serve
from tests.waiting import until

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path

    from tests.servers.nginx import CertificateFiles


@pytest.fixture
def network() -> Network:
    return Network()


def trusting(ca_file: Path, **options: str) -> TlsConfig:
    return TlsConfig(ca_file=str(ca_file), **options)


async def test_recalls_a_chain_with_all_its_facts(network: Network, ca: trustme.CA, ca_file: Path) -> None:
    """A connection whose chain was verified before has the same facts as the first one."""
    with serve(over_tls(server_context(certificates.with_intermediate(ca, "127.0.0.1")))) as server:
        facts = []
        for _ in range(3):
            async with connected(server, network=network.for_batch(), tls=trusting(ca_file)) as connection:
                facts.append(connection.facts.tls)
    assert facts[0] is not None
    assert facts[0].verified
    assert facts == [facts[0]] * 3


async def test_verifies_a_new_chain_of_a_known_server(network: Network, ca: trustme.CA, ca_file: Path) -> None:
    """If a server presents another certificate, that one is verified."""
    good, bad = certificates.valid(ca, "127.0.0.1"), certificates.valid(trustme.CA(), "127.0.0.1")
    context = server_context(good)
    with serve(over_tls(context)) as server:
        async with connected(server, network=network, tls=trusting(ca_file)):
            pass
    with serve(over_tls(server_context(bad)), port=server.port) as again:
        failure, facts = await refused(again.port, network=network, tls=trusting(ca_file))
    assert failure.reason is Reason.CERTIFICATE
    assert facts.tls is not None
    assert not facts.tls.verified


async def test_verifies_a_known_chain_for_another_name(network: Network, ca: trustme.CA, ca_file: Path) -> None:
    """Verification for one name does not count for another."""
    with serve(over_tls(server_context(certificates.valid(ca, "one.test")))) as server:
        async with connected(server, network=network, tls=trusting(ca_file, server_name="one.test")):
            pass
        failure, _ = await refused(server.port, network=network, tls=trusting(ca_file, server_name="two.test"))
    assert failure.detail == "the certificate of two.test was rejected: it is for one.test, not for two.test"


async def test_verifies_a_known_chain_by_other_authorities(network: Network, ca: trustme.CA, tmp_path: Path) -> None:
    """Trust in one configuration does not count for another."""
    trusted, other = tmp_path / "trusted.pem", tmp_path / "other.pem"
    ca.cert_pem.write_to_path(str(trusted))
    trustme.CA().cert_pem.write_to_path(str(other))
    with serve(over_tls(server_context(certificates.valid(ca, "127.0.0.1")))) as server:
        async with connected(server, network=network, tls=trusting(trusted)):
            pass
        failure, _ = await refused(server.port, network=network, tls=trusting(other))
    assert failure.reason is Reason.CERTIFICATE


@pytest.mark.parametrize("ders", [(), (b"rubbish",)], ids=["nothing", "rubbish"])
async def test_garbage_in_place_of_a_certificate_is_not_verified(
    ders: tuple[bytes, ...], network: Network, ca_file: Path
) -> None:
    """Neither an empty chain nor an unreadable one ever counts as verified."""
    context = await network.context(context_recipe(trusting(ca_file)), current_attempt())
    for _ in range(2):
        with pytest.raises(ssl.SSLError):
            context.verify("127.0.0.1", Presented.read(ders))


async def test_no_policy_for_connections_hinders_verifying(network: Network, ca_file: Path) -> None:
    """Verification uses Python's `ssl` with explicit suites, whatever the system's policy is."""
    context = await network.context(context_recipe(trusting(ca_file)), current_attempt())
    assert context.verifier is not None
    suites = {suite["name"] for suite in context.verifier.get_ciphers() if suite["protocol"] == "TLSv1.2"}
    assert suites == {"ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"}


@pytest.mark.parametrize("shape", [lambda one, _: one, certificates.as_version_2], ids=["usual", "unreadable"])
async def test_refuses_a_known_chain_that_has_expired(
    shape: Callable[[Certificate, trustme.CA], Certificate], network: Network, ca: trustme.CA, ca_file: Path
) -> None:
    """A chain that was valid a moment ago is rejected once it has expired, even if its dates cannot be read."""
    ends = datetime.now(UTC) + timedelta(seconds=3)
    issued = ca.issue_cert("127.0.0.1", not_after=ends)
    brief = shape(Certificate(issued.cert_chain_pems[0].bytes(), issued.private_key_pem.bytes()), ca)
    with serve(over_tls(server_context(brief))) as server:
        async with connected(server, network=network, tls=trusting(ca_file)):
            pass
        await asyncio.sleep((ends - datetime.now(UTC)).total_seconds() + 1)
        failure, _ = await refused(server.port, network=network, tls=trusting(ca_file))
    assert failure.reason is Reason.CERTIFICATE
    assert "expired" in failure.detail


@pytest.fixture
def shown(write_certificate: Callable[..., CertificateFiles]) -> dict[str, str]:
    files = write_certificate("client.test")
    return {"cert_file": str(files.cert_file), "key_file": str(files.key_file)}


@pytest.mark.parametrize(
    ("version", "addition"),
    [(ssl.TLSVersion.TLSv1_2, b""), (ssl.TLSVersion.TLSv1_3, b""), (ssl.TLSVersion.TLSv1_2, b"\x16\3\3\0\4what")],
    ids=["1.2", "1.3", "1.2 and a fault"],
)
async def test_shows_nothing_to_a_server_it_does_not_trust(
    version: ssl.TLSVersion,
    addition: bytes,
    network: Network,
    ca: trustme.CA,
    ca_file: Path,
    shown: dict[str, str],
) -> None:
    """If its certificate is rejected, the server gets neither the client's certificate nor the end of the handshake."""
    heard: list[bytes] = []

    def listen(connection: socket.socket) -> None:
        context = server_context(certificates.valid(trustme.CA(), "127.0.0.1"), version=version)
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_verify_locations(cadata=ca.cert_pem.bytes().decode())
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        while heard[-1:] != [b""]:
            heard.append(connection.recv(65536))
            incoming.write(heard[-1])
            with pytest.raises(ssl.SSLWantReadError):
                tls.do_handshake()
            connection.sendall(outgoing.read() + addition)

    with serve(listen) as server:
        failure, _ = await refused(server.port, network=network, tls=trusting(ca_file, **shown))
        await until(lambda: heard[-1:] == [b""])
    assert (failure.reason, len(heard)) == (Reason.CERTIFICATE, 2)


async def test_a_renegotiation_is_refused(ca: trustme.CA, ca_file: Path) -> None:
    """A renegotiation (TLS 1.2) could bring a certificate that nobody verified, so the client declines it."""
    answers: list[list[tuple[str, str, str]]] = []

    def renegotiate(connection: socket.socket) -> None:
        """Send something, and request another handshake with another certificate."""
        tls = SSL.Connection(SSL.Context(SSL.TLSv1_2_METHOD), None)
        tls.set_accept_state()
        _present(tls, certificates.valid(ca, "127.0.0.1"))
        _go_on(tls, connection, tls.do_handshake)
        _go_on(tls, connection, partial(tls.send, b"before"))
        _present(tls, certificates.valid(trustme.CA(), "127.0.0.1"))
        tls.renegotiate()
        try:
            _go_on(tls, connection, tls.do_handshake)
            _go_on(tls, connection, partial(tls.recv, 1))
        except SSL.Error as error:
            answers.append(error.args[0])

    with serve(renegotiate) as server:
        async with connected(server, tls=trusting(ca_file)) as (_, protocol, _):
            assert await protocol.until(len(b"before after")) == b"before"
        await until(lambda: bool(answers))
    assert [error[2] for error in answers[0]] == ["no renegotiation"]


def _present(tls: SSL.Connection, certificate: Certificate) -> None:
    tls.use_certificate(certificate.leaf)
    key = load_pem_private_key(certificate.key, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    tls.use_privatekey(key)


def _go_on(tls: SSL.Connection, connection: socket.socket, step: Callable[[], object]) -> None:
    """Repeat a step of TLS until it needs nothing more from the peer, and send its output."""
    done = False
    while not done:
        with suppress(SSL.WantReadError):
            step()
            done = True
        with suppress(SSL.WantReadError):
            connection.sendall(tls.bio_read(65536))
        if not done:
            _hear(tls, connection)


def _hear(tls: SSL.Connection, connection: socket.socket) -> None:
    data = connection.recv(65536)
    if not data:
        raise ConnectionError("the client is gone")
    tls.bio_write(data)
