"""TLS connections: facts of a handshake, texts of failures, and the transport on top."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import ssl
import threading
import time
from functools import partial
from queue import Queue
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from OpenSSL import SSL

from exporter.attempt import begin_attempt, current_attempt
from exporter.model import Reason
from exporter.net import ConnectionFacts, Network
from exporter.net.tls.certificate_facts import certificate_facts
from exporter.net.tls.context_recipe import context_recipe
from exporter.net.tls.transport import TlsTransport
from exporter.runner.pacing import Pacer, Workload
from exporter.settings import NetworkSettings, TlsConfig
from tests.net.connecting import LOOP_NAMES, LOOPS, Recorder, connect, connected, refused
from tests.servers import certificates
from tests.servers.certificates import EVEN_WEAK, server_context
from tests.servers.sockets import sockets_to
from tests.servers.tcp import (
    answer,
    close_when_spoken_to,
    echo,
    keep_silent,
    over_tls,
    relay_slowly,
    reset_when_spoken_to,
    say,
    serve,
)
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.servers.certificates import Certificate


@pytest.fixture(params=LOOPS, ids=LOOP_NAMES)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def trusting(ca_file: Path) -> Callable[..., TlsConfig]:
    """Makes a configuration that trusts the tests' authority."""
    return partial(TlsConfig, ca_file=str(ca_file))


@pytest.fixture(scope="session")
def good(ca: trustme.CA) -> Certificate:
    return certificates.with_intermediate(ca, "good.test", "127.0.0.1", "::1")


def der(certificate: Certificate) -> bytes:
    return certificate.leaf.public_bytes(Encoding.DER)


async def test_tells_what_was_agreed_on_and_verified(good: Certificate, trusting: Callable[..., TlsConfig]) -> None:
    """A verified handshake reports version, cipher, the presented certificates and the expiry of the chain."""
    with serve(over_tls(server_context(good))) as server:
        started = perf_counter()
        async with connected(server, tls=trusting(server_name="good.test")) as connection:
            facts, took_seconds = connection.facts, perf_counter() - started
    assert facts.tls is not None
    assert (facts.tls.version, facts.tls.cipher, facts.tls.verified) == ("TLS 1.3", "TLS_AES_256_GCM_SHA384", True)
    assert len(facts.tls.presented) == 2
    assert facts.tls.presented[0] == certificate_facts(der(good))
    assert facts.tls.chain_expiry_timestamp_seconds == good.leaf.not_valid_after_utc.timestamp()
    assert min(facts.connect_seconds, facts.tls_seconds) > 0
    assert facts.connect_seconds + facts.tls_seconds < took_seconds


async def test_measures_the_handshake_apart_from_tcp(good: Certificate, trusting: Callable[..., TlsConfig]) -> None:
    """A slow handshake makes the TLS phase long, and not the connect phase."""

    def dawdle(connection: socket.socket) -> None:
        connection.recv(1, socket.MSG_PEEK)  # the handshake has begun
        time.sleep(0.2)
        over_tls(server_context(good))(connection)

    with serve(dawdle) as server:
        started = perf_counter()
        async with connected(server, tls=trusting()) as connection:
            assert connection.facts.tls_seconds > 0.195
            assert 0 < connection.facts.connect_seconds < perf_counter() - started - connection.facts.tls_seconds


async def test_prefers_the_cipher_suite_that_blackbox_exporter_prefers(
    good: Certificate, trusting: Callable[..., TlsConfig]
) -> None:
    """A server that leaves the choice to its clients, as most do, has the same metric with both exporters."""
    context = server_context(good)
    context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    with serve(over_tls(context)) as server:
        async with connected(server, tls=trusting(server_name="good.test")) as connection:
            facts = connection.facts
    assert facts.tls is not None
    assert (facts.tls.version, facts.tls.cipher) == ("TLS 1.3", "TLS_AES_128_GCM_SHA256")


