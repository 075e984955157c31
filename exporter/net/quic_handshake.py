"""What the handshake within QUIC tells: its facts, as any TLS handshake has them, and the certificates presented."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding

from exporter.net.certificates import TlsFacts, certificate_facts, earliest_expiry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aioquic.quic.connection import QuicConnection
    from cryptography.x509 import Certificate


def presented_certificates(quic: QuicConnection) -> list[Certificate]:
    """Give the certificates that the peer sent, its own first; also after a handshake that failed because of them."""
    tls = quic.tls
    own, others = tls._peer_certificate, tls._peer_certificate_chain  # noqa: SLF001 - aioquic has no public way to them
    return [] if own is None else [own, *others]


def handshake_facts(quic: QuicConnection, verified_chain: Sequence[bytes]) -> TlsFacts | None:
    """Give what is known of a handshake, however far it came; None when the peer chose nothing.

    Args:
        quic: The connection; it must have begun.
        verified_chain: The verified chain as DER; empty when nothing was verified.
    """
    schedule = quic.tls.key_schedule
    if schedule is None:
        return None
    return TlsFacts(
        version="TLS 1.3",
        cipher=f"TLS_{schedule.cipher_suite.name}",
        verified=bool(verified_chain),
        presented=tuple([certificate_facts(one.public_bytes(Encoding.DER)) for one in presented_certificates(quic)]),
        chain_expiry_timestamp_seconds=earliest_expiry(tuple([certificate_facts(der) for der in verified_chain])),
    )
