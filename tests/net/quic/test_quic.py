"""QUIC connections: measurements, options, the texts of failures, and cleanup."""

from __future__ import annotations

import asyncio
import os
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from aioquic.buffer import Buffer  # type: ignore[attr-defined]  # it exports it without saying so
from aioquic.quic.packet import (
    QuicErrorCode,
    QuicFrameType,
    QuicPreferredAddress,
    QuicProtocolVersion,
    encode_quic_retry,
    encode_quic_version_negotiation,
    pull_quic_header,
    pull_quic_transport_parameters,
    push_quic_transport_parameters,
)
from aioquic.tls import AlertDescription, Epoch
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from exporter.attempt import current_attempt
from exporter.http.http3 import HTTP3
from exporter.http.shared import HttpShared
from exporter.model import Reason
from exporter.net import ConnectionFacts, Endpoint, Network, connect_options
from exporter.net.quic.connect import connect_quic
from exporter.net.tls.certificate_facts import certificate_facts
from exporter.settings import NetworkSettings, TlsConfig
from tests.http.exchanging import ask
from tests.net.connecting import LOOP_NAMES, LOOPS, no_descriptors_left
from tests.servers import certificates
from tests.servers.certificates import EVEN_WEAK, Certificate, server_context
from tests.servers.http3 import (
    Connection,
    close,
    closed_datagram_port,
    data,
    head,
    lossy_relay,
    reset_statelessly,
    run_datagram_server,
    run_http3_server,
    say,
)
from tests.servers.sockets import sockets_to
from tests.servers.tcp import over_tls, serve
from tests.servers.tcp import say as say_over_tcp
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from aioquic.quic.connection import QuicConnection
    from aioquic.quic.events import QuicEvent
    from aioquic.quic.packet import QuicHeader

    from exporter.errors import CheckFailed
    from tests.servers.dnsmasq import Dnsmasq
    from tests.servers.http3 import Step
    from tests.servers.nginx import CertificateFiles

ANSWER = say(head(), data(b"hi"))
NO_CERTIFICATE = QuicErrorCode.CRYPTO_ERROR + AlertDescription.certificate_required


@pytest.fixture(params=LOOPS, ids=LOOP_NAMES)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(scope="module")
def good(ca: trustme.CA) -> Certificate:
    return certificates.with_intermediate(ca, "good.test", "127.0.0.1", "::1")


async def test_tells_what_was_agreed_on_and_verified(good: Certificate, ca_file: Path) -> None:
    """A handshake reports version, cipher, the presented certificates and the expiry of the verified chain."""
    with run_http3_server(good, ANSWER) as server:
        tls = (await ask(server.url(), ca_file)).exchange.connection.tls
    assert tls is not None
    assert (tls.version, tls.cipher, tls.verified) == ("TLS 1.3", "TLS_AES_256_GCM_SHA384", True)
    assert len(tls.presented) == 2
    assert tls.presented[0] == certificate_facts(good.leaf.public_bytes(Encoding.DER))
    assert tls.chain_expiry_timestamp_seconds == good.leaf.not_valid_after_utc.timestamp()


async def test_connects_as_the_settings_say(good: Certificate, ca_file: Path) -> None:
    """Fixed address, source address and name to verify have the same meaning as over TCP."""
    settings = {"connect_to": "127.0.0.1", "source_ip": "127.0.0.9"}
    with run_http3_server(good, ANSWER) as server:
        outcome = await ask(server.url(host="good.test"), ca_file, settings=settings)
        named = await ask(server.url(), ca_file, tls={"server_name": "good.test"})
    assert (outcome.why, named.why, outcome.exchange.connection.address) == ("", "", "127.0.0.1")
    assert [address for address, _ in server.peers] == ["127.0.0.9", "127.0.0.1"]
    assert server.requests[0].fields[":authority"] == f"good.test:{server.port}"


