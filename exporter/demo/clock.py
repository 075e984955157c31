"""The demo's time server: it answers with the time of this host."""

from __future__ import annotations

import asyncio
import time
from typing import cast

from exporter.ntp import build_answer


class DemoTimeServer(asyncio.DatagramProtocol):
    """Answers every request for the time; lives as long as the demo."""

    def __init__(self) -> None:
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport for sending answers."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer one request; anything else is dropped."""
        answer = build_answer(data, time.time_ns())
        if answer is not None and self._transport is not None:
            self._transport.sendto(answer, addr)
