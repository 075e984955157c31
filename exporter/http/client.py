"""Send httpx requests over connections made and measured by `Network`.

The fast path is `ProbeTransport.exchange` with a WireRequest prepared in advance: httpx's client costs more processor
time than everything else a check does. The same transport also works with `httpx.AsyncClient`.
"""

from __future__ import annotations

import asyncio
import re
from http.cookiejar import CookieJar
from typing import TYPE_CHECKING

import httpx

from exporter.attempt import current_attempt
from exporter.errors import CheckFailed
from exporter.http.content_coding import decode_later
from exporter.http.http1 import Http1Protocol
from exporter.http.httpx_client import exchange_by_foreign_client
from exporter.http.message import USER_AGENT, Exchange, RequestOptions, WireRequest
from exporter.http.pool import IdleConnection, connection_key
from exporter.http.url import effective_port
from exporter.model import Reason
from exporter.net.connection_facts import ConnectionFacts
from exporter.net.proxy.tunnel import basic_credentials
from exporter.settings import NetworkSettings, TlsConfig

if TYPE_CHECKING:
    from exporter.http.http2 import Http2Protocol
    from exporter.http.http2_session import Http2Session
    from exporter.http.shared import HttpShared
    from exporter.net.proxy.route import ProxyRoute
    from exporter.net.tls.context import TlsContext

OPTIONS = "exporter.options"
"""Key of a request's RequestOptions in `httpx.Request.extensions`."""

EXCHANGE = "exporter.exchange"
"""Key of the Exchange in `httpx.Response.extensions`."""

_FRAMING = frozenset((b"connection", b"keep-alive", b"transfer-encoding", b"content-length"))
_WITH_CONTENT = frozenset(("POST", "PUT", "PATCH"))  # RFC 9110 section 8.6: these declare an empty body too
_LINE_BREAKING = re.compile(rb"[\x00\r\n]")
_ZONE = re.compile(rb"%[^\]]*\]")
"""The zone of an address, which means nothing to other hosts (RFC 6874 section 4)."""

_REPEATABLE = frozenset(("GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"))
"""Methods that may be repeated when it is unknown whether the server has acted (RFC 9110 section 9.2.2). Other requests
always use a new connection, which cannot have been closed unnoticed."""

_ALPN, _ALPN_WITH_HTTP2 = ("http/1.1",), ("h2", "http/1.1")


class ProbeTransport(httpx.AsyncBaseTransport):
    """Performs HTTP exchanges over connections of a network; lives as long as its batch.

    Every request uses a new connection, so that every run measures all phases, unless its options keep connections.
    """

    def __init__(self, shared: HttpShared) -> None:
        self._shared = shared

    async def exchange(self, request: WireRequest, exchange: Exchange) -> None:
        """Connect, send the request, receive the answer, and close or keep the connection.

        Args:
            request: What to send, and where.
            exchange: Filled as the exchange progresses, whatever the outcome.

        Raises:
            CheckFailed: As `Network.connect` and `Http1Protocol.exchange` do, or `exchange_over_http3`.
        """
        options, offered = request.options, _offered(request)
        if options.http3 and request.secure:
            from exporter.http.http3 import exchange_over_http3  # noqa: PLC0415 - it needs the extra `http3`

            await exchange_over_http3(self._shared, request, exchange)
            return
        # Determined before connecting, so that a connection never counts as made from files that changed since.
        context = await self._context(request) if options.keep_alive else None
        if options.keep_alive and await self._reuse(request, exchange, context):
            return
        counts = self._shared.counts
        protocol: Http1Protocol | _Negotiation
        protocol = _Negotiation(request, exchange) if offered is _ALPN_WITH_HTTP2 else Http1Protocol(request, exchange)
        transport, _ = await self._shared.network.connect(
            lambda: protocol,
            request.host,
            request.port,
            options.network,
            exchange.connection,
            tls=options.tls if request.secure else None,
            server_name=options.tls.server_name or options.server_name,
            tls_timeout_seconds=options.tls_timeout_seconds,
            proxy=request.proxy,
            alpn=offered,
        )
        counts.opened += 1
        counts.requests += 1
        await protocol.exchange(transport)
        if options.keep_alive:
            key, opening = connection_key(request), exchange.connection
            await self._keep(IdleConnection(key, transport, opening, context, protocol.session))

    async def _reuse(self, request: WireRequest, exchange: Exchange, context: TlsContext | None) -> bool:
        """Exchange over an existing connection; return False when there is none or it broke before the answer began.

        In that case the server has most likely just closed it, and the request may be repeated (RFC 9112 section 9.3.1,
        RFC 9113 section 8.7).
        """
        idle = None
        if request.method in _REPEATABLE:
            idle = self._shared.pool.take(connection_key(request), context)
        if idle is None:
            return False
        attempt, counts = current_attempt(), self._shared.counts
        exchange.connection = idle.opening.reused()
        protocol = _next_protocol(request, exchange, idle.session)
        idle.transport.set_protocol(protocol)
        attempt.note("reused a connection", address=idle.opening.address)
        counts.requests += 1
        counts.reused += 1
        try:
            await protocol.exchange(idle.transport)
        except CheckFailed as failure:
            if protocol.answer_began:
                raise
            attempt.note("the reused connection broke", why=failure.detail)
            exchange.connection = ConnectionFacts()
            return False
        await self._keep(idle)
        return True

    async def _keep(self, idle: IdleConnection) -> None:
        if not idle.transport.is_closing():
            await self._shared.pool.keep(idle)

    async def _context(self, request: WireRequest) -> TlsContext | None:
        return await self._shared.network.context(request.options.tls, _offered(request)) if request.secure else None

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
        exchange = Exchange(secure=wire.secure)
        await self.exchange(wire, exchange)
        await decode_later(exchange)
        if exchange.body_fault:
            raise CheckFailed(Reason.DECODE, exchange.body_fault)
        headers = [field for field in exchange.headers if field[0] not in (b"content-encoding", *_FRAMING)]
        extensions = {EXCHANGE: exchange, "http_version": f"HTTP/{exchange.http_version}".encode()}
        return httpx.Response(exchange.status, headers=headers, content=exchange.body, extensions=extensions)