async def test_an_ipv6_address_is_connected_to(good: Certificate, ca_file: Path) -> None:
    """Addresses of both families work."""
    with run_http3_server(good, ANSWER, host="::1") as server:
        outcome = await ask(server.url(), ca_file, settings={"ip_protocol": "ip6"})
    assert (outcome.why, outcome.exchange.body, outcome.exchange.connection.ip_protocol) == ("", b"hi", 6)


async def test_a_name_is_resolved(good: Certificate, ca_file: Path, start_dnsmasq: Callable[..., Dnsmasq]) -> None:
    """The name is looked up at `resolver`, and the address has the wanted family."""
    dnsmasq = start_dnsmasq(["--host-record=good.test,127.0.0.1,::1", "--local=/test/"])
    with run_http3_server(good, ANSWER, host="::1") as server:
        settings = {"resolver": dnsmasq.server, "ip_protocol": "prefer_ip6"}
        connection = (await ask(server.url(host="good.test"), ca_file, settings=settings)).exchange.connection
    assert (connection.address, connection.tls is not None and connection.tls.verified) == ("::1", True)
    assert connection.lookup_seconds > 0


@pytest.mark.parametrize("retry", [False, True])
async def test_phases_follow_each_other(good: Certificate, ca_file: Path, retry: bool) -> None:
    """Connecting ends with the peer's first packet, even a Retry; the handshake ends with the verified certificate."""
    with run_http3_server(good, ANSWER, retry=retry) as server:
        exchange = (await ask(server.url(), ca_file)).exchange
    facts = exchange.connection
    assert exchange.body == b"hi"
    assert min(facts.connect_seconds, facts.tls_seconds) > 0
    assert facts.ready_at < exchange.first_byte_at <= exchange.ended_at


ISSUED: dict[str, Callable[..., Certificate]] = {
    "valid": certificates.valid,
    "intermediate": certificates.with_intermediate,
    "expired": certificates.expired,
    "not yet valid": certificates.not_yet_valid,
    "no intermediate": certificates.without_intermediate,
    "weak key": certificates.with_weak_key,
    "weak signature": certificates.with_weak_signature,
    "other host": lambda ca, *_: certificates.valid(ca, "other.test"),
    "self-signed": lambda _, *names: certificates.self_signed(*names),
    "too many": certificates.with_junk,
    "unknown authority": lambda _, *names: certificates.with_intermediate(trustme.CA(), *names),
}


@pytest.mark.parametrize("name", ISSUED)
async def test_certificates_are_judged_as_over_tcp(ca: trustme.CA, ca_file: Path, name: str) -> None:
    """A certificate is accepted or rejected with the same texts and facts as over TCP."""
    certificate = ISSUED[name](ca, "good.test")
    context = server_context(certificate, ciphers=EVEN_WEAK)
    with serve(over_tls(context, say_over_tcp(b"HTTP/1.1 204 OK\r\n\r\n"))) as tcp:
        over_tcp = await ask(f"https://{tcp.target}/", ca_file, tls={"server_name": "good.test"}, http3=False)
    with run_http3_server(certificate, ANSWER) as server:
        outcome = await ask(server.url(), ca_file, tls={"server_name": "good.test"})
    assert outcome.why == over_tcp.why
    assert outcome.exchange.connection.tls == over_tcp.exchange.connection.tls
    assert (outcome.failure is None) == (name in ("valid", "intermediate")) == bool(server.requests)


async def test_shows_but_does_not_judge_without_verification(ca_file: Path) -> None:
    """With insecure_skip_verify, any certificate is accepted; it counts as not verified and has no verified chain."""
    certificate = certificates.self_signed("good.test")
    with run_http3_server(certificate, ANSWER) as server:
        outcome = await ask(server.url(), ca_file, tls={"insecure_skip_verify": True})
    tls = outcome.exchange.connection.tls
    assert (outcome.why, tls is not None) == ("", True)
    assert tls is not None
    assert tls.presented == (certificate_facts(certificate.leaf.public_bytes(Encoding.DER)),)
    assert (tls.verified, tls.chain_expiry_timestamp_seconds) == (False, None)


