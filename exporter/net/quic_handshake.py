"""What the handshake within QUIC tells: its facts, as any TLS handshake has them, and the certificates presented."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding

from exporter.net.certificate_facts import MAX_PRESENTED, NOTHING_PRESENTED, Presented
from exporter.net.certificates import TlsFacts

if TYPE_CHECKING:
    from aioquic.quic.connection import QuicConnection

    from exporter.net.chain_verification import VerifiedChain


def presented_certificates(quic: QuicConnection) -> Presented:
    """Give the certificates that the peer sent; also after a handshake that failed because of them."""
    tls = quic.tls
    own, others = tls._peer_certificate, tls._peer_certificate_chain  # noqa: SLF001 - aioquic has no public way to them
    if own is None:
        return NOTHING_PRESENTED
    count = 1 + len(others)
    certificates = (own, *others) if count <= MAX_PRESENTED else (own,)
    return Presented.read([certificate.public_bytes(Encoding.DER) for certificate in certificates], count)


def handshake_facts(quic: QuicConnection, presented: Presented, verified: VerifiedChain | None) -> TlsFacts | None:
    """Give what is known of a handshake, however far it came; None when the peer chose nothing.

    Args:
        quic: The connection; it must have begun.
        presented: The certificates that came.
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