@pytest.mark.parametrize("max_version", ["TLS12", "TLS13"])
async def test_describes_a_refused_certificate(
    max_version: str, ca: trustme.CA, trusting: Callable[..., TlsConfig]
) -> None:
    """The facts of a rejected certificate are known, and so is what was agreed on before."""
    certificate = certificates.expired(ca, "good.test")
    with serve(over_tls(server_context(certificate))) as server:
        failure, facts = await refused(server.port, tls=trusting(server_name="good.test", max_version=max_version))
    assert failure.reason is Reason.CERTIFICATE
    assert facts.tls is not None
    assert facts.tls.presented == (certificate_facts(der(certificate)),)
    assert (facts.tls.verified, facts.tls.chain_expiry_timestamp_seconds) == (False, None)
    suites = {"TLS12": "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "TLS13": "TLS_AES_256_GCM_SHA384"}
    assert (facts.tls.version, facts.tls.cipher) == (f"TLS 1.{max_version[-1]}", suites[max_version])
    assert (facts.ready_at, facts.tls_seconds > 0) == (0.0, True)


async def test_shows_but_does_not_judge_without_verification(trusting: Callable[..., TlsConfig]) -> None:
    """With insecure_skip_verify, any certificate is accepted; it counts as not verified and has no verified chain."""
    certificate = certificates.self_signed("good.test")
    with serve(over_tls(server_context(certificate), say(b"hi"))) as server:
        async with connected(server, tls=trusting(insecure_skip_verify=True)) as connection:
            assert await connection.protocol.until(2) == b"hi"
            assert connection.facts.tls is not None
            assert connection.facts.tls.presented == (certificate_facts(der(certificate)),)
            assert not connection.facts.tls.verified
            assert connection.facts.tls.chain_expiry_timestamp_seconds is None


@pytest.mark.parametrize("insecure_skip_verify", [False, True], ids=["verified", "not verified"])
@pytest.mark.parametrize("count", [21, 100, 500])
async def test_refuses_more_certificates_than_a_chain_needs(
    count: int, insecure_skip_verify: bool, ca: trustme.CA, trusting: Callable[..., TlsConfig]
) -> None:
    """A server that presents more than 20 is rejected, and only its own certificate is read."""
    certificate = certificates.with_junk(ca, "127.0.0.1", count=count)
    with serve(over_tls(server_context(certificate))) as server:
        failure, facts = await refused(server.port, tls=trusting(insecure_skip_verify=insecure_skip_verify))
    assert (failure.reason, failure.detail) == (
        Reason.CERTIFICATE,
        f"127.0.0.1 presented {count} certificates; at most 20 are accepted",
    )
    assert facts.tls is not None
    assert facts.tls.presented == (certificate_facts(der(certificate)),)
    assert not facts.tls.verified


async def test_accepts_as_many_certificates_as_any_chain_needs(
    ca: trustme.CA, trusting: Callable[..., TlsConfig]
) -> None:
    """Twenty certificates are judged like two, whatever the superfluous ones are."""
    with serve(over_tls(server_context(certificates.with_junk(ca, "127.0.0.1", count=20)))) as server:
        async with connected(server, tls=trusting()) as connection:
            assert connection.facts.tls is not None
            assert (connection.facts.tls.verified, len(connection.facts.tls.presented)) == (True, 20)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_verifies_addresses_by_their_own_names(
    address: str, good: Certificate, trusting: Callable[..., TlsConfig]
) -> None:
    """An IP address as target is verified against the addresses in the certificate."""
    with serve(over_tls(server_context(good)), address) as server:
        async with connected(server, tls=trusting()) as connection:
            assert connection.facts.tls is not None
            assert connection.facts.tls.verified


async def test_sends_the_name_of_the_target(good: Certificate, trusting: Callable[..., TlsConfig]) -> None:
    """SNI is server_name, or else the target's name without its final dot; addresses are not sent."""
    asked: list[str | None] = []
    context = server_context(good)
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    with serve(over_tls(context)) as server:
        for host, options in [
            ("GOOD.test.", {}),
            ("other.test", {"server_name": "good.test"}),
            ("127.0.0.1", {}),
        ]:
            async with connected(server, host=host, connect_to="127.0.0.1", tls=trusting(**options)):
                pass
    assert asked == ["good.test", "good.test", None]


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning")
@pytest.mark.parametrize("min_version", ["TLS10", "TLS11"])
async def test_speaks_old_versions_only_when_asked(
    min_version: str, good: Certificate, trusting: Callable[..., TlsConfig]
) -> None:
    """A server with nothing better than TLS 1.1 is rejected unless min_version allows it."""
    with serve(over_tls(server_context(good, version=ssl.TLSVersion.TLSv1_1, ciphers=EVEN_WEAK))) as server:
        failure, facts = await refused(server.port, tls=trusting())
        assert (failure.reason, facts.tls) == (Reason.TLS, None)
        async with connected(server, tls=trusting(min_version=min_version)) as connection:
            assert connection.facts.tls is not None
            assert connection.facts.tls.version == "TLS 1.1"
            assert connection.facts.tls.cipher == "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning")
