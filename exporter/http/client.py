"""Send httpx requests over connections made and measured by `Network`.

The fast path is `ProbeTransport.exchange` with a WireRequest prepared in advance: httpx's client costs more processor
time than everything else a check does. The same transport also works with `httpx.AsyncClient`.
"""

from __future__ import annotations

from http.cookiejar import CookieJar
from typing import TYPE_CHECKING

import httpx

from exporter.attempt import Attempt
from exporter.errors import CheckFailed
from exporter.http.http1 import Http1Protocol
from exporter.http.httpx_client import HttpxSender
from exporter.http.message import USER_AGENT, Exchange, RequestOptions
from exporter.http.negotiation import Negotiation, next_protocol
from exporter.http.pool import EstablishedFacts, IdleConnection, connection_key
from exporter.http.response import decode_later
from exporter.http.wire import FRAMING, wire_request
from exporter.model import Reason
from exporter.net.connection_facts import ConnectionFacts
from exporter.settings import NetworkSettings, TlsConfig

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from exporter.http.message import Sender, WireRequest
    from exporter.http.shared import HttpShared
    from exporter.net.tls.context import TlsContext

OPTIONS = "exporter.options"
"""Key of a request's RequestOptions in `httpx.Request.extensions`."""

EXCHANGE = "exporter.exchange"
"""Key of the Exchange in `httpx.Response.extensions`."""

_REPEATABLE = frozenset(("GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"))
"""Methods that may be repeated when it is unknown whether the server has acted (RFC 9110 section 9.2.2). Other requests
always use a new connection, which cannot have been closed unnoticed."""


