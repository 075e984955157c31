"""One run of an HTTP check: a request, and those that redirects ask for, each a hop with an exchange of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter.attempt import current_attempt
from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net.http_client import send, wire_request
from exporter.net.http_message import Exchange
from exporter.net.redirects import RunCookies, redirected_options, redirected_request, shown_url

if TYPE_CHECKING:
    import httpx

    from exporter.net.http_message import RequestOptions, WireRequest
    from exporter.net.redirects import RedirectRules


@dataclass(frozen=True, slots=True)
class PreparedRequest:
    """One request in both its forms; immutable by agreement, so that runs may share it.

    Attributes:
        request: As httpx models it.
        wire: As it is sent.
    """

    request: httpx.Request
    wire: WireRequest


def prepare(request: httpx.Request, options: RequestOptions) -> PreparedRequest:
    """Make a request ready to be sent any number of times.

    Raises:
        ValueError: When it cannot be written as HTTP/1.1.
    """
    return PreparedRequest(request, wire_request(request, options))


class HttpRun:
    """What one run did; lives as long as the attempt, written by one task.

    Attributes:
        exchanges: The exchange of every request made, the last one's included however far it came.
        request: The request made last; None before the first.
    """

    __slots__ = ("exchanges", "request")

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []
        self.request: httpx.Request | None = None

    @property
    def redirects(self) -> int:
        """Redirects followed."""
        return max(len(self.exchanges) - 1, 0)

    async def fetch(self, client: httpx.AsyncClient, first: PreparedRequest, rules: RedirectRules | None) -> None:
        """Make a request and follow redirects.

        Args:
            client: Sends the requests.
            first: The first request.
            rules: How far redirects are followed; None leaves a redirect to be judged as it is.

        Raises:
            CheckFailed: As `send` and `redirected_request` do, and with reason `redirect` after too many of them.
        """
        exchange = await self._send(client, first)
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
            exchange = await self._send(client, prepare(cookies.added_to(request), options))

    async def _send(self, client: httpx.AsyncClient, prepared: PreparedRequest) -> Exchange:
        exchange = Exchange(secure=prepared.wire.secure)
        self.exchanges.append(exchange)
        self.request = prepared.request
        await send(client, prepared.request, prepared.wire, exchange)
        return exchange