@pytest.mark.parametrize(
    "version",
    [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3],
    ids=lambda version: version.name,
)
@pytest.mark.parametrize(
    ("issue", "why"),
    [
        (certificates.with_broken_signature_and_weak_key, "its key is too weak"),
        (certificates.with_weak_key, "its key is too weak"),
        (certificates.with_broken_signature, "a signature in its chain uses a weak digest"),
        (certificates.with_weak_signature, "a signature in its chain uses a weak digest"),
        (certificates.with_weak_intermediate, "a signature in its chain uses a weak digest"),
    ],
    ids=["MD5 and RSA-1024", "RSA-1024", "MD5", "SHA-1", "SHA-1 intermediate"],
)
async def test_allowing_old_versions_allows_no_weak_certificates(
    issue: Callable[..., Certificate],
    why: str,
    version: ssl.TLSVersion,
    ca: trustme.CA,
    trusting: Callable[..., TlsConfig],
) -> None:
    """Whatever the version, min_version does not affect keys and signatures of certificates."""
    context = server_context(issue(ca, "good.test"), version=version, ciphers=EVEN_WEAK)
    with serve(over_tls(context)) as server:
        failure, facts = await refused(server.port, tls=trusting(server_name="good.test", min_version="TLS10"))
    assert str(failure) == f"certificate: the certificate of good.test was rejected: {why}"
    assert facts.tls is not None
    assert (facts.tls.version, facts.tls.verified) == (f"TLS 1.{version - ssl.TLSVersion.TLSv1}", False)


