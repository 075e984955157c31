"""Choose between HTTP/1.1 and HTTP/2 by what the TLS handshake agreed on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from exporter.http.http1 import Http1Protocol

if TYPE_CHECKING:
    from exporter.http.http2 import Http2Protocol
    from exporter.http.http2_session import Http2Session
    from exporter.http.message import Exchange, WireRequest


class Negotiation(asyncio.Protocol):
    """Hands over to the protocol negotiated in the handshake; lives as long as the exchange."""

    def __init__(self, request: WireRequest, exchange: Exchange) -> None:
        self._request = request
        self._exchange = exchange
        self._agreed: Http1Protocol | Http2Protocol | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Install the protocol before any data can arrive."""
        if transport.get_extra_info("alpn_protocol") == "h2":
            from exporter.http.http2 import Http2Protocol  # noqa: PLC0415 - loaded only when HTTP/2 is used

            self._agreed = Http2Protocol(self._request, self._exchange)
        else:
            self._agreed = Http1Protocol(self._request, self._exchange)
        transport.set_protocol(self._agreed)

    @property
    def session(self) -> Http2Session | None:
        """The state of the connection that outlives the exchange, if any."""
        return None if self._agreed is None else self._agreed.session

    async def exchange(self, transport: asyncio.Transport) -> None:
        """Perform the exchange with the negotiated protocol.

        Raises:
            CheckFailed: As its `exchange` does.
        """
        if self._agreed is not None:
            await self._agreed.exchange(transport)


def next_protocol(
    request: WireRequest, exchange: Exchange, session: Http2Session | None
) -> Http1Protocol | Http2Protocol:
    """Return the protocol that continues a session."""
    if session is None:
        return Http1Protocol(request, exchange)
    from exporter.http.http2 import Http2Protocol  # noqa: PLC0415 - already loaded when there is a session

    return Http2Protocol(request, exchange, session)
