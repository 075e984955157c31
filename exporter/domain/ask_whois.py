"""Queries a WHOIS server about a domain, and the servers that it refers to. Source: RFC 3912."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.domain.facts import RateLimitedError, UnreadableDateError, shortened
from exporter.domain.servers import whois_query
from exporter.domain.settings import WHOIS_PORT
from exporter.domain.whois import WhoisAnswer, read_whois_answer
from exporter.plugin import CheckFailed, Reason, open_stream, parse_host_port

if TYPE_CHECKING:
    from exporter.domain.facts import DomainFacts
    from exporter.domain.settings import DomainSettings
    from exporter.plugin import Attempt

_ANSWER_LIMIT_BYTES = 1 << 16
_READ_BYTES = 1 << 14
_MOST_REFERRALS = 3


async def ask_whois(server: str, name: str, settings: DomainSettings, attempt: Attempt) -> DomainFacts | None:
    """Query a domain and follow referrals; the attempt records the phases and the address.

    Args:
        server: The server to query first, as host or host:port.
        name: The domain, in ASCII.
        settings: How to connect.
        attempt: The attempt.

    Returns:
        The registration from the last server; None when that does not know the domain.

    Raises:
        CheckFailed: When there is no usable answer; a RateLimitedError when a server is queried too often.
    """
    queried: list[str] = []
    while True:
        queried.append(server.lower())
        answer = await _query(server, name, settings, attempt)
        if not answer.referral:
            return _read(answer, server)
        referral = shortened(answer.referral.rpartition("://")[2])
        attempt.note("referred", server=server, to=referral)
        if referral.lower() in queried:
            raise CheckFailed(Reason.PROTOCOL, f"{server} refers to {referral}, which was asked before")
        if len(queried) > _MOST_REFERRALS:
            raise CheckFailed(Reason.PROTOCOL, f"more than {_MOST_REFERRALS} referrals")
        server = referral


async def _query(server: str, name: str, settings: DomainSettings, attempt: Attempt) -> WhoisAnswer:
    try:
        host, port = parse_host_port(server, default_port=WHOIS_PORT)
    except ValueError as error:
        raise CheckFailed(Reason.PROTOCOL, f"there is a referral to {server!r}, which {error}") from error
    async with await open_stream(host, port, settings) as stream:
        with attempt.phase("whois"):
            stream.write(f"{whois_query(server, name)}\r\n".encode("ascii"))
            received = b""
            while data := await stream.read(_READ_BYTES):
                received += data
                if len(received) > _ANSWER_LIMIT_BYTES:
                    raise CheckFailed(Reason.TOO_LARGE, f"the answer is larger than {_ANSWER_LIMIT_BYTES} bytes")
    attempt.note("answered", server=server, octets=len(received))
    if not received.strip():
        raise CheckFailed(Reason.PROTOCOL, f"{server} closed the connection without an answer")
    try:
        return read_whois_answer(_text(received), name)
    except UnreadableDateError as error:
        attempt.note("a date cannot be read", line=error.line)
        raise


def _text(octets: bytes) -> str:
    """Decode an answer: as UTF-8 if it is valid, else as ISO 8859-1, which older servers use."""
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets.decode("iso-8859-1")


def _read(answer: WhoisAnswer, server: str) -> DomainFacts | None:
    if answer.is_limited:
        raise RateLimitedError(Reason.PROTOCOL, f"{server} is queried too often")
    if answer.facts is None and not answer.is_missing:
        raise CheckFailed(Reason.PROTOCOL, f"what {server} says is not about the domain")
    return answer.facts
