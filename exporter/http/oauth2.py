"""OAuth 2.0 client credentials (RFC 6749 section 4.4): a token is requested once and shared until it expires."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote_plus, urlencode

import httpx

from exporter.attempt import Attempt
from exporter.errors import CheckFailed
from exporter.http.contained import contained
from exporter.http.message import Exchange
from exporter.http.redirects import shown_url
from exporter.http.request import new_request, with_field
from exporter.http.token_answer import NoTokenError, read_token_answer
from exporter.http.url import parse_http_url
from exporter.http.wire import wire_request
from exporter.model import Reason
from exporter.net.proxy.tunnel import basic_credentials

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from exporter.http.message import RequestOptions, Sender
    from exporter.http.shared import HttpShared

_ANSWER_LIMIT_BYTES = 1 << 18
"""Much more than a token answer has, and quick to read."""

_NO_SECRETS = frozenset(("grant_type", "scope", "client_id", "audience", "resource", "requested_token_type"))
"""Token request fields that may appear in an endpoint's error; any other may be a credential."""

_SHORTEST_SECRET = 4
"""Shorter values occur in many words, and hiding them protects nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenGrant:
    """Parameters of a token request; a value, so that checks with equal parameters share the token.

    Attributes:
        url: The token endpoint.
        client_id: The client's identifier.
        client_secret: The client's secret.
        scopes: Requested scopes.
        params: Additional fields of the request.
        by_header: Whether the credentials are sent as basic authentication, else as fields.
        options: How to reach the endpoint.
    """

    url: str
    client_id: str
    client_secret: str = field(repr=False)
    scopes: tuple[str, ...]
    params: tuple[tuple[str, str], ...] = field(repr=False)
    by_header: bool
    options: RequestOptions


class ClientCredentials(httpx.Auth):
    """Sends a token with the request; a cached one that gets a 401 is replaced once."""

    def __init__(self, grant: TokenGrant, sender: Sender, shared: HttpShared, attempt: Attempt) -> None:
        self._grant = grant
        self._sender = sender
        self._shared = shared
        self._attempt = attempt

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Send the request with a token.

        Raises:
            CheckFailed: With reason `auth` when no token can be obtained.
        """
        kept = self._shared.tokens.token(self._grant)
        token = kept or await self._fetched("")
        response = yield _with_token(request, token)
        if response.status_code == 401 and kept:
            yield _with_token(request, await self._fetched(kept))

    async def _fetched(self, stale: str) -> str:
        fetch = partial(_fetch, self._grant, self._sender, self._shared)
        return await self._shared.token_requests.result((self._grant, stale), fetch, self._attempt.started)


def _with_token(request: httpx.Request, token: str) -> httpx.Request:
    return with_field(request, b"Authorization", b"Bearer " + token.encode("ascii"))


async def _fetch(grant: TokenGrant, sender: Sender, shared: HttpShared) -> str:
    with contained(Reason.AUTH, "no token: the request for it cannot be written"):
        request = _token_request(grant)
        place = shown_url(request.url)
        wire = wire_request(request, replace(grant.options, body_limit_bytes=_ANSWER_LIMIT_BYTES))
    exchange = Exchange(Attempt(), secure=wire.secure)  # that of no check: several may wait for the token
    try:
        await sender.exchange(wire, exchange)
        answer = read_token_answer(exchange.status, exchange.body, _never_shown(grant))
    except CheckFailed as failure:
        raise CheckFailed(Reason.AUTH, f"no token from {place}: {failure.detail}") from failure
    except NoTokenError as error:
        raise CheckFailed(Reason.AUTH, f"no token from {place}: {error}") from None
    if answer.good_for_seconds > 0:
        shared.tokens.keep(grant, answer.token, answer.good_for_seconds)
    return answer.token


def _token_request(grant: TokenGrant) -> httpx.Request:
    """Build the token request; configured fields override the default ones."""
    fields = {"grant_type": "client_credentials"}
    if grant.scopes:
        fields["scope"] = " ".join(grant.scopes)
    headers = [(b"Accept", b"application/json"), (b"Content-Type", b"application/x-www-form-urlencoded")]
    if grant.by_header:
        headers.append((b"Authorization", _client_credentials(grant).encode()))
    else:
        fields |= {"client_id": grant.client_id, "client_secret": grant.client_secret}
    content = urlencode(fields | dict(grant.params)).encode()
    return new_request("POST", parse_http_url(grant.url), headers, content)


def _client_credentials(grant: TokenGrant) -> str:
    """Return the Authorization value: RFC 6749 section 2.3.1 requires both parts to be form-encoded first."""
    return basic_credentials(quote_plus(grant.client_id), quote_plus(grant.client_secret))


def _never_shown(grant: TokenGrant) -> list[str]:
    """Return the secrets that an endpoint may repeat, in every form in which they were sent."""
    params = [value for name, value in grant.params if name not in _NO_SECRETS and len(value) >= _SHORTEST_SECRET]
    secrets = [secret for secret in (grant.client_secret, *params) if secret]
    return [*secrets, *map(quote_plus, secrets), _client_credentials(grant).removeprefix("Basic ")]
