"""A server that negotiates HTTP/3 and then follows its script, correct or not, whatever the request.

QUIC and TLS are aioquic's. What is sent over HTTP/3 is built here, so that it can be wrong.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.asyncio.server import QuicServer
from aioquic.buffer import encode_uint_var
from aioquic.h3.connection import FrameType, H3Connection, StreamType, encode_frame
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ProtocolNegotiated
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pylsqpack import Encoder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from aioquic.quic.connection import QuicConnection
    from aioquic.quic.events import QuicEvent

    from tests.servers.certificates import Certificate

    Step = Callable[["Connection"], None]


class Request(NamedTuple):
    """One request as received, its pseudo-headers among the fields."""

    fields: dict[str, str]
    body: bytes


class Http3Server:
    """A listening server.

    Attributes:
        host: The address it listens on.
        port: Its port.
        requests: The requests it received, in order.
        peers: Address and certificate of each client, in order.
    """

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self.requests: list[Request] = []
        self.peers: list[tuple[str, x509.Certificate | None]] = []

    def url(self, path: str = "/", host: str | None = None) -> str:
        """The URL of a path, with another host name if one is given."""
        shown = host or (f"[{self.host}]" if ":" in self.host else self.host)
        return f"https://{shown}:{self.port}{path}"


class Connection(QuicConnectionProtocol):
    """One connection, for steps to act on; `quic` is aioquic's, `stream` the request's."""

    def __init__(self, quic: QuicConnection, *, server: Http3Server, steps: Iterable[Step], at_head: bool) -> None:
        super().__init__(quic)
        self.quic = quic
        self.stream = 0
        self.server = server
        self._steps = steps
        self._at_head = at_head
        self._http: H3Connection | None = None
        self._request: dict[str, str] = {}
        self._body = b""

    @property
    def http(self) -> H3Connection:
        """Aioquic's connection, for steps that follow its rules."""
        assert self._http is not None
        return self._http

    def send_datagram(self, datagram: bytes) -> None:
        """Send a datagram that is not from QUIC."""
        assert self._transport is not None
        self._transport.sendto(datagram, self.quic.get_peer_address())

    def fall_silent(self) -> None:
        """Disappear for the client, as if the machine had been switched off."""
        self.datagram_received = lambda data, addr: None  # type: ignore[method-assign]  # nothing is received any more
        self.transmit = lambda: None  # type: ignore[method-assign]  # or sent

    def close_port(self) -> None:
        """Disappear for the client, as if the process had ended."""
        self.fall_silent()
        assert self._transport is not None
        self._transport.abort()

    def quic_event_received(self, event: QuicEvent) -> None:
        if isinstance(event, ProtocolNegotiated):
            self._http = H3Connection(self._quic)
        for found in self.http.handle_event(event) if self._http is not None else ():
            if isinstance(found, HeadersReceived):
                self.stream = found.stream_id
                self._request = {name.decode(): value.decode() for name, value in found.headers}
            elif isinstance(found, DataReceived):
                self._body += found.data
            else:
                continue
            if isinstance(found, HeadersReceived) if self._at_head else found.stream_ended:
                self._act()

    def _act(self) -> None:
        address = self.quic.get_peer_address()
        assert address is not None
        self.server.peers.append((address[0], self.quic.tls._peer_certificate))
        self.server.requests.append(Request(self._request, self._body))
        for step in self._steps:
            step(self)
        self.transmit()


def frame(kind: int, payload: bytes) -> bytes:
    """A frame as it is sent."""
    return encode_frame(kind, payload)


def head(status: str = "200", fields: Iterable[tuple[str, str]] = ()) -> bytes:
    """A HEADERS frame, encoded without the dynamic table."""
    return fields_frame([(":status", status), *fields])


def fields_frame(fields: Iterable[tuple[str, str]]) -> bytes:
    """A HEADERS frame of any fields."""
    _, block = Encoder().encode(0, [(name.encode(), value.encode()) for name, value in fields])
    return frame(FrameType.HEADERS, block)


def data(body: bytes) -> bytes:
    """A DATA frame."""
    return frame(FrameType.DATA, body)


def goaway(stream: int) -> bytes:
    """A GOAWAY frame, for the control stream."""
    return frame(FrameType.GOAWAY, encode_uint_var(stream))


def say(*sent: bytes, end: bool = True) -> Step:
    """Send bytes on the stream of the request, and end it."""
    return lambda connection: connection.quic.send_stream_data(connection.stream, b"".join(sent), end_stream=end)


def say_on_control_stream(sent: bytes) -> Step:
    """Send bytes on the control stream, after the settings."""
    return lambda connection: connection.quic.send_stream_data(3, sent)


def open_stream(kind: int, sent: bytes = b"", *, bidirectional: bool = False) -> Step:
    """Open a stream and send bytes on it; a unidirectional one begins with its kind."""

    def step(connection: Connection) -> None:
        stream = connection.quic.get_next_available_stream_id(is_unidirectional=not bidirectional)
        connection.quic.send_stream_data(stream, (b"" if bidirectional else encode_uint_var(kind)) + sent)

    return step