async def test_presents_a_client_certificate(
    good: Certificate, ca_file: Path, write_certificate: Callable[..., CertificateFiles]
) -> None:
    """A server that requests a certificate gets the configured one, and a replaced one from the next batch on."""
    shared, files = HttpShared(), write_certificate("one.test")
    tls = {"cert_file": str(files.cert_file), "key_file": str(files.key_file)}
    with run_http3_server(good, ANSWER, adjust=demand_certificate) as server:
        for name in ("one.test", "one.test", "two.test"):
            other = write_certificate(name)
            if name == "two.test":
                files.cert_file.write_bytes(other.cert_file.read_bytes())
                files.key_file.write_bytes(other.key_file.read_bytes())
            assert (await ask(server.url(), ca_file, shared=shared.for_batch(), tls=tls)).why == ""
        assert (await ask(server.url(), ca_file)).why == ""
    presented = [own and certificate_facts(own.public_bytes(Encoding.DER)).names for _, own in server.peers]
    assert presented == [("one.test",), ("one.test",), ("two.test",), None]


async def test_an_invalid_client_certificate_is_not_the_fault_of_the_server(
    good: Certificate, ca_file: Path, tmp_path: Path
) -> None:
    """A file that cannot be used is a local failure."""
    (tmp_path / "none.pem").write_text("none")
    tls = {"cert_file": str(tmp_path / "none.pem"), "key_file": str(tmp_path / "none.pem")}
    with run_http3_server(good, ANSWER) as server:
        outcome = await ask(server.url(), ca_file, tls=tls)
    assert outcome.failure is not None
    assert (outcome.failure.reason, server.requests) == (Reason.LOCAL, [])


def demand_certificate(quic: QuicConnection) -> None:
    """Make a server request a client certificate."""
    initialize = quic._initialize

    def and_demand(peer_cid: bytes) -> None:
        initialize(peer_cid)
        quic.tls._request_client_certificate = True

    quic._initialize = and_demand  # type: ignore[method-assign]  # aioquic has it for its own tests only


def refuse(quic: QuicConnection) -> None:
    """Make a server close a connection with its first packet."""
    quic.close(QuicErrorCode.CONNECTION_REFUSED, QuicFrameType.PADDING, "too many")


def announce_no_idle_timeout(quic: QuicConnection) -> None:
    """Make a server announce that idle connections never time out (RFC 9000 section 18.2)."""
    serialize = quic._serialize_transport_parameters

    def without_limit() -> bytes:
        quic._configuration = replace(quic.configuration, idle_timeout=0.0)
        parameters = serialize()
        quic._configuration = replace(quic.configuration, idle_timeout=60.0)
        return parameters

    quic._serialize_transport_parameters = without_limit  # type: ignore[method-assign]  # aioquic knows no such server


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (
            {"alpn_protocols": ["hq-interop"]},
            "tls: the server does not speak HTTP/3: it agreed on no application protocol",
        ),
        ({"alpn_protocols": None}, "tls: the server does not speak HTTP/3: it agreed on no application protocol"),
        ({"adjust": refuse}, "connect_refused: the server refused the connection: too many"),
    ],
    ids=["another protocol", "no protocol", "refused"],
)
async def test_a_handshake_that_fails_says_why(
    good: Certificate, ca_file: Path, options: dict[str, Any], why: str
) -> None:
    """A server without HTTP/3 and a server that rejects connections have different texts."""
    with run_http3_server(good, ANSWER, **options) as server:
        outcome = await ask(server.url(), ca_file)
    assert (outcome.why, server.requests, outcome.exchange.connection.ready_at) == (why, [], 0.0)


