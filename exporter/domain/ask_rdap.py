"""Queries an RDAP server about a domain over the exporter's HTTP client. Source: RFC 7480, RFC 9082."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from exporter.domain.facts import DomainFacts, RateLimitedError, UnreadableDateError
from exporter.domain.rdap import error_title, read_rdap_domain
from exporter.errors import CheckFailed
from exporter.http.contained import contained
from exporter.http.message import USER_AGENT, RequestOptions, http_date_timestamp_seconds
from exporter.http.redirects import RedirectRules
from exporter.http.request import new_request
from exporter.http.response import decode_later
from exporter.http.run import HttpRun
from exporter.http.wire import wire_request
from exporter.model import Reason
from exporter.net.connection_report import report_connection
from exporter.net.proxy.settings import usable_proxies
from exporter.quantities import seconds_text

if TYPE_CHECKING:
    from exporter.attempt import Attempt
    from exporter.domain.settings import DomainSettings
    from exporter.http.message import Exchange, Sender

_ANSWER_LIMIT_BYTES = 1 << 19
"""Much more than an answer has, and quick to parse."""

_FIELDS = (
    (b"User-Agent", USER_AGENT.encode()),
    (b"Accept", b"application/rdap+json, application/json;q=0.9"),
    (b"Accept-Encoding", b"identity"),
    (b"Connection", b"close"),
)
_RULES = RedirectRules(max_redirects=5, allow_downgrade=False, fields_elsewhere=_FIELDS)
_SECONDS = re.compile(r"[0-9]{1,9}")


async def ask_rdap(
    base_url: str, name: str, settings: DomainSettings, sender: Sender, attempt: Attempt
) -> DomainFacts | None:
    """Query a domain; the attempt records the phases, the address and the certificate, whatever the outcome.

    Args:
        base_url: URL of the server, with a slash at its end.
        name: The domain, in ASCII.
        settings: How to connect.
        sender: Sends the requests.
        attempt: The attempt.

    Returns:
        The registration; None when the server does not know the domain.

    Raises:
        CheckFailed: When there is no usable answer; a RateLimitedError when the server is queried too often.
    """
    with contained(Reason.LOCAL, "the RDAP request cannot be written", attempt):
        request = new_request("GET", f"{base_url}domain/{name}", _FIELDS)
        wire = wire_request(request, _options(settings))
    run = HttpRun(attempt)
    try:
        with attempt.phase("rdap", is_measured=False):
            await run.fetch(sender, wire, _RULES)
    finally:
        for exchange in run.exchanges:
            report_connection(exchange.connection)
            attempt.add_phase("rdap", exchange.processing_seconds + exchange.transfer_seconds)
    answer = run.exchanges[-1]
    await decode_later(answer)
    attempt.note("answered", server=_host(run.url), status=answer.status, body_bytes=len(answer.body))
    return _read(answer, _host(run.url), name, attempt)


def _options(settings: DomainSettings) -> RequestOptions:
    return RequestOptions(
        network=settings,
        tls=settings.tls_config,
        tls_timeout_seconds=settings.tls_timeout_seconds,
        body_limit_bytes=_ANSWER_LIMIT_BYTES,
        stop_at_redirect=True,
        proxies=usable_proxies(settings),
    )


def _host(url: str) -> str:
    return urlsplit(url).netloc


def _read(answer: Exchange, server: str, name: str, attempt: Attempt) -> DomainFacts | None:
    if answer.status == 404:
        return None
    if answer.status == 429:
        raise RateLimitedError(Reason.STATUS, f"{server} is queried too often (status 429){_wait(answer)}")
    if answer.status != 200:
        raise CheckFailed(Reason.STATUS, f"{server} answered with status {answer.status}{error_title(answer.body)}")
    if answer.body_fault:
        raise CheckFailed(Reason.DECODE, answer.body_fault)
    try:
        return read_rdap_domain(answer.body, name)
    except UnreadableDateError as error:
        attempt.note("a date cannot be read", event=error.line)
        raise


def _wait(answer: Exchange) -> str:
    """Return how long the server asks to wait (RFC 9110 section 10.2.3), as the rest of a sentence."""
    values = answer.header_values("retry-after")
    if not values:
        return ""
    if _SECONDS.fullmatch(values[0].strip()):
        return f" and asks to wait {seconds_text(int(values[0]))}"
    at = http_date_timestamp_seconds(values[0])
    return "" if at is None else f" and asks to wait {seconds_text(max(round(at - time.time()), 0))}"
