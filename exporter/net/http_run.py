"""One run of an HTTP check: a request, and those that redirects ask for, each a hop with an exchange of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

from exporter.attempt import current_attempt
from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net.http_client import ProbeClient, send, wire_request
from exporter.net.http_message import Exchange
from exporter.net.redirects import RunCookies, is_same_origin, redirected_options, redirected_request, shown_url
from exporter.net.tunnel import refused_by_proxy

if TYPE_CHECKING:
    from exporter.net.http_message import RequestOptions, WireRequest
    from exporter.net.redirects import RedirectRules


@dataclass(frozen=True, slots=True)
class PreparedRequest:
    """One request, kept as it is sent, because httpx's model of it takes ten times the memory; shared by runs.

    Attributes:
        url: The URL.
        wire: The request.
    """

    url: str
    wire: WireRequest

    @property
    def request(self) -> httpx.Request:
        """The request as httpx models it, made anew each time."""
        wire = self.wire
        return httpx.Request(wire.method, self.url, headers=list(wire.fields), content=wire.content or None)


def prepare(request: httpx.Request, options: RequestOptions) -> PreparedRequest:
    """Make a request ready to be sent any number of times.

    Raises:
        ValueError: When it cannot be written as HTTP/1.1.
    """
    return PreparedRequest(str(request.url), wire_request(request, options))


class HttpRun:
    """What one run did; lives as long as the attempt, written by one task.

    Attributes:
        exchanges: The exchange of every request made, the last one's included however far it came.
        redirects: Redirects followed.
        url: The URL asked for last; empty before the first request.
    """

    __slots__ = ("exchanges", "redirects", "url")

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []
        self.redirects = 0
        self.url = ""

    async def fetch(
        self,
        client: httpx.AsyncClient,
        first: PreparedRequest,
        rules: RedirectRules | None,
        auth: httpx.Auth | None = None,
    ) -> None:
        """Make a request and follow redirects.

        Args:
            client: Sends the requests.
            first: The first request.
            rules: How far redirects are followed; None leaves a redirect to be judged as it is.
            auth: Answers challenges of the first request's origin, of no other and not after another.

        Raises:
            CheckFailed: As `send` and `redirected_request` do, with reason `redirect` after too many of them, and
                `auth` when a challenge cannot be answered or a proxy wants other credentials.
        """
        exchange = await self._authorized(client, first, auth)
        if rules is None or not exchange.redirects:
            return
        cookies = RunCookies()
        request, options = first.request, first.wire.options
        while exchange.redirects:
            if self.redirects == rules.max_redirects:
                raise CheckFailed(Reason.REDIRECT, f"more than {rules.max_redirects} redirects")
            cookies.keep(request, exchange)
            before, request = request, redirected_request(request, exchange, rules)
            options = redirected_options(options, before.url, request.url)
            current_attempt().note("redirected", status=exchange.status, to=shown_url(request.url))
            if not is_same_origin(before.url, request.url):
                auth = None
            self.redirects += 1
            exchange = await self._authorized(client, prepare(cookies.added_to(request), options), auth)

    async def _authorized(
        self, client: httpx.AsyncClient, prepared: PreparedRequest, auth: httpx.Auth | None
    ) -> Exchange:
        """Send a request, and again as often as `auth` answers what was answered."""
        if auth is None:
            return await self._send(client, prepared)
        request = prepared.request
        flow = auth.async_auth_flow(request)
        try:
            request = await anext(flow)
            while True:
                exchange = await self._send(client, prepare(request, prepared.wire.options))
                try:
                    request = await flow.asend(
                        httpx.Response(exchange.status, headers=exchange.headers, request=request)
                    )
                except StopAsyncIteration:
                    return exchange
                except (httpx.ProtocolError, KeyError, NotImplementedError) as error:  # httpx's, of a strange challenge
                    raise CheckFailed(Reason.AUTH, "the server's challenge cannot be answered") from error
        finally:
            await flow.aclose()

    async def _send(self, client: httpx.AsyncClient, prepared: PreparedRequest) -> Exchange:
        exchange = Exchange(secure=prepared.wire.secure)
        self.exchanges.append(exchange)
        self.url = prepared.url
        if isinstance(client, ProbeClient):
            await client.transport.exchange(prepared.wire, exchange)
        else:
            await send(client, prepared.request, prepared.wire, exchange)
        proxy = prepared.wire.proxy
        if exchange.status == 407 and proxy is not None and not proxy.tunnels:
            raise refused_by_proxy(with_credentials=proxy.username is not None)
        return exchange
