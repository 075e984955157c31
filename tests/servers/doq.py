"""A name server that speaks DNS over QUIC and answers each query with what its test says."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import dns.message
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.asyncio.server import QuicServer
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import StreamDataReceived
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.servers.dns import answer
from tests.servers.http3 import on_a_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aioquic.quic.connection import QuicConnection
    from aioquic.quic.events import QuicEvent

    from tests.servers.certificates import Certificate

    Step = Callable[[QuicConnection, int, bytes], None]
    """What is done with a query: the connection, the stream, and the message that would answer it."""


class DoqServer(NamedTuple):
    """A listening server; `received` grows with the bytes of every stream."""

    port: int
    received: list[bytes]

    @property
    def server(self) -> str:
        """Address and port, as in a check's `server`."""
        return f"127.0.0.1:{self.port}"


def framed(message: bytes) -> bytes:
    """A message after its length."""
    return len(message).to_bytes(2) + message


def say(quic: QuicConnection, stream: int, message: bytes) -> None:
    """Answer the query correctly."""
    quic.send_stream_data(stream, framed(message), end_stream=True)


@contextmanager
def run_doq_server(certificate: Certificate, step: Step = say, alpn: str = "doq") -> Iterator[DoqServer]:
    """Serve on 127.0.0.1 for the duration of the block.

    Args:
        certificate: The certificate it presents.
        step: What it does with a query.
        alpn: The protocol it speaks by its own account.
    """
    own, *chain = x509.load_pem_x509_certificates(certificate.chain)
    configuration = QuicConfiguration(
        is_client=False,
        alpn_protocols=[alpn],
        certificate=own,
        certificate_chain=chain,
        private_key=load_pem_private_key(certificate.key, None),
    )
    received: list[bytes] = []

    class Connection(QuicConnectionProtocol):
        def quic_event_received(self, event: QuicEvent) -> None:
            if isinstance(event, StreamDataReceived) and event.end_stream:
                received.append(event.data)
                query = dns.message.from_wire(event.data[2:])
                step(self._quic, event.stream_id, answer(query).to_wire(max_size=65535))
                self.transmit()

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        with on_a_thread(listener, lambda: QuicServer(configuration=configuration, create_protocol=Connection)):
            yield DoqServer(listener.getsockname()[1], received)
