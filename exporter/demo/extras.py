"""Targets and checks of the demo whose types need an extra: shown where it is installed."""

from __future__ import annotations

import asyncio
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

from anyio import to_thread

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter
    from collections.abc import Awaitable, Callable

_READ_BYTES = 16384

WEBSOCKET_CHECK = """
  - name: live-updates
    type: websocket
    target: ws://$websocket/
    labels: {team: web}
    expect:
      - close_code: 1000
"""
SSH_CHECK = """
  - name: bastion
    type: ssh
    target: $ssh
    expect:
      - host_key_algorithm: ssh-ed25519
      - ciphers: {none_of: [3des-cbc]}
        severity: warning
"""


class Listening(NamedTuple):
    """A running target: its port, and what closes it."""

    port: int
    close: Callable[[], None]


class Extra(NamedTuple):
    """A target whose type needs an extra.

    Attributes:
        name: The name of its address in the text.
        library: The library of the extra.
        check: The text of its check.
        listen: Starts the target on an address of this host and a free port.
    """

    name: str
    library: str
    check: str
    listen: Callable[[str], Awaitable[Listening]]

    @property
    def is_installed(self) -> bool:
        """Whether the extra is installed."""
        return find_spec(self.library) is not None


async def _listen_websocket(host: str) -> Listening:
    server = await asyncio.start_server(_serve_websocket, host, 0)
    return Listening(server.sockets[0].getsockname()[1], server.close)


async def _serve_websocket(reader: StreamReader, writer: StreamWriter) -> None:
    """Accept one WebSocket and answer its closing handshake."""
    from wsproto import ConnectionType, WSConnection  # noqa: PLC0415 - of the extra `websocket`
    from wsproto.events import AcceptConnection, CloseConnection, Request  # noqa: PLC0415
    from wsproto.utilities import ProtocolError  # noqa: PLC0415

    connection = WSConnection(ConnectionType.SERVER)
    try:
        async with asyncio.timeout(5):
            while data := await reader.read(_READ_BYTES):
                connection.receive_data(data)
                for event in connection.events():
                    if isinstance(event, Request):
                        writer.write(connection.send(AcceptConnection()))
                    elif isinstance(event, CloseConnection):
                        writer.write(connection.send(event.response()))
                await writer.drain()
    except (OSError, ProtocolError, asyncio.CancelledError):
        pass  # a peer that leaves, falls silent or talks nonsense does not matter to the demo
    finally:
        writer.close()


async def _listen_ssh(host: str) -> Listening:
    # Importing it runs a program, which would block the loop.
    asyncssh = await to_thread.run_sync(import_module, "asyncssh")
    key = asyncssh.generate_private_key("ssh-ed25519")
    acceptor = await asyncssh.listen(host, 0, server_host_keys=[key], config=None, login_timeout=5)
    return Listening(acceptor.get_port(), acceptor.close)


EXTRAS = (
    Extra("websocket", "wsproto", WEBSOCKET_CHECK, _listen_websocket),
    Extra("ssh", "asyncssh", SSH_CHECK, _listen_ssh),
)