def push(sent: bytes) -> Step:
    """Open a push stream."""
    return open_stream(StreamType.PUSH, sent)


def reset(code: int) -> Step:
    """Reset the stream of the request."""
    return lambda connection: connection.quic.reset_stream(connection.stream, code)


def stop(code: int) -> Step:
    """Stop reading the request."""
    return lambda connection: connection.quic.stop_stream(connection.stream, code)


def transmit(connection: Connection) -> None:
    """Send what is queued, before a close drops it."""
    connection.transmit()


def close(code: int, phrase: str = "", *, frame_type: int | None = None) -> Step:
    """Close the connection; with a frame type by QUIC, else by HTTP/3."""
    return lambda connection: connection.quic.close(code, frame_type, phrase)


def reset_statelessly(connection: Connection) -> None:
    """Send a stateless reset, as if the connection had been forgotten (RFC 9000 section 10.3)."""
    connection.send_datagram(b"\x41" + os.urandom(40) + connection.quic._host_cids[0].stateless_reset_token)
    connection.fall_silent()


@contextmanager
def run_http3_server(
    certificate: Certificate,
    *steps: Step,
    host: str = "127.0.0.1",
    port: int = 0,
    at_head: bool = False,
    retry: bool = False,
    adjust: Callable[[QuicConnection], None] = lambda quic: None,
    **configuration: Any,
) -> Iterator[Http3Server]:
    """Serve for the duration of the block.

    Args:
        certificate: The certificate it presents.
        steps: The steps taken for every request, in order.
        host: Address to listen on.
        port: Port to listen on; a free one by default.
        at_head: Whether requests are answered before their body has arrived.
        retry: Whether clients have to prove their address first.
        adjust: Changes a connection before it begins.
        configuration: Options of QuicConfiguration.
    """
    own, *chain = x509.load_pem_x509_certificates(certificate.chain)
    key = load_pem_private_key(certificate.key, None)
    made = QuicConfiguration(
        is_client=False,
        **{"alpn_protocols": ["h3"], **configuration},
        certificate=own,
        certificate_chain=chain,
        private_key=key,
    )
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind((host, port))
        server = Http3Server(*listener.getsockname()[:2])

        def connection(quic: QuicConnection, stream_handler: object = None) -> Connection:
            adjust(quic)
            return Connection(quic, server=server, steps=steps, at_head=at_head)

        with on_a_thread(listener, lambda: QuicServer(configuration=made, create_protocol=connection, retry=retry)):
            yield server


@contextmanager
def run_datagram_server(answer: Callable[[bytes], Iterable[bytes]], host: str = "127.0.0.1") -> Iterator[Http3Server]:
    """Answer each datagram with others for the duration of the block."""

    class Answering(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self._transport = transport

        def datagram_received(self, received: bytes, peer: tuple[str, int]) -> None:
            for sent in answer(received):
                self._transport.sendto(sent, peer)  # type: ignore[attr-defined]  # it is a DatagramTransport

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind((host, 0))
        with on_a_thread(listener, Answering):
            yield Http3Server(*listener.getsockname())


@contextmanager
def lossy_relay(port: int, every: int) -> Iterator[int]:
    """Yield a port that relays datagrams between one client and a server on 127.0.0.1, and loses every n-th."""

    class Relay(asyncio.DatagramProtocol):
        def __init__(self) -> None:
            self._passed = 0
            self._client: tuple[str, int] | None = None

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self._transport = transport

        def datagram_received(self, received: bytes, peer: tuple[str, int]) -> None:
            if peer[1] != port:
                self._client = peer
            self._passed += 1
            if self._passed % every != 1:
                to = self._client if peer[1] == port else ("127.0.0.1", port)
                self._transport.sendto(received, to)  # type: ignore[attr-defined]  # it is a DatagramTransport

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        with on_a_thread(listener, Relay):
            yield listener.getsockname()[1]


@contextmanager
def closed_datagram_port(host: str = "127.0.0.1") -> Iterator[int]:
    """Yield a port that refuses datagrams: it belongs to a socket that is connected to another peer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind((host, 0))
        holder.connect(("127.255.255.1", 9))
        yield holder.getsockname()[1]


@contextmanager
def on_a_thread(listener: socket.socket, protocol: Callable[[], asyncio.DatagramProtocol]) -> Iterator[None]:
    """Run a protocol on a socket, with an event loop in a thread, for the duration of the block."""
    started, loop, done = threading.Event(), asyncio.new_event_loop(), asyncio.Event()

    async def run() -> None:
        transport, _ = await loop.create_datagram_endpoint(protocol, sock=listener)
        started.set()
        await done.wait()
        transport.abort()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()), daemon=True)
    thread.start()
    assert started.wait(20)
    try:
        yield
    finally:
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(done.set)
        thread.join(20)
        assert not thread.is_alive()
        loop.close()