@pytest.mark.parametrize(
    ("step", "why"),
    [
        (
            close(NO_CERTIFICATE, frame_type=QuicFrameType.CRYPTO),
            "tls: the server refused the handshake with the alert certificate_required",
        ),
        (
            reset_statelessly,
            "connection_reset: the server no longer knew the connection while waiting for the response",
        ),
        (
            Connection.close_port,
            "connection_reset: the server's port was closed while waiting for the response",
        ),
    ],
    ids=["no certificate", "stateless reset", "port closed"],
)
async def test_a_connection_that_breaks_says_why(good: Certificate, ca_file: Path, step: Step, why: str) -> None:
    """However a connection ends after the handshake, there is a reason."""
    with run_http3_server(good, step) as server:
        outcome = await ask(server.url(), ca_file, patience_seconds=20)
    assert outcome.why == why


async def test_a_closed_port_refuses(ca_file: Path) -> None:
    """A closed port is noticed at once."""
    with closed_datagram_port() as port:
        outcome = await ask(f"https://127.0.0.1:{port}/", ca_file)
    assert outcome.why == f"connect_refused: connection refused while connecting to 127.0.0.1:{port}"
    assert (outcome.exchange.connection.connect_seconds > 0, outcome.exchange.connection.tls) == (True, None)


async def test_a_foreign_source_address_is_not_the_fault_of_the_server(ca_file: Path) -> None:
    """A source address that this host does not have is a local failure."""
    with closed_datagram_port() as port:
        outcome = await ask(f"https://127.0.0.1:{port}/", ca_file, settings={"source_ip": "192.0.2.1"})
    assert outcome.why == (
        f"local: cannot assign requested address while opening a socket to 127.0.0.1:{port} from 192.0.2.1"
    )


def header_of(datagram: bytes) -> QuicHeader:
    return pull_quic_header(Buffer(data=datagram), host_cid_length=8)


def silence(_: bytes) -> list[bytes]:
    return []


def rubbish(datagram: bytes) -> list[bytes]:
    """Packets that are not QUIC, that are for another connection, and that repeat the client's."""
    header = header_of(datagram)
    other = encode_quic_version_negotiation(header.destination_cid, bytes(8), [0x1A2A3A4A])
    return [b"", os.urandom(1200), other, datagram]


def retry_for_ever(datagram: bytes) -> list[bytes]:
    """A Retry for any packet; a client accepts only one."""
    header = header_of(datagram)
    version = QuicProtocolVersion.VERSION_1
    return [encode_quic_retry(version, b"12345678", header.source_cid, header.destination_cid, b"token")]


def other_versions(datagram: bytes) -> list[bytes]:
    header = header_of(datagram)
    return [encode_quic_version_negotiation(header.destination_cid, header.source_cid, [0x1A2A3A4A])]


async def test_another_version_of_quic_is_reported(ca_file: Path) -> None:
    """A server without a common version is distinguished from a missing one."""
    with run_datagram_server(other_versions) as server:
        outcome = await ask(server.url(), ca_file)
    assert outcome.why == "protocol: the server supports no version of QUIC that the exporter supports"


@pytest.mark.parametrize("answer", [silence, rubbish])
async def test_a_silent_server_is_not_connected_to(ca_file: Path, answer: Callable[[bytes], list[bytes]]) -> None:
    """Connecting has its own limit, and unrelated packets do not end it."""
    with run_datagram_server(answer) as server:
        limited = await ask(server.url(), ca_file, settings={"connect_timeout_seconds": 0.4})
        patient = await ask(server.url(), ca_file, enough=lambda exchange: exchange.connection.address)
    assert limited.why == f"connect_timeout: 127.0.0.1:{server.port} did not answer within 0.4 s"
    assert (patient.timed_out, patient.attempt.timeout_reason) == (True, Reason.CONNECT_TIMEOUT)
    assert limited.exchange.connection.connect_seconds >= 0.395
    assert patient.exchange.connection.tls_seconds == 0


