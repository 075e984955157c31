"""Check failures for the end of a QUIC connection. Sources: RFC 9000 section 20, RFC 9001 section 4.8."""

from __future__ import annotations

from hmac import compare_digest
from typing import TYPE_CHECKING

from aioquic.quic.connection import QuicConnectionState
from aioquic.quic.packet import QuicErrorCode
from aioquic.tls import AlertDescription

from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net.errors import connection_failure
from exporter.net.quic.application import code_name

if TYPE_CHECKING:
    from aioquic.quic.connection import QuicConnection
    from aioquic.quic.events import ConnectionTerminated

    from exporter.net.quic.application import QuicApplication

_ALERTS = range(QuicErrorCode.CRYPTO_ERROR, QuicErrorCode.CRYPTO_ERROR + 0x100)

_NO_PROTOCOL = QuicErrorCode.CRYPTO_ERROR + AlertDescription.no_application_protocol

_SHOWN_CHARACTERS = 100
_STATELESS_RESET_BYTES = 21  # at least, RFC 9000 section 10.3


def failure_at_end(quic: QuicConnection, doing: str, application: QuicApplication) -> CheckFailed | None:
    """Return why a connection has ended; None while it has not.

    Args:
        quic: The connection.
        doing: What was in progress, completing "closed the connection while ...".
        application: What is spoken over the connection.
    """
    end, state = quic._close_event, quic._state  # noqa: SLF001 - aioquic has no public way to them
    if end is None:
        return None
    if state is QuicConnectionState.DRAINING:
        return _closed_by_peer(end, doing, application)
    if state is QuicConnectionState.TERMINATED:
        return CheckFailed(Reason.PROTOCOL, "the server supports no version of QUIC that the exporter supports")
    return _closed_by_us(end, application)


def socket_failure(error: OSError, doing: str, *, answered: bool) -> CheckFailed:
    """Return the failure for an error of the socket; a port that refuses after it has answered was closed."""
    failure = connection_failure(error, doing)
    if failure.reason is Reason.CONNECT_REFUSED and answered:
        return CheckFailed(Reason.CONNECTION_RESET, f"the server's port was closed while {doing}")
    return failure


def is_stateless_reset(quic: QuicConnection, datagram: bytes) -> bool:
    """Whether a datagram is a stateless reset, which aioquic does not detect (RFC 9000 section 10.3.1)."""
    token = quic._peer_cid.stateless_reset_token  # noqa: SLF001 - aioquic has no public way to it
    return bool(token) and len(datagram) >= _STATELESS_RESET_BYTES and compare_digest(datagram[-len(token) :], token)


def _closed_by_peer(end: ConnectionTerminated, doing: str, application: QuicApplication) -> CheckFailed:
    """Return why the peer closed the connection."""
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


def _closed_by_us(end: ConnectionTerminated, application: QuicApplication) -> CheckFailed:
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