class ProbeTransport(httpx.AsyncBaseTransport):
    """Performs HTTP exchanges over connections of a network; lives as long as its batch.

    Every request uses a new connection, so that every run measures all phases, unless its options keep connections.
    """

    def __init__(self, shared: HttpShared, attempts: Callable[[], Attempt] = Attempt) -> None:
        """Prepare to make connections; none is made yet.

        Args:
            shared: Makes the connections, keeps and counts them.
            attempts: Returns the attempt that a request of httpx's client belongs to.
        """
        self._shared = shared
        self._attempts = attempts

    async def exchange(self, request: WireRequest, exchange: Exchange) -> None:
        """Connect, send the request, receive the answer, and close or keep the connection.

        Args:
            request: What to send, and where.
            exchange: Filled as the exchange progresses, whatever the outcome.

        Raises:
            CheckFailed: As `Network.connect` and `Http1Protocol.exchange` do, or `exchange_over_http3`.
        """
        if request.options.http3 and request.secure:
            from exporter.http.http3 import exchange_over_http3  # noqa: PLC0415 - it needs the extra `http3`

            await exchange_over_http3(self._shared, request, exchange)
        elif request.options.keep_alive:
            await self._exchange_kept_alive(request, exchange)
        else:
            await self._exchange_over_new_connection(request, exchange)

    async def _exchange_over_new_connection(
        self, request: WireRequest, exchange: Exchange
    ) -> tuple[asyncio.Transport, Http1Protocol | Negotiation]:
        """Exchange over a new connection; return it and its protocol."""
        recipe, counts = request.connect.tls, self._shared.counts
        protocol: Http1Protocol | Negotiation
        if recipe is not None and "h2" in recipe.alpn:
            protocol = Negotiation(request, exchange)
        else:
            protocol = Http1Protocol(request, exchange)
        transport = await self._shared.network.connect(protocol, request.endpoint, request.connect, exchange.connection)
        counts.opened += 1
        counts.requests += 1
        await protocol.exchange(transport)
        return transport, protocol

    async def _exchange_kept_alive(self, request: WireRequest, exchange: Exchange) -> None:
        """Exchange over an idle connection or a new one, and keep it if it can carry another exchange."""
        recipe, context = request.connect.tls, None
        if recipe is not None:
            # Determined before connecting, so that a connection never counts as made from files that changed since.
            context = await self._shared.network.context(recipe, exchange.attempt)
        if not await self._reuse(request, exchange, context):
            transport, protocol = await self._exchange_over_new_connection(request, exchange)
            established = EstablishedFacts.of(exchange.connection)
            await self._keep(IdleConnection(connection_key(request), transport, established, context, protocol.session))

    async def _reuse(self, request: WireRequest, exchange: Exchange, context: TlsContext | None) -> bool:
        """Exchange over an existing connection; return False when there is none or it broke before the answer began.

        In that case the server has most likely just closed it, and the request may be repeated (RFC 9112 section 9.3.1,
        RFC 9113 section 8.7).
        """
        idle = None
        if request.method in _REPEATABLE and exchange.attempt.allowed_targets is None:
            idle = self._shared.pool.take(connection_key(request), context)
        if idle is None:
            return False
        attempt, counts = exchange.attempt, self._shared.counts
        exchange.connection = idle.established.reused(attempt)
        protocol = next_protocol(request, exchange, idle.session)
        idle.transport.set_protocol(protocol)
        attempt.note("reused a connection", address=exchange.connection.address)
        counts.requests += 1
        counts.reused += 1
        try:
            await protocol.exchange(idle.transport)
        except CheckFailed as failure:
            if protocol.answer_began:
                raise
            attempt.note("the reused connection broke", why=failure.detail)
            exchange.connection = ConnectionFacts(attempt)
            return False
        await self._keep(idle)
        return True

    async def _keep(self, idle: IdleConnection) -> None:
        if not idle.transport.is_closing():
            await self._shared.pool.keep(idle)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Handle a request from httpx: options are in the request's extensions, the exchange in the response's.

        The body is decoded, within its limit; the fields that described its coding are dropped from the response but
        stay in the exchange.

        Raises:
            CheckFailed: As `exchange` does, and with reason `decode` when the body cannot be decoded.
        """
        await request.aread()
        options = request.extensions.get(OPTIONS) or RequestOptions(network=NetworkSettings(), tls=TlsConfig())
        wire = wire_request(request, options)
        exchange = Exchange(self._attempts(), secure=wire.secure)
        await self.exchange(wire, exchange)
        await decode_later(exchange)
        if exchange.body_fault:
            raise CheckFailed(Reason.DECODE, exchange.body_fault)
        headers = [field for field in exchange.headers if field[0] not in (b"content-encoding", *FRAMING)]
        extensions = {EXCHANGE: exchange, "http_version": f"HTTP/{exchange.http_version}".encode()}
        return httpx.Response(exchange.status, headers=headers, content=exchange.body, extensions=extensions)


class _NoCookies(CookieJar):
    """Keeps no cookies and does not parse them, because the library fails to parse unusual ones."""

    def extract_cookies(self, response: object, request: object) -> None:
        """Keep nothing."""

    def add_cookie_header(self, request: object) -> None:
        """Add nothing."""


class ProbeClient(httpx.AsyncClient):
    """An httpx client over a ProbeTransport; it keeps no cookies, follows no redirects and ignores the environment.

    A batch shares one, and closes it.

    Attributes:
        transport: The transport, for sending a WireRequest directly.
    """

    def __init__(self, shared: HttpShared, attempts: Callable[[], Attempt] = Attempt) -> None:
        """Create the client.

        Args:
            shared: Makes the connections, keeps and counts them.
            attempts: Returns the attempt that a request belongs to: `current_attempt` in a runner.
        """
        self.transport = ProbeTransport(shared, attempts)
        super().__init__(
            transport=self.transport,
            trust_env=False,
            follow_redirects=False,
            timeout=None,
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
            cookies=_NoCookies(),
        )


def sender_of(client: httpx.AsyncClient) -> Sender:
    """Return the fastest way to send requests that a client has: its transport if that is a ProbeTransport."""
    return client.transport if isinstance(client, ProbeClient) else HttpxSender(client)
