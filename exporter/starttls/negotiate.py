"""Drives a negotiation over a connection."""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING

from exporter.starttls import SCRIPTS
from exporter.starttls.script import Exactly, Line, Names, Send, Until, shown

if TYPE_CHECKING:
    from exporter.attempt import Attempt
    from exporter.net.stream import Stream
    from exporter.starttls import StartTlsProtocol
    from exporter.starttls.script import Ask

_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,250}[A-Za-z0-9])?")


async def negotiate(protocol: StartTlsProtocol, stream: Stream, server: str, attempt: Attempt) -> None:
    """Ask the peer to change to TLS; afterwards it waits for the handshake.

    Args:
        protocol: The protocol it speaks.
        stream: The plain connection, of which nothing has been read.
        server: What to call the server, in protocols that require that.
        attempt: Where the negotiation is logged.

    Raises:
        CheckFailed: With reason `starttls` when the peer does not offer TLS or refuses it; with `protocol` when it
            refuses the connection or does not follow its protocol.
    """
    script = SCRIPTS[protocol](Names(client_name(), server))
    answer = b""
    try:
        ask = next(script)
        while True:
            answer = await _perform(ask, stream)
            if answer:
                attempt.note(f"{protocol} read", line=shown(answer))
            ask = script.send(answer)
    except StopIteration:
        attempt.note(f"{protocol} is ready for TLS")


async def _perform(ask: Ask, stream: Stream) -> bytes:
    match ask:
        case Send(data):
            stream.write(data)
            await stream.drain()
            return b""
        case Line(limit_bytes):
            return await stream.read_line(limit_bytes)
        case Exactly(size):
            return await stream.read_exactly(size)
        case Until(separator, limit_bytes):
            return await stream.read_until(separator, limit_bytes)


def client_name() -> str:
    """Return the name of this host in the form that protocols allow; localhost when it has no such name."""
    name = socket.gethostname()
    return name if _HOST_NAME.fullmatch(name) else "localhost"
