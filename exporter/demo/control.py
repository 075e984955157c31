"""The demo's control ports, which answer PING with PONG: over datagrams and over a Unix socket."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import cast

_QUESTION, _ANSWER = b"PING", b"PONG\n"


class ControlDatagrams(asyncio.DatagramProtocol):
    """Answers datagrams; lives as long as the demo."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what answers are sent with."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer the question and ignore everything else."""
        if data.strip() == _QUESTION:
            self._transport.sendto(_ANSWER, addr)


async def serve_control(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one question on a connection."""
    with suppress(OSError, ValueError):  # a peer that leaves, falls silent or does not end its line
        async with asyncio.timeout(5):
            if (await reader.readline()).strip() == _QUESTION:
                writer.write(_ANSWER)
            await writer.drain()
    writer.close()
