"""Small TCP and TLS servers, each with one behaviour: talking, or failing in a way that servers fail.

A behaviour is a function that gets the accepted connection; the connection is closed when it returns. Each connection
has its own thread, so behaviours may block, and tests of any kind can use these servers.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

    Behaviour = Callable[[socket.socket], None]

_PATIENCE_SECONDS = 30.0
"""The longest a behaviour waits for its peer, so that no thread outlives a test run."""


class TcpServer:
    """A listening server.

    Attributes:
        host: The address it listens on.
        port: Its port.
        peers: Address of every connection accepted, in order.
        received: The bytes that reading behaviours have received, in order.
    """

    def __init__(self, listener: socket.socket) -> None:
        self.host, self.port = listener.getsockname()[:2]
        self.peers: list[str] = []
        self.received: list[bytes] = []

    @property
    def target(self) -> str:
        """Host and port, as in a check's `target`."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@contextmanager
def serve(behave: Behaviour, host: str = "127.0.0.1", port: int = 0) -> Iterator[TcpServer]:
    """Accept connections for the duration of the block and handle each with the behaviour."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family, backlog=1024) as listener:
        server = TcpServer(listener)
        thread = threading.Thread(target=accept_all, args=(listener, behave, server.peers), daemon=True)
        thread.start()
        yield server
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def accept_all(listener: socket.socket, behave: Behaviour, peers: list[str] | None = None) -> None:
    """Handle each connection in a thread, until the listener is shut down.

    Args:
        listener: Listens already.
        behave: The behaviour.
        peers: If given, the address of every connection is added to it.
    """
    while True:
        try:
            connection, peer = listener.accept()
        except OSError:
            return
        if peers is not None:
            peers.append(peer[0])
        connection.settimeout(_PATIENCE_SECONDS)
        threading.Thread(target=_treat, args=(connection, behave), daemon=True).start()


def _treat(connection: socket.socket, behave: Behaviour) -> None:
    with contextlib.suppress(OSError), connection:
        behave(connection)


@contextmanager
def closed_port(host: str = "127.0.0.1") -> Iterator[int]:
    """Reserve a port on which nothing listens."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as holder:
        holder.bind((host, 0))
        yield holder.getsockname()[1]


@contextmanager
def black_hole(host: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """Yield a port that answers no connection attempt, because its accept queue is full."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket(family))
        listener.bind((host, port))
        listener.listen(0)
        for _ in range(3):
            filler = stack.enter_context(socket.socket(family))
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        select.select([listener], [], [], _PATIENCE_SECONDS)  # the one connection that is queued fills the queue
        yield listener.getsockname()[1]


@contextmanager
def deaf_port() -> Iterator[int]:
    """Yield a port that accepts connections and never sends anything, without using a thread."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        yield listener.getsockname()[1]


def keep_silent(connection: socket.socket) -> None:
    """Send nothing until the peer is gone."""
    while connection.recv(65536):
        pass


def close(connection: socket.socket) -> None:
    """Close at once (FIN)."""


def reset(connection: socket.socket) -> None:
    """Reset the connection (RST)."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def reset_when_spoken_to(connection: socket.socket) -> None:
    """Reset the connection when the peer has sent something."""
    connection.recv(65536)
    reset(connection)


def close_when_spoken_to(connection: socket.socket) -> None:
    """Close when the peer has sent something."""
    connection.recv(65536)


def say(words: bytes) -> Behaviour:
    """Send something, then read until the peer is gone."""

    def behave(connection: socket.socket) -> None:
        connection.sendall(words)
        keep_silent(connection)

    return behave


def say_and_close(words: bytes) -> Behaviour:
    """Send something and close."""
    return lambda connection: connection.sendall(words)


def answer(words: bytes) -> Behaviour:
    """Reply to the peer's first bytes, then read until the peer is gone."""

    def behave(connection: socket.socket) -> None:
        connection.recv(65536)
        say(words)(connection)

    return behave


def drip(words: bytes, interval_seconds: float) -> Behaviour:
    """Send something one byte at a time."""

    def behave(connection: socket.socket) -> None:
        send_at_once(connection)
        for octet in words:
            connection.sendall(bytes([octet]))
            time.sleep(interval_seconds)
        keep_silent(connection)

    return behave


def send_at_once(connection: socket.socket) -> None:
    """Let small pieces leave one by one; a Unix socket does that by itself."""
    if connection.family != socket.AF_UNIX:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def echo(connection: socket.socket) -> None:
    """Send back what the peer sends."""
    while data := connection.recv(65536):
        connection.sendall(data)


def over_tls(context: ssl.SSLContext, behave: Behaviour = keep_silent, *, close_notify: bool = True) -> Behaviour:
    """Do the TLS handshake, then behave over TLS; closes with close_notify by default."""

    def behave_over_tls(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as tls:
            behave(tls)
            if close_notify:
                tls.unwrap()

    return behave_over_tls


def relay_slowly(port: int, chunk_bytes: int = 1) -> Behaviour:
    """Relay to and from a server on 127.0.0.1, its replies in small pieces."""

    def behave(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with socket.create_connection(("127.0.0.1", port)) as upstream:
            threading.Thread(target=_pump, args=(connection, upstream), daemon=True).start()
            while data := upstream.recv(65536):
                for start in range(0, len(data), chunk_bytes):
                    connection.sendall(data[start : start + chunk_bytes])

    return behave


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
