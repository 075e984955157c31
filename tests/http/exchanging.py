"""Shared by the tests of HTTP/3: one exchange in a single call."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx

from exporter.attempt import begin_attempt
from exporter.errors import CheckFailed
from exporter.http.client import ProbeTransport
from exporter.http.message import Exchange, RequestOptions
from exporter.http.shared import HttpShared
from exporter.http.wire import wire_request
from exporter.settings import NetworkSettings, TlsConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from exporter.attempt import Attempt

_POLL_SECONDS = 0.005


class Outcome(NamedTuple):
    """What came of an exchange.

    Attributes:
        exchange: As far as it came.
        failure: Why it failed; None when it did not.
        attempt: What was noted meanwhile.
        timed_out: Whether patience ended first.
    """

    exchange: Exchange
    failure: CheckFailed | None
    attempt: Attempt
    timed_out: bool

    @property
    def answer(self) -> tuple[CheckFailed | None, int, str, bytes]:
        """Its failure, status, version and body."""
        return self.failure, self.exchange.status, self.exchange.http_version, self.exchange.body

    @property
    def why(self) -> str:
        """The failure as text; empty without one."""
        return "" if self.failure is None else f"{self.failure.reason}: {self.failure.detail}"


async def ask(
    url: str, ca_file: Path, *, method: str = "GET", content: bytes = b"", headers: Mapping[str, str] | None = None,
    shared: HttpShared | None = None, patience_seconds: float = 20.0,
    enough: Callable[[Exchange], object] = lambda exchange: False, settings: Mapping[str, Any] | None = None,
    tls: Mapping[str, Any] | None = None, **options: Any,
) -> Outcome:  # fmt: skip
    """Make one exchange over HTTP/3.

    Args:
        url: What is asked for.
        ca_file: The authority to trust.
        method: The method.
        content: The request's body.
        headers: Its headers.
        shared: The network; a fresh one by default.
        patience_seconds: As a check's timeout.
        enough: When this holds, patience ends as well.
        settings: NetworkSettings.
        tls: TlsConfig, besides the authority.
        options: RequestOptions.
    """
    made = RequestOptions(
        network=NetworkSettings(**settings or {}),
        tls=TlsConfig(ca_file=str(ca_file), **tls or {}),
        **{"http3": True, **options},
    )
    request = wire_request(httpx.Request(method, url, content=content or None, headers=headers), made)
    attempt = begin_attempt()
    exchange = Exchange(attempt, secure=True)
    try:
        async with asyncio.timeout(patience_seconds) as limit:
            _end_when(lambda: enough(exchange), limit)
            await ProbeTransport(shared or HttpShared()).exchange(request, exchange)
    except CheckFailed as failure:
        return Outcome(exchange, failure, attempt, timed_out=False)
    except TimeoutError:
        return Outcome(exchange, None, attempt, timed_out=True)
    return Outcome(exchange, None, attempt, timed_out=False)


def _end_when(condition: Callable[[], object], limit: asyncio.Timeout) -> None:
    """Poll a condition, and end the time that is left when it holds."""
    loop = asyncio.get_running_loop()
    if limit.when() is None or limit.expired():
        return
    if condition():
        limit.reschedule(loop.time())
    else:
        loop.call_later(_POLL_SECONDS, _end_when, condition, limit)
