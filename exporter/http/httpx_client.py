"""Perform an exchange with a third-party httpx client that an embedder provides.

The client manages its own connections, so that only the wait for the answer is measured.
"""

from __future__ import annotations

import socket
from time import perf_counter
from typing import TYPE_CHECKING

import httpx

from exporter.errors import CheckFailed
from exporter.http.contained import without_octets
from exporter.http.response import body_decoder
from exporter.model import Reason
from exporter.net.errors import connection_failure
from exporter.quantities import counted

if TYPE_CHECKING:
    from exporter.http.message import Exchange, WireRequest

_REASONS: tuple[tuple[type[httpx.HTTPError], Reason], ...] = (
    (httpx.ConnectTimeout, Reason.CONNECT_TIMEOUT),
    (httpx.TimeoutException, Reason.TIMEOUT),
    (httpx.ProtocolError, Reason.PROTOCOL),
    (httpx.ConnectError, Reason.UNREACHABLE),
    (httpx.NetworkError, Reason.CONNECTION_RESET),
)
_MAX_CAUSES = 10


class HttpxSender:
    """Sends requests with a third-party client; lives as long as its executor, which does not close the client."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def exchange(self, request: WireRequest, exchange: Exchange) -> None:
        """Send a request and receive its answer.

        Args:
            request: The request.
            exchange: Filled as the exchange progresses.

        Raises:
            CheckFailed: With the reason that the client's exception means; `too_large` and `decode` as with
                ProbeClient.
        """
        exchange.connection.ready_at = perf_counter()
        try:
            response = await self._client.send(request.to_httpx(), stream=True, follow_redirects=False)
            try:
                await _take_in(response, exchange, request.options.body_limit_bytes)
            finally:
                await response.aclose()
        except httpx.HTTPError as error:
            raise _failure(error, request.endpoint.host) from error
        except (httpx.InvalidURL, httpx.StreamError, httpx.CookieConflict, ValueError, LookupError) as error:
            # Names, fields and cookies that the client cannot parse: it reads them even when it follows no redirect.
            # Its message may quote them.
            raise CheckFailed(Reason.PROTOCOL, f"the HTTP client raised {type(error).__name__}") from None


async def _take_in(response: httpx.Response, exchange: Exchange, limit_bytes: int) -> None:
    exchange.first_byte_at = perf_counter()
    exchange.status = response.status_code
    exchange.http_version = response.http_version.removeprefix("HTTP/")
    exchange.headers = [(name.lower(), value) for name, value in response.headers.raw]
    if response.is_stream_consumed:  # a mock transport returns responses already read and decoded
        exchange.body = response.content
        exchange.wire_body_bytes = len(exchange.body)
        _check_size(exchange, limit_bytes)
    else:
        decoder = body_decoder(exchange, limit_bytes)
        parts: list[bytes] = []
        async for piece in response.aiter_raw():
            exchange.wire_body_bytes += len(piece)
            _check_size(exchange, limit_bytes)
            parts.append(piece if decoder is None else decoder.feed(piece))
        if decoder is not None:
            decoder.finish()
        exchange.body = b"".join(parts)
    exchange.ended_at = perf_counter()


def _check_size(exchange: Exchange, limit_bytes: int) -> None:
    if exchange.wire_body_bytes > limit_bytes:
        raise CheckFailed(Reason.TOO_LARGE, f"the body is larger than {counted(limit_bytes, 'byte')}")


def _failure(error: httpx.HTTPError, host: str) -> CheckFailed:
    """Return the failure for an httpx exception, by the underlying system error where there is one."""
    cause: BaseException | None = error
    for _ in range(_MAX_CAUSES):
        cause = _behind(cause)
        if isinstance(cause, socket.gaierror):
            return CheckFailed(Reason.RESOLVE, f"{host} cannot be resolved: {cause.strerror}")
        if isinstance(cause, OSError) and cause.errno:
            return connection_failure(cause, "exchanging HTTP")
    reason = next((reason for kind, reason in _REASONS if isinstance(error, kind)), Reason.PROTOCOL)
    return CheckFailed(reason, f"the HTTP client raised {type(error).__name__}: {without_octets(error)}")


def _behind(error: BaseException | None) -> BaseException | None:
    """Return the cause of an exception; the first of several failed attempts."""
    if isinstance(error, BaseExceptionGroup):
        return error.exceptions[0]
    return None if error is None else error.__cause__ or error.__context__
