"""Servers that ask for a client certificate after a request, by renegotiation over TLS 1.2: declined, and explained."""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from OpenSSL import SSL

from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.settings import TlsConfig
from tests.net.connecting import LOOP_NAMES, LOOPS, connected
from tests.servers.tcp import serve

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.servers.nginx import CertificateFiles

RESETS = struct.pack("ii", 1, 0)
"""SO_LINGER of a socket whose end is a reset."""


@pytest.fixture(params=LOOPS, ids=LOOP_NAMES)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


def insist(plain: socket.socket, connection: SSL.Connection) -> None:
    """End the connection with an alert."""
    with suppress(SSL.Error):
        while True:
            connection.recv(1000)


def reset(plain: socket.socket, connection: SSL.Connection) -> None:
    """Reset the connection without having read the client's answer."""
    plain.recv(1, socket.MSG_PEEK)
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESETS)


def asking_late(certificate: CertificateFiles, then: Callable[..., None]) -> Callable[..., None]:
    """Handle a connection: read a request, ask for a certificate, and do what a server does when that fails."""
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.use_certificate_chain_file(str(certificate.cert_file))
    context.use_privatekey_file(str(certificate.key_file))
    context.set_max_proto_version(SSL.TLS1_2_VERSION)
    context.set_session_id(b"tests")

    def handle(plain: socket.socket) -> None:
        plain.settimeout(None)
        connection = SSL.Connection(context, plain)
        connection.set_accept_state()
        connection.do_handshake()
        connection.recv(1000)
        connection.set_verify(SSL.VERIFY_PEER, lambda *_: True)
        connection.renegotiate()
        connection.do_handshake()
        then(plain, connection)

    return handle


@pytest.mark.parametrize("then", [insist, reset])
async def test_a_declined_renegotiation_explains_the_end_of_the_connection(
    certificate: CertificateFiles, ca_file: Path, then: Callable[..., None]
) -> None:
    """The failure is not taken for one of the network or of the first handshake."""
    with serve(asking_late(certificate, then)) as server:
        async with connected(server, tls=TlsConfig(ca_file=str(ca_file))) as connection:
            connection.transport.write(b"request")
            await connection.protocol.until_lost()
    failure = connection.protocol.lost_because
    assert isinstance(failure, CheckFailed)
    why = "127.0.0.1 ended the connection because it could not renegotiate, which is not supported"
    detail = f"{why}; perhaps it asks for client certificates only after a request"
    assert (failure.reason, failure.detail) == (Reason.TLS, detail)