@pytest.mark.parametrize("min_version", ["TLS10", "TLS12"])
async def test_minds_no_signature_of_an_authority_itself(min_version: str, tmp_path: Path) -> None:
    """A trusted authority is vouched for by ca_file, so its own signature may use any digest."""
    authority, ca_file = trustme.CA(key_type=trustme.KeyType.RSA), tmp_path / "ca.pem"
    key = load_pem_private_key(authority.private_key_pem.bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    weak = certificates.sign_weakly(x509.load_pem_x509_certificate(authority.cert_pem.bytes()), key, "md5")
    ca_file.write_bytes(weak.public_bytes(Encoding.PEM))
    with serve(over_tls(server_context(certificates.valid(authority, "127.0.0.1")))) as server:
        async with connected(server, tls=TlsConfig(ca_file=str(ca_file), min_version=min_version)) as connection:
            assert connection.facts.tls is not None
            assert connection.facts.tls.verified


@pytest.mark.parametrize(
    ("behave", "reason", "detail"),
    [
        (close_when_spoken_to, Reason.TLS, "the peer closed the connection while shaking hands with 127.0.0.1"),
        (
            reset_when_spoken_to,
            Reason.CONNECTION_RESET,
            "connection reset by peer while shaking hands with 127.0.0.1",
        ),
        (keep_silent, Reason.TLS, "127.0.0.1 did not complete the handshake in 0.2 s"),
        (
            answer(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
            Reason.TLS,
            "the peer does not speak TLS: it sent b'HTTP/1.1 400 Bad Request\\r\\n\\r\\n'",
        ),
        (
            say(b"220 mail.test ESMTP ready, how do you do\r\n"),
            Reason.TLS,
            "the peer does not speak TLS: it sent b'220 mail.test ESMTP ready, how d'",
        ),
        (answer(bytes(range(256))), Reason.TLS, None),
        (answer(b"\x16\x03\x03\x00\x05\x02\xff\xff\xff\xff"), Reason.TLS, None),
        (answer(b"\x15\x03\x03\x00\x02\x02\x63"), Reason.TLS, "127.0.0.1 refused the handshake: alert 99"),
        (answer(b"\x16\x03\x03\x00\x7a\x02"), Reason.TLS, "127.0.0.1 did not complete the handshake in 0.2 s"),
    ],
    ids=["close", "reset", "silent", "http", "smtp", "bytes", "bad length", "alert", "half"],
)
async def test_names_what_ended_a_handshake(
    behave: Callable[[socket.socket], None], reason: Reason, detail: str | None
) -> None:
    """Data that is not TLS, or incomplete, fails with reason tls; a reset is reported as a reset."""
    patience_seconds = 0.2 if (detail or "").endswith(" in 0.2 s") else 10
    with serve(behave) as server:
        failure, facts = await refused(server.port, tls=TlsConfig(), tls_timeout_seconds=patience_seconds)
    assert (failure.reason, facts.tls) == (reason, None)
    assert detail in (None, failure.detail)
    assert (facts.ready_at, facts.connect_seconds > 0) == (0.0, True)
    assert 0 < facts.tls_seconds < 5


async def test_names_a_server_without_common_ground(good: Certificate, trusting: Callable[..., TlsConfig]) -> None:
    """A server without a common version or cipher is reported by its alert."""
    tls12, tls13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
    rsa_only = server_context(good, version=tls12, ciphers="AES128-SHA")
    with serve(over_tls(server_context(good, version=tls12))) as old, serve(over_tls(rsa_only)) as odd:
        failure, _ = await refused(old.port, tls=trusting(min_version="TLS13"))
        assert (failure.reason, failure.detail) == (
            Reason.TLS,
            "127.0.0.1 refused the handshake: it speaks none of the TLS versions offered (alert protocol_version)",
        )
        failure, _ = await refused(odd.port, tls=trusting())
        assert failure.reason is Reason.TLS
        assert failure.detail.endswith("(alert handshake_failure)")
    with serve(over_tls(server_context(good, version=tls13))) as new:
        failure, _ = await refused(new.port, tls=trusting(max_version="TLS12"))
        assert failure.reason is Reason.TLS


async def test_a_refused_connection_is_freed_at_once(good: Certificate) -> None:
    """No object waits for the garbage collector, which does not know how much memory OpenSSL holds for it."""
    network = Network()
    with serve(over_tls(server_context(good))) as server:
        await refused(server.port, network=network, tls=TlsConfig())
        gc.collect()
        gc.disable()
        try:
            failure, _ = await refused(server.port, network=network, tls=TlsConfig())
            assert failure.reason is Reason.CERTIFICATE
            del failure
            await until(lambda: not any(isinstance(one, TlsTransport) for one in gc.get_objects()))
        finally:
            gc.enable()


async def test_a_timeout_of_the_check_ends_a_handshake_cleanly() -> None:
    """A cancelled handshake leaves no socket and no task, and means a plain timeout."""
    attempt, facts, network = begin_attempt(), ConnectionFacts(current_attempt()), Network()
    await network.context(context_recipe(TlsConfig()), attempt)
    tasks = len(asyncio.all_tasks())
    with serve(keep_silent) as server:
        place, settings = ("127.0.0.1", server.port), NetworkSettings()
        connecting = connect(network, Recorder(), place, settings, facts, tls=TlsConfig())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.4):
                await connecting
        await until(lambda: (sockets_to(server.port), len(asyncio.all_tasks())) == (0, tasks))
    assert 0 < facts.tls_seconds < 10
    assert attempt.timeout_reason is Reason.TIMEOUT


async def test_a_check_that_waits_for_its_turn_says_so_when_it_is_cut_off(good: Certificate) -> None:
    """A timeout while the exporter itself holds a check back is not blamed on the target."""
    work, tls = Workload(), TlsConfig(insecure_skip_verify=True)
    work.handshake_seconds = 60.0
    network = Network(pacer=Pacer(work))
    with serve(over_tls(server_context(good))) as server:
        async with connected(server, network=network, tls=tls):
            attempt = begin_attempt()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await refused(server.port, network=network, tls=tls)
    assert attempt.timeout_detail == "the exporter had too much to do to go on with it"
    assert attempt.held_seconds > 0.15


async def test_a_check_that_has_just_started_shakes_hands_once_without_a_turn(good: Certificate) -> None:
    """The turn that started a check covers its first connection; a second one waits for a turn of its own."""
    work, tls = Workload(), TlsConfig(insecure_skip_verify=True)
    work.handshake_seconds = 60.0
    pacer = Pacer(work)
    network = Network(pacer=pacer)
    with serve(over_tls(server_context(good))) as server:
        attempt = begin_attempt()
        attempt.has_turn = True
        async with connected(server, network=network, tls=tls):
            assert (pacer.handshakes, pacer.start_wait_seconds) == (1, [])
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await refused(server.port, network=network, tls=tls)
    assert attempt.held_seconds > 0.15


async def test_understands_a_handshake_byte_by_byte(good: Certificate, trusting: Callable[..., TlsConfig]) -> None:
    """For pieces of any size, the handshake, the data and the facts of a rejected certificate are the same."""
    with serve(over_tls(server_context(good), echo)) as upstream, serve(relay_slowly(upstream.port)) as server:
        async with connected(server, tls=trusting()) as connection:
            connection.transport.write(b"piecemeal")
            assert await connection.protocol.until(9) == b"piecemeal"
        failure, facts = await refused(server.port, tls=TlsConfig(max_version="TLS12"))
    assert failure.reason is Reason.CERTIFICATE
    assert facts.tls is not None
    assert facts.tls.version == "TLS 1.2"


@pytest.mark.parametrize("max_version", ["TLS12", "TLS13"])
async def test_carries_much_data_both_ways(
    max_version: str, good: Certificate, trusting: Callable[..., TlsConfig]
) -> None:
    """Megabytes arrive completely, even if the reader pauses in between."""
    sent = bytes(range(256)) * 8192
    with serve(over_tls(server_context(good), echo)) as server:
        async with connected(server, tls=trusting(max_version=max_version)) as (transport, protocol, _):
            transport.write(sent)
            await protocol.until(100_000)
            transport.pause_reading()
            assert not transport.is_reading()
            paused_at = len(protocol.received)
            await asyncio.sleep(0.05)
            assert len(protocol.received) == paused_at
            transport.resume_reading()
            assert await protocol.until(len(sent)) == sent


async def test_tells_the_end_of_a_connection_once(good: Certificate, trusting: Callable[..., TlsConfig]) -> None:
    """A close_notify is an end of data and then a loss, each reported once; no data is delivered after closing."""
    with serve(over_tls(server_context(good), lambda tls: tls.sendall(b"bye"))) as server:
        async with connected(server, tls=trusting()) as (transport, protocol, _):
            await protocol.until_lost()
            await asyncio.sleep(0.05)
            assert (bytes(protocol.received), protocol.events) == (b"bye", ["made", "eof", "lost"])
            assert protocol.lost_because is None
            assert transport.is_closing()
            transport.write(b"too late")
            transport.close()


async def test_closes_with_a_close_notify_and_without_waiting(
    good: Certificate, trusting: Callable[..., TlsConfig]
) -> None:
    """The peer sees an orderly end of TLS; this side does not wait for its answer."""
    ends: Queue[bytes] = Queue()
    lost = threading.Event()

    def listen(tls: socket.socket) -> None:
        ends.put(tls.recv(10))
        lost.wait(30)

    with serve(over_tls(server_context(good), listen)) as server:
        async with connected(server, tls=trusting()) as (transport, protocol, _):
            transport.close()
            await asyncio.wait_for(protocol.until_lost(), 10)
            lost.set()
            assert (protocol.events, protocol.lost_because) == (["made", "lost"], None)
            # Without close_notify the server's ssl module raises SSLEOFError.
            assert await asyncio.to_thread(ends.get, timeout=20) == b""


async def test_can_be_aborted_at_once(good: Certificate, trusting: Callable[..., TlsConfig]) -> None:
    """Aborting right after the handshake is not an error on either event loop, and is reported as a loss."""
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    with serve(over_tls(server_context(good))) as server:
        async with connected(server, tls=trusting()) as (transport, protocol, _):
            transport.abort()
            transport.write(b"too late")
            await protocol.until_lost()
            transport.close()
    assert complaints == []


async def test_server_learns_the_end_of_the_handshake_in_silence(
    good: Certificate, trusting: Callable[..., TlsConfig]
) -> None:
    """The handshake is completed for the server, even if no data follows."""
    completed: Queue[str | None] = Queue()
    with serve(
        over_tls(server_context(good), lambda tls: completed.put(cast("ssl.SSLSocket", tls).version()))
    ) as server:
        async with connected(server, tls=trusting()):
            assert await asyncio.to_thread(completed.get, timeout=20) == "TLSv1.3"


async def test_reports_a_broken_record(good: Certificate, trusting: Callable[..., TlsConfig]) -> None:
    """Garbage within TLS is an error for the protocol, not an end of data."""

    def say_garbage(tls: socket.socket) -> None:
        tls.recv(5)
        with socket.socket(fileno=os.dup(tls.fileno())) as below:
            below.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
            keep_silent(below)

    with serve(over_tls(server_context(good), say_garbage)) as server:
        async with connected(server, tls=trusting()) as (transport, protocol, _):
            transport.write(b"speak")
            await protocol.until_lost()
            await asyncio.sleep(0.05)
            assert protocol.events == ["made", "lost"]
            assert isinstance(protocol.lost_because, SSL.Error)


async def test_shows_its_certificate_to_servers_that_want_one(
    ca: trustme.CA, good: Certificate, trusting: Callable[..., TlsConfig], write_certificate: Callable[..., Any]
) -> None:
    """With cert_file and key_file, the server can verify the client; without them, it ends the connection."""
    context = server_context(good)
    context.verify_mode = ssl.CERT_REQUIRED
    ca.configure_trust(context)
    files = write_certificate("client.test")
    own = {"cert_file": str(files.cert_file), "key_file": str(files.key_file)}
    with serve(over_tls(context, say(b"welcome"))) as server:
        async with connected(server, tls=trusting(**own)) as connection:
            assert await connection.protocol.until(7) == b"welcome"
        failure, _ = await refused(server.port, tls=trusting(max_version="TLS12"))
        assert failure.reason is Reason.TLS
        async with connected(server, tls=trusting()) as connection:  # TLS 1.3 reports it only after the handshake
            await connection.protocol.until_lost()
            assert isinstance(connection.protocol.lost_because, SSL.Error)


async def test_negotiates_the_application_protocol(good: Certificate, trusting: Callable[..., TlsConfig]) -> None:
    """The protocol that ALPN chose is available from the transport."""
    context = server_context(good)
    context.set_alpn_protocols(["h2", "http/1.1"])
    with serve(over_tls(context)) as server:
        for alpn, agreed in [(("http/1.1", "h2"), "h2"), (("http/1.1",), "http/1.1"), ((), None)]:
            async with connected(server, tls=trusting(), alpn=alpn) as (transport, _, facts):
                assert transport.get_extra_info("alpn_protocol") == agreed
                assert transport.get_extra_info("peername")[0] == facts.address
