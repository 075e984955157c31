"""OAuth 2.0 client credentials (RFC 6749 section 4.4): a token is asked for once and shared until it expires."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote_plus, urlencode

import httpx

from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net.http_client import send, wire_request
from exporter.net.http_message import Exchange
from exporter.net.redirects import shown_url
from exporter.net.tunnel import basic_credentials

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from exporter.net.http_message import RequestOptions
    from exporter.net.network import Network

_UNSTATED_SECONDS, _MARGIN_SECONDS, _MARGIN_PART = 60.0, 30.0, 0.1
_LONGEST_SECONDS = 86400.0
_TOKEN = re.compile(r"[\x21-\x7e]+")
_ERRORS = frozenset(
    ("invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type",
     "invalid_scope")
)  # fmt: skip
"""Source: RFC 6749 section 5.2. Only these are shown: what else stands there may repeat what was sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenGrant:
    """What a token is asked for with; a value, so that checks with the same share the token.

    Attributes:
        url: The token endpoint.
        client_id: Who asks.
        client_secret: The secret of who asks.
        scopes: What for.
        params: Further fields of the request.
        by_header: Whether the credentials go as basic authentication, else as fields.
        options: How the endpoint is reached.
    """

    url: str
    client_id: str
    client_secret: str = field(repr=False)
    scopes: tuple[str, ...]
    params: tuple[tuple[str, str], ...] = field(repr=False)
    by_header: bool
    options: RequestOptions


class ClientCredentials(httpx.Auth):
    """Sends a token with the request; a kept one that is answered with 401 is replaced once."""

    def __init__(self, grant: TokenGrant, client: httpx.AsyncClient, network: Network) -> None:
        self._grant = grant
        self._client = client
        self._network = network

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Put the token into the request.

        Raises:
            CheckFailed: With reason `auth` when none is to be had.
        """
        kept = self._network.tokens.token(self._grant)
        token = kept or await self._fetched("")
        request.headers["Authorization"] = f"Bearer {token}"
        response = yield request
        if response.status_code == 401 and kept:
            request.headers["Authorization"] = f"Bearer {await self._fetched(kept)}"
            yield request

    async def _fetched(self, stale: str) -> str:
        fetch = partial(_fetch, self._grant, self._client, self._network)
        return await self._network.token_requests.result((self._grant, stale), fetch)


async def _fetch(grant: TokenGrant, client: httpx.AsyncClient, network: Network) -> str:
    request = _token_request(grant)
    exchange = Exchange(secure=request.url.scheme == "https")
    place = shown_url(request.url)
    try:
        await send(client, request, wire_request(request, grant.options), exchange)
    except CheckFailed as failure:
        raise CheckFailed(Reason.AUTH, f"no token from {place}: {failure.detail}") from failure
    token, good_for_seconds = _granted(exchange, place)
    if good_for_seconds > 0:
        network.tokens.keep(grant, token, good_for_seconds)
    return token


def _token_request(grant: TokenGrant) -> httpx.Request:
    fields = [("grant_type", "client_credentials")]
    if grant.scopes:
        fields.append(("scope", " ".join(grant.scopes)))
    headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
    if grant.by_header:  # RFC 6749 section 2.3.1: both are encoded as in forms first
        name, secret = quote_plus(grant.client_id), quote_plus(grant.client_secret)
        headers["Authorization"] = basic_credentials(name, secret)
    else:
        fields += [("client_id", grant.client_id), ("client_secret", grant.client_secret)]
    content = urlencode([*fields, *grant.params]).encode()
    return httpx.Request("POST", grant.url, headers=headers, content=content)


def _granted(exchange: Exchange, place: str) -> tuple[str, float]:
    """Read the endpoint's answer: the token, and for how long it may be kept."""
    try:
        answer = json.loads(exchange.body)
    except (ValueError, RecursionError):
        answer = None
    known = answer if isinstance(answer, dict) else {}
    if exchange.status != 200:
        error = known.get("error")
        said = f" ({error})" if isinstance(error, str) and error in _ERRORS else ""
        raise CheckFailed(Reason.AUTH, f"no token from {place}: it answered with status {exchange.status}{said}")
    token, kind = known.get("access_token"), known.get("token_type", "Bearer")
    if not isinstance(token, str) or not _TOKEN.fullmatch(token) or str(kind).lower() != "bearer":
        raise CheckFailed(Reason.AUTH, f"no token from {place}: its answer holds no bearer token")
    return token, _good_for_seconds(known.get("expires_in"))


def _good_for_seconds(expires_in: object) -> float:
    try:
        seconds = float(expires_in) if isinstance(expires_in, int | float | str) else _UNSTATED_SECONDS
    except (ValueError, OverflowError):
        seconds = _UNSTATED_SECONDS
    seconds = min(seconds, _LONGEST_SECONDS) if seconds == seconds else 0.0  # noqa: PLR0124 - a number that is none
    return seconds - min(_MARGIN_SECONDS, seconds * _MARGIN_PART)
