"""What a QUIC handshake shows: that the peer answers, its certificates, whether they are right, and the facts."""

from __future__ import annotations

import ssl
from contextlib import suppress
from typing import TYPE_CHECKING

from aioquic.buffer import Buffer  # type: ignore[attr-defined]  # exported implicitly
from aioquic.quic.packet import pull_quic_header
from cryptography.hazmat.primitives.serialization import Encoding

from exporter.net.connection_facts import TlsFacts
from exporter.net.tls.certificate_facts import MAX_PRESENTED, NOTHING_PRESENTED, Presented
from exporter.net.tls.handshake import handshake_failure, too_many_certificates

if TYPE_CHECKING:
    from collections.abc import Callable

    from aioquic.quic.connection import QuicConnection

    from exporter.errors import CheckFailed
    from exporter.net.tls.verification import VerifiedChain

    Verify = Callable[[Presented], VerifiedChain]


def comes_from_peer(quic: QuicConnection, datagram: bytes) -> bool:
    """Whether a packet has this connection's ID, which only the peer can know."""
    with suppress(ValueError):
        header = pull_quic_header(Buffer(data=datagram), host_cid_length=len(quic.host_cid))
        return header.destination_cid == quic.host_cid
    return False


def judge_handshake(
    quic: QuicConnection, server_name: str, verify: Verify | None
) -> tuple[TlsFacts | None, CheckFailed | None]:
    """Return the facts of a complete handshake, and why its certificates are refused; None when they are not.

    Args:
        quic: The connection.
        server_name: Name or IP address, for failure details.
        verify: Returns the verified chain or raises ssl.SSLError; None accepts any certificate.
    """
    presented = presented_certificates(quic)
    verified, failure = None, too_many_certificates(presented, server_name)
    if failure is None and verify is not None:
        try:
            verified = verify(presented)
        except ssl.SSLError as error:
            failure = handshake_failure(error, handshake_facts(quic, presented, None), server_name, b"")
    return handshake_facts(quic, presented, verified), failure


def presented_certificates(quic: QuicConnection) -> Presented:
    """Return the certificates that the peer sent, even after a handshake that failed because of them."""
    tls = quic.tls
    own, others = tls._peer_certificate, tls._peer_certificate_chain  # noqa: SLF001 - aioquic has no public way to them
    if own is None:
        return NOTHING_PRESENTED
    count = 1 + len(others)
    certificates = (own, *others) if count <= MAX_PRESENTED else (own,)
    return Presented.read([certificate.public_bytes(Encoding.DER) for certificate in certificates], count)


def handshake_facts(quic: QuicConnection, presented: Presented, verified: VerifiedChain | None) -> TlsFacts | None:
    """Return what is known about a handshake, complete or not; None when the peer chose nothing.

    Args:
        quic: The connection, which must have been started.
        presented: The certificates received.
        verified: The verified chain; None when nothing was verified.
    """
    schedule = quic.tls.key_schedule
    if schedule is None:
        return None
    return TlsFacts(
        version="TLS 1.3",
        cipher=f"TLS_{schedule.cipher_suite.name}",
        verified=verified is not None,
        presented=presented.facts,
        chain_expiry_timestamp_seconds=None if verified is None else verified.valid_until_seconds,
    )
