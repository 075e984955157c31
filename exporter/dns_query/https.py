"""One DNS question over HTTPS. Source: RFC 8484.

The exchange is the same as that of an HTTP check. The message has the id 0, so that caches can reuse answers.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING

from exporter.addresses import endpoint
from exporter.errors import CheckFailed
from exporter.http.message import USER_AGENT, RequestOptions
from exporter.http.request import new_request
from exporter.http.wire import wire_request
from exporter.model import Reason
from exporter.net.dns.exchange import Reply, why_no_answer
from exporter.net.dns.reader import DnsAnswer

if TYPE_CHECKING:
    from exporter.addresses import Endpoint
    from exporter.dns_query.settings import DnsSettings
    from exporter.http.message import Exchange, Sender, WireRequest
    from exporter.net.dns.message import Question

MEDIA_TYPE = "application/dns-message"
_NO_ID = b"\0\0"
_MAX_MESSAGE_BYTES = 65535
_HTTPS_PORT = 443
_SHOWN_CHARACTERS = 60
_MOST_DIGITS = 10
_VARIABLE = re.compile(r"\{([?&]?)dns\}")


def https_request(question: Question, server: Endpoint, settings: DnsSettings) -> WireRequest:
    """Return the request that asks a question.

    Args:
        question: The question.
        server: The server; its host is the name in URL, SNI and certificate.
        settings: Path, method, and how to connect.
    """
    message = _NO_ID + question.wire
    is_post = settings.https_method == "POST"
    value = "" if is_post else urlsafe_b64encode(message).rstrip(b"=").decode()
    place = endpoint(*server).removesuffix(f":{_HTTPS_PORT}")
    fields = [(b"User-Agent", USER_AGENT.encode()), (b"Accept", MEDIA_TYPE.encode())]
    if is_post:
        fields.append((b"Content-Type", MEDIA_TYPE.encode()))
    url = f"https://{place}{expanded_path(settings.https_path, value)}"
    request = new_request(settings.https_method, url, fields, message if is_post else b"")
    options = RequestOptions(
        network=settings,
        tls=settings.tls_config,
        tls_timeout_seconds=settings.tls_timeout_seconds,
        body_limit_bytes=_MAX_MESSAGE_BYTES,
    )
    return wire_request(request, options)


def expanded_path(template: str, value: str) -> str:
    """Return a path template with its variable `dns` replaced (RFC 6570 sections 3.2.2, 3.2.8 and 3.2.9)."""

    def expansion(match: re.Match[str]) -> str:
        return f"{match[1]}dns={value}" if match[1] and value else value

    return _VARIABLE.sub(expansion, template)


async def ask_over_https(sender: Sender, request: WireRequest, question: Question, exchange: Exchange) -> Reply:
    """Send the request of a question and return the answer in its response.

    Args:
        sender: Makes the exchange.
        request: From `https_request`.
        question: The question.
        exchange: Filled as the exchange progresses, whatever the outcome.

    Raises:
        CheckFailed: As `Sender.exchange` does; `status` when the response is not 200, `protocol` when it is not a DNS
            message, or answers another question.
    """
    await sender.exchange(request, exchange)
    if exchange.status != 200:
        detail = f"the server answered with HTTP status {exchange.status}, not with DNS"
        raise CheckFailed(Reason.STATUS, detail)
    media_type = exchange.content_type.partition(";")[0].strip().lower()
    if media_type != MEDIA_TYPE:
        what = f"has the content type '{media_type[:_SHOWN_CHARACTERS]}'" if media_type else "has no content type"
        raise CheckFailed(Reason.PROTOCOL, f"the response is not DNS: it {what}")
    why = why_no_answer(exchange.body, _NO_ID, question)
    if why:
        raise CheckFailed(Reason.PROTOCOL, f"what the server sent is not an answer: {why}")
    answer = await DnsAnswer.read(exchange.body, question)
    if answer.ttl_seconds is not None:
        answer.ttl_seconds = max(answer.ttl_seconds - _age_seconds(exchange), 0)  # section 5.1
    return Reply(answer, exchange.ended_at)


def _age_seconds(exchange: Exchange) -> int:
    """Return for how long a cache has kept the response, in seconds (RFC 9111 section 5.1)."""
    ages = exchange.header_values("age")
    return int(ages[0]) if ages and ages[0].isascii() and ages[0].isdigit() and len(ages[0]) <= _MOST_DIGITS else 0
