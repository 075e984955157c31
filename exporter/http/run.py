"""One run of an HTTP check: a request and its redirects, each with a separate exchange."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from exporter.errors import CheckFailed
from exporter.http.contained import contained
from exporter.http.cookies import RunCookies
from exporter.http.message import Exchange
from exporter.http.redirects import is_same_origin, left_behind, redirected_options, redirected_request, shown_url
from exporter.http.wire import wire_request
from exporter.model import Reason
from exporter.net.proxy.tunnel import refused_by_proxy
from exporter.quantities import counted

if TYPE_CHECKING:
    from exporter.attempt import Attempt
    from exporter.http.message import RequestOptions, Sender, WireRequest
    from exporter.http.redirects import RedirectRules


class HttpRun:
    """The record of one run; lives as long as the attempt, written by one task.

    Attributes:
        attempt: The attempt it belongs to.
        exchanges: The exchange of every request made, including the last one even if incomplete.
        redirects: Redirects followed.
        url: The URL of the last request; empty before the first.
    """

    __slots__ = ("attempt", "exchanges", "redirects", "url")

    def __init__(self, attempt: Attempt) -> None:
        self.attempt = attempt
        self.exchanges: list[Exchange] = []
        self.redirects = 0
        self.url = ""

    @property
    def phase(self) -> str:
        """The current phase of the last request; empty before its connection is made."""
        last = self.exchanges[-1] if self.exchanges else None
        if last is None or not last.connection.ready_at:
            return ""
        return "transfer" if last.first_byte_at else "processing"

    async def fetch(
        self,
        sender: Sender,
        first: WireRequest,
        rules: RedirectRules | None,
        auth: httpx.Auth | None = None,
        cookies: RunCookies | None = None,
    ) -> None:
        """Make a request and follow redirects.

        Args:
            sender: Sends the requests.
            first: The first request.
            rules: How far redirects are followed; None returns a redirect as the final answer.
            auth: Answers challenges of the first request's origin only, until a redirect leads to another.
            cookies: Cookies of earlier requests, which are sent and kept as well; None for new ones.

        Raises:
            CheckFailed: As `Sender.exchange` and `redirected_request` do, with reason `redirect` after too many
                redirects, and `auth` when a challenge cannot be answered or a proxy rejects the credentials.
        """
        shared = cookies
        if auth is not None:
            cookies = cookies or RunCookies()
            exchange = await self._authorized(sender, first.to_httpx(), first.options, auth, cookies)
        else:
            # What redirects are made from has no cookies yet: each request is given those for its own URL.
            sent = first if cookies is None else wire_request(cookies.added_to(first.to_httpx()), first.options)
            exchange = await self._send(sender, sent)
        if rules is not None and exchange.redirects:
            await self._follow(sender, first, exchange, rules, auth, cookies or RunCookies())
        if shared is not None:
            shared.keep(httpx.URL(self.url), self.exchanges[-1])

    async def _follow(
        self,
        sender: Sender,
        first: WireRequest,
        exchange: Exchange,
        rules: RedirectRules,
        auth: httpx.Auth | None,
        cookies: RunCookies,
    ) -> None:
        """Follow redirects from the first request's answer to one that is not a redirect."""
        request, options = first.to_httpx(), first.options
        while exchange.redirects:
            if self.redirects == rules.max_redirects:
                raise CheckFailed(Reason.REDIRECT, f"more than {counted(rules.max_redirects, 'redirect')}")
            with contained(Reason.REDIRECT, "the redirect cannot be followed", self.attempt):
                cookies.keep(request.url, exchange)
                before, request = request.url, redirected_request(request, exchange, rules)
                _note_redirect(self.attempt, exchange.status, before, request.url, left_behind(rules, options))
                options = redirected_options(options, before, request.url)
                prepared = wire_request(cookies.added_to(request), options)
            if not is_same_origin(before, request.url):
                auth = None
            self.redirects += 1
            if auth is None:
                exchange = await self._send(sender, prepared)
            else:
                exchange = await self._authorized(sender, request, options, auth, cookies)

    async def _authorized(
        self,
        sender: Sender,
        request: httpx.Request,
        options: RequestOptions,
        auth: httpx.Auth,
        cookies: RunCookies,
    ) -> Exchange:
        """Send a request, and again as often as `auth` responds to the answer."""
        flow = auth.async_auth_flow(request)
        try:
            with contained(Reason.AUTH, "the request cannot be authorized", self.attempt):
                request = await anext(flow)
            while True:
                with contained(Reason.AUTH, "the request cannot be authorized", self.attempt):
                    prepared = wire_request(cookies.added_to(request), options)
                exchange = await self._send(sender, prepared)
                # Only what the flow reads: httpx would try to decode the content coding of a body that is missing.
                fields = [field for field in exchange.headers if field[0] == b"www-authenticate"]
                with contained(Reason.AUTH, "the server's challenge cannot be answered", self.attempt):
                    try:
                        answered = request
                        request = await flow.asend(httpx.Response(exchange.status, headers=fields, request=answered))
                    except StopAsyncIteration:
                        return exchange
                    cookies.keep(answered.url, exchange)
        finally:
            await flow.aclose()

    async def _send(self, sender: Sender, request: WireRequest) -> Exchange:
        exchange = Exchange(self.attempt, secure=request.secure)
        self.exchanges.append(exchange)
        self.url = request.url
        await sender.exchange(request, exchange)
        if exchange.status == 407:
            proxy = request.connect.proxy
            if proxy is not None and not proxy.route.tunnels:
                raise refused_by_proxy(with_credentials=proxy.route.username is not None)
        return exchange


def _note_redirect(attempt: Attempt, status: int, before: httpx.URL, after: httpx.URL, left: str) -> None:
    """Log where a redirect leads, and the names of what is not sent to another origin."""
    attempt.note("redirected", status=status, to=shown_url(after))
    if left and not is_same_origin(before, after):
        attempt.note("left out of requests to another origin", what=left)