async def test_a_handshake_has_a_limit_of_its_own(ca_file: Path) -> None:
    """A server that answers without completing the handshake is distinguished from a silent one."""
    with run_datagram_server(retry_for_ever) as server:
        limited = await ask(server.url(), ca_file, tls_timeout_seconds=0.4)
        patient = await ask(server.url(), ca_file, enough=lambda exchange: exchange.connection.connect_seconds)
    assert limited.why == "tls: 127.0.0.1 did not complete the handshake in 0.4 s"
    assert (patient.timed_out, patient.attempt.timeout_reason) == (True, Reason.TIMEOUT)
    assert limited.exchange.connection.tls_seconds >= 0.395
    assert patient.exchange.connection.tls_seconds > 0


async def test_a_server_that_falls_silent_is_given_up(good: Certificate, ca_file: Path) -> None:
    """If nothing arrives within the server's idle timeout, waiting ends."""
    with run_http3_server(good, Connection.fall_silent, idle_timeout=1.0) as server:
        outcome = await ask(server.url(), ca_file, patience_seconds=30)
    assert outcome.why == ("timeout: nothing arrived within the idle timeout while waiting for the response")


def prefer_another_address(quic: QuicConnection) -> None:
    """Make a server ask its clients to move to another address, where nothing listens (RFC 9000 section 9.6)."""
    serialize = quic._serialize_transport_parameters
    preferred = QuicPreferredAddress(("127.0.0.1", 9), None, b"12345678", bytes(16))

    def with_another() -> bytes:
        parameters = pull_quic_transport_parameters(Buffer(data=serialize()))
        parameters.preferred_address = preferred
        buffer = Buffer(capacity=2000)
        push_quic_transport_parameters(buffer, parameters)
        return buffer.data

    quic._serialize_transport_parameters = with_another  # type: ignore[method-assign]  # aioquic knows no such server


async def test_another_address_that_a_server_prefers_is_not_gone_to(good: Certificate, ca_file: Path) -> None:
    """A check stays at the address that it tests."""
    with run_http3_server(good, say(head(), data(bytes(100_000))), adjust=prefer_another_address) as server:
        outcome = await ask(server.url(), ca_file)
    assert (outcome.why, len(outcome.exchange.body)) == ("", 100_000)


def with_unknown_key(ca: trustme.CA, *names: str) -> Certificate:
    """A certificate with a key of an unknown kind."""
    certificate = certificates.valid(ca, *names)
    elliptic_curve, unknown = (bytes.fromhex(f"06072a8648ce3d02{last}") for last in ("01", "7f"))
    der = certificate.leaf.public_bytes(Encoding.DER).replace(elliptic_curve, unknown)
    return Certificate(x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM), certificate.key)


async def test_a_certificate_with_an_unknown_key_is_shown(ca: trustme.CA, ca_file: Path) -> None:
    """It is rejected, because it cannot be verified, and its readable facts are shown."""
    certificate = with_unknown_key(ca, "127.0.0.1")
    with run_http3_server(certificate, ANSWER) as server:
        outcome = await ask(server.url(), ca_file)
    tls = outcome.exchange.connection.tls
    assert outcome.why == (
        "tls: the server's handshake is wrong (unsupported_certificate): Certificate has an unsupported key type"
    )
    assert tls is not None
    assert (tls.verified, len(tls.presented)) == (False, 1)


class Stumbling:
    """A user of a connection that raises an unexpected exception."""

    def __init__(self) -> None:
        self.failure: CheckFailed | None = None

    def quic_event_received(self, event: QuicEvent) -> None:
        raise ZeroDivisionError

    def datagrams_received(self) -> None:
        """Do nothing."""

    def connection_lost(self, failure: CheckFailed) -> None:
        self.failure = failure


