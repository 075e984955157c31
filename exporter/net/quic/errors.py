"""Check failures for the end of a QUIC connection. Sources: RFC 9000 section 20, RFC 9001 section 4.8."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aioquic.quic.packet import QuicErrorCode
from aioquic.tls import AlertDescription
from cryptography.hazmat.primitives.serialization import Encoding

from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net.connection_facts import TlsFacts
from exporter.net.quic.application import code_name
from exporter.net.tls.certificate_facts import MAX_PRESENTED, NOTHING_PRESENTED, Presented

if TYPE_CHECKING:
    from aioquic.quic.connection import QuicConnection
    from aioquic.quic.events import ConnectionTerminated

    from exporter.net.quic.application import QuicApplication
    from exporter.net.tls.verification import VerifiedChain

_ALERTS = range(QuicErrorCode.CRYPTO_ERROR, QuicErrorCode.CRYPTO_ERROR + 0x100)

_NO_PROTOCOL = QuicErrorCode.CRYPTO_ERROR + AlertDescription.no_application_protocol

_SHOWN_CHARACTERS = 100


def closed_by_peer(end: ConnectionTerminated, doing: str, application: QuicApplication) -> CheckFailed:
    """Return why the peer closed the connection.

    Args:
        end: Its CONNECTION_CLOSE frame.
        doing: What was in progress, completing "closed the connection while ...".
        application: What is spoken over the connection.
    """
    code, by_application = end.error_code, end.frame_type is None
    if not by_application and code == _NO_PROTOCOL:
        return _without(application)
    if not by_application and code in _ALERTS:
        return CheckFailed(Reason.TLS, f"the server refused the handshake with the alert {end_name(end, application)}")
    if not by_application and code == QuicErrorCode.CONNECTION_REFUSED:
        return CheckFailed(Reason.CONNECT_REFUSED, f"the server refused the connection{_phrase(end)}")
    return CheckFailed(
        Reason.PROTOCOL, f"the server closed the connection while {doing} ({end_name(end, application)}){_phrase(end)}"
    )


def closed_by_us(end: ConnectionTerminated, application: QuicApplication) -> CheckFailed:
    """Return which rule the peer broke when aioquic closed the connection."""
    if end.frame_type is None:
        return CheckFailed(
            Reason.PROTOCOL, f"the response breaks {application.name} ({end_name(end, application)}){_phrase(end)}"
        )
    if end.error_code == _NO_PROTOCOL:
        return _without(application)
    if end.error_code in _ALERTS:
        return CheckFailed(Reason.TLS, f"the server's handshake is wrong ({end_name(end, application)}){_phrase(end)}")
    return CheckFailed(Reason.PROTOCOL, f"the server breaks QUIC ({end_name(end, application)}){_phrase(end)}")


def end_name(end: ConnectionTerminated, application: QuicApplication) -> str:
    """Return the name of the error code of a connection's end."""
    if end.frame_type is None:
        return application.code_name(end.error_code)
    if end.error_code in _ALERTS:
        return code_name(AlertDescription, end.error_code - QuicErrorCode.CRYPTO_ERROR)
    return code_name(QuicErrorCode, end.error_code)


def _without(application: QuicApplication) -> CheckFailed:
    detail = f"the server does not speak {application.name}: it agreed on no application protocol"
    return CheckFailed(Reason.TLS, detail)


def _phrase(end: ConnectionTerminated) -> str:
    return f": {end.reason_phrase[:_SHOWN_CHARACTERS]}" if end.reason_phrase else ""


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
