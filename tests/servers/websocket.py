"""A WebSocket server made with the library websockets, and what it has seen."""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, basic_auth, serve

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Sequence

    from websockets.http11 import Request, Response

    Conversation = Callable[[ServerConnection], None]


class WebSocketServer(NamedTuple):
    """A running server.

    Attributes:
        port: Its port.
        requests: The requests of all handshakes, in order.
        closings: The code and reason with which each connection was closed by its client.
    """

    port: int
    requests: list[Request]
    closings: list[tuple[int, str]]

    @property
    def url(self) -> str:
        """URL of the server without TLS."""
        return f"ws://127.0.0.1:{self.port}/chat"


def echo(connection: ServerConnection) -> None:
    """Send back every message, text as text and bytes as bytes."""
    for message in connection:
        connection.send(message)


@contextmanager
def run_websocket(
    converse: Conversation = echo,
    *,
    subprotocols: Sequence[str] | None = None,
    context: ssl.SSLContext | None = None,
    credentials: tuple[str, str] | None = None,
) -> Iterator[WebSocketServer]:
    """Serve for the duration of the block.

    Args:
        converse: What is sent on an open connection, which is closed afterwards.
        subprotocols: What the server knows, preferred ones first.
        context: If given, serves over TLS with it.
        credentials: User name and password that are demanded.
    """
    requests: list[Request] = []
    closings: list[tuple[int, str]] = []

    def handle(connection: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            converse(connection)
        connection.close()
        if connection.close_code is not None:
            closings.append((connection.close_code, connection.close_reason or ""))

    def look_at(connection: ServerConnection, request: Request) -> Response | None:
        requests.append(request)
        return None if check is None else check(connection, request)

    check = None if credentials is None else basic_auth(credentials=credentials)
    with serve(
        handle,
        "127.0.0.1",
        0,
        ssl=context,
        subprotocols=subprotocols,  # type: ignore[arg-type] # names of a type of its own
        process_request=look_at,
    ) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield WebSocketServer(_port(server), requests, closings)
        server.shutdown()
        thread.join(5)


def _port(server: Server) -> int:
    port: int = server.socket.getsockname()[1]
    return port