async def test_whatever_is_stumbled_over_ends_the_connection(good: Certificate, ca_file: Path) -> None:
    """An unexpected exception fails this check at once, and leaves nothing behind."""
    user = Stumbling()
    with run_http3_server(good, ANSWER) as server:
        endpoint = Endpoint(server.host, server.port)
        channel = await connect_quic(
            Network(),
            endpoint,
            connect_options(endpoint, NetworkSettings(), tls=TlsConfig(ca_file=str(ca_file))),
            HTTP3,
            ConnectionFacts(current_attempt()),
        )
        channel.start(user)
        await until(lambda: user.failure is not None)
        left = sockets_to(server.port)
    detail = "ZeroDivisionError while waiting for the response, because of what the server sent"
    assert user.failure is not None
    assert (user.failure.reason, user.failure.detail, left) == (Reason.PROTOCOL, detail, 0)


@pytest.mark.parametrize("options", [{"idle_timeout": 1.5}, {"adjust": announce_no_idle_timeout}])
async def test_a_slow_answer_is_waited_for(good: Certificate, ca_file: Path, options: dict[str, Any]) -> None:
    """The connection outlasts the server's idle timeout while a response is awaited; 0 means no limit."""

    def answer_late(connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(3.0, ANSWER, connection)
        loop.call_later(3.001, connection.transmit)

    with run_http3_server(good, answer_late, **options) as server:
        outcome = await ask(server.url(), ca_file, patience_seconds=30)
    assert outcome.answer == (None, 200, "3", b"hi"), outcome.why
    assert outcome.exchange.processing_seconds >= 2.995


async def test_a_server_does_not_set_the_pace(good: Certificate, ca_file: Path) -> None:
    """Thousands of packets do not keep a connection alive that has a tiny idle timeout."""
    heard: list[int] = []

    def listen(connection: Connection) -> None:
        space = connection.quic._spaces[Epoch.ONE_RTT]
        asyncio.get_running_loop().call_later(1.0, lambda: heard.append(space.expected_packet_number))

    with run_http3_server(good, listen, idle_timeout=0.001) as server:
        await ask(server.url(), ca_file, patience_seconds=1.0)
        await until(lambda: bool(heard))
    assert 0 < heard[0] < 200


async def test_what_is_lost_is_sent_again(good: Certificate, ca_file: Path) -> None:
    """Every fifth datagram may be lost, including the first; request and response arrive completely."""
    body = os.urandom(60_000)
    with run_http3_server(good, say(head(), data(body))) as server, lossy_relay(server.port, 5) as port:
        outcome = await ask(f"https://127.0.0.1:{port}/", ca_file, method="POST", content=body, patience_seconds=30)
    assert (outcome.why, outcome.exchange.body == body, server.requests[0].body == body) == ("", True, True)


async def test_nothing_is_left_behind(good: Certificate, ca_file: Path) -> None:
    """No socket outlives an exchange, whether complete, failed or cancelled in any phase."""
    with ExitStack() as running:
        well = running.enter_context(run_http3_server(good, ANSWER))
        silent = running.enter_context(run_http3_server(good))
        absent, slow = (running.enter_context(run_datagram_server(answer)) for answer in (silence, retry_for_ever))
        await ask(well.url(), ca_file, tls={"server_name": "other.test"})
        for server in (well, silent, absent, slow):
            outcome = await ask(server.url(), ca_file, patience_seconds=20.0 if server is well else 0.5)
            assert (outcome.timed_out, sockets_to(server.port)) == (server is not well, 0)


async def test_a_lack_of_descriptors_is_not_the_fault_of_the_server(good: Certificate, ca_file: Path) -> None:
    """A host without free descriptors reports so."""
    shared = HttpShared()
    with run_http3_server(good, ANSWER) as server:
        await ask(server.url(), ca_file, shared=shared)
        with no_descriptors_left():
            outcome = await ask(server.url(), ca_file, shared=shared)
    assert outcome.failure is not None
    assert outcome.failure.reason is Reason.LOCAL