class _Negotiation(asyncio.Protocol):
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


def _next_protocol(
    request: WireRequest, exchange: Exchange, session: Http2Session | None
) -> Http1Protocol | Http2Protocol:
    """Return the protocol that continues a session."""
    if session is None:
        return Http1Protocol(request, exchange)
    from exporter.http.http2 import Http2Protocol  # noqa: PLC0415 - already loaded when there is a session

    return Http2Protocol(request, exchange, session)


def _offered(request: WireRequest) -> tuple[str, ...]:
    """Return the protocols offered in the handshake; HTTP/2 cannot switch to others (RFC 9113 section 8.6)."""
    if not request.secure:
        return ()
    return _ALPN_WITH_HTTP2 if request.options.http2 and not request.upgrades else _ALPN


class _NoCookies(CookieJar):
    """Keeps no cookies and does not parse them, because the library fails to parse unusual ones."""

    def extract_cookies(self, response: object, request: object) -> None:
        """Keep nothing."""

    def add_cookie_header(self, request: object) -> None:
        """Add nothing."""


class ProbeClient(httpx.AsyncClient):
    """An httpx client over a ProbeTransport; it keeps no cookies, follows no redirects and ignores the environment.

    Attributes:
        transport: The transport, for sending a WireRequest directly.
    """

    def __init__(self, shared: HttpShared) -> None:
        self.transport = ProbeTransport(shared)
        super().__init__(
            transport=self.transport,
            trust_env=False,
            follow_redirects=False,
            timeout=None,
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
            cookies=_NoCookies(),
        )


def create_client(shared: HttpShared) -> ProbeClient:
    """Create the client that one batch shares; the caller closes it."""
    return ProbeClient(shared)


async def send(client: httpx.AsyncClient, request: httpx.Request, wire: WireRequest, exchange: Exchange) -> None:
    """Send a request by the fastest path that the client has.

    Args:
        client: A ProbeClient, or any other.
        request: The request.
        wire: The same request, ready to be sent.
        exchange: Filled as the exchange progresses.

    Raises:
        CheckFailed: As `ProbeTransport.exchange` does.
    """
    if isinstance(client, ProbeClient):
        await client.transport.exchange(wire, exchange)
    else:
        await exchange_by_foreign_client(client, request, exchange, wire.options.body_limit_bytes)


def wire_request(request: httpx.Request, options: RequestOptions) -> WireRequest:
    """Serialize a request for HTTP/1.1 (RFC 9112 sections 3 and 5).

    Unless connections are kept, the request asks to close this one, so that no leftover data can be taken for the next
    answer; a request that offers to switch protocols keeps its own Connection field.

    Args:
        request: The request; its content must have been read.
        options: How to connect and which answers to accept.

    Raises:
        ValueError: When the method or a header field contains a line break or a NUL.
    """
    content = request.content
    upgrades = "upgrade" in request.headers
    fields = [
        (name, _ZONE.sub(b"]", value) if name.lower() == b"host" else value)
        for name, value in request.headers.raw
        if name.lower() not in _FRAMING
    ]
    if upgrades and "connection" in request.headers:
        fields.append((b"Connection", request.headers["connection"].encode()))
    elif not options.keep_alive:
        fields.append((b"Connection", b"close"))
    if content or request.method in _WITH_CONTENT:
        fields.append((b"Content-Length", b"%d" % len(content)))
    proxy, asked = _proxy_for(request.url, options), request.url.raw_path
    if proxy is not None and not proxy.tunnels:
        asked = b"http://" + _ZONE.sub(b"]", request.url.netloc) + asked  # RFC 9112 section 3.2.2
    lines = [b"%s %s HTTP/1.1" % (request.method.encode("ascii"), asked)]
    lines += [name + b": " + value for name, value in fields]
    if proxy is not None and not proxy.tunnels and proxy.username is not None:
        lines.append(f"Proxy-Authorization: {basic_credentials(proxy.username, proxy.password)}".encode())
    if any(map(_LINE_BREAKING.search, lines)):
        raise ValueError("the request's head has a line break or a NUL within a line")
    return WireRequest(
        host=_host(request.url),
        port=effective_port(request.url),
        secure=request.url.scheme == "https",
        method=request.method,
        upgrades=upgrades,
        path=request.url.raw_path,
        fields=tuple(fields),
        content=content,
        wire=b"\r\n".join((*lines, b"", content)),
        options=options,
        proxy=proxy,
    )


def _host(url: httpx.URL) -> str:
    return url.raw_host.decode("ascii").replace("%25", "%")  # an address's zone, RFC 6874


def _proxy_for(url: httpx.URL, options: RequestOptions) -> ProxyRoute | None:
    secure = url.scheme == "https"
    route = options.proxies.route(_host(url), effective_port(url), secure=secure)
    return route if route is None or secure else route.forwarding()
