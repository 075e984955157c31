"""Finds out whether the certificates of a chain are revoked: fetches the list of each one by HTTP, and reads it."""

from __future__ import annotations

import time
from itertools import pairwise
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

import anyio.to_thread

from exporter.errors import CheckFailed
from exporter.http.contained import contained
from exporter.http.message import USER_AGENT, RequestOptions
from exporter.http.redirects import RedirectRules
from exporter.http.request import new_request
from exporter.http.response import decode_later
from exporter.http.run import HttpRun
from exporter.http.wire import wire_request
from exporter.model import CertificateFacts, Reason
from exporter.net.connect import bounded
from exporter.net.tls.certificate_facts import certificate_facts
from exporter.quantities import exact_time
from exporter.revocation.lists import list_urls, read_list

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.attempt import Attempt
    from exporter.http.message import Sender
    from exporter.revocation.lists import ReadList

MAX_LIST_BYTES = 10 << 20
"""Largest list that is fetched. Authorities with many certificates split theirs into lists below a megabyte."""

_SHARE = 0.9
"""The part of the check's time that fetching may take, so that what is known by then is still judged."""

_FIELDS = ((b"User-Agent", USER_AGENT.encode()), (b"Accept", b"application/pkix-crl"), (b"Connection", b"close"))
_RULES = RedirectRules(max_redirects=5, allow_downgrade=True, fields_elsewhere=_FIELDS)


class CertificateState(NamedTuple):
    """What is known about one certificate.

    Attributes:
        certificate: The certificate.
        position: Its place in the chain; 0 for the server's own.
        url: Where its list was fetched or last tried; empty when it names none.
        read: What the list says; None when it could not be used.
        fault: Why the state is uncertain; empty when it is not.
    """

    certificate: CertificateFacts
    position: int
    url: str
    read: ReadList | None
    fault: str


async def states_of_chain(
    chain: Sequence[bytes], options: RequestOptions, sender: Sender, attempt: Attempt
) -> list[CertificateState]:
    """Return the state of each certificate but the last, which is trusted by itself.

    Args:
        chain: The verified chain in DER, the server's own certificate first.
        options: How to fetch the lists.
        sender: Sends the requests.
        attempt: The attempt; it logs what was found, and ends in time to be judged.
    """
    states = []
    ends_at = perf_counter() + (attempt.ends_at - perf_counter()) * _SHARE
    for position, (der, issuer) in enumerate(pairwise(chain)):
        left_seconds = (ends_at - perf_counter()) / (len(chain) - 1 - position)
        state = await _state(position, der, issuer, _Fetching(options, sender, attempt, left_seconds))
        states.append(state)
        attempt.note(
            "revocation",
            certificate=state.certificate.subject,
            list=state.url or "none",
            revoked=state.read is not None and state.read.entry is not None,
            **({"uncertain": state.fault} if state.fault else {}),
        )
    return states


class _Fetching(NamedTuple):
    """How a list is fetched, and how long that may take."""

    options: RequestOptions
    sender: Sender
    attempt: Attempt
    limit_seconds: float


async def _state(position: int, der: bytes, issuer: bytes, fetching: _Fetching) -> CertificateState:
    facts, url, fault = certificate_facts(der), "", "it names no list"
    try:
        async with bounded(max(fetching.limit_seconds, 0.0)):
            for url in list_urls(der):
                try:
                    read = await _read(url, der, issuer, fetching)
                except CheckFailed as failure:
                    fault = f"{url} cannot be fetched: {failure.detail}"
                except ValueError as error:
                    fault = f"{url} {error}"
                else:
                    return CertificateState(facts, position, url, read, _staleness(url, read))
    except TimeoutError:
        fault = f"{url} did not answer in time"
    return CertificateState(facts, position, url, None, fault)


def _staleness(url: str, read: ReadList) -> str:
    expires = read.expires_timestamp_seconds
    if expires is None or expires >= time.time():
        return ""
    return f"{url} expired on {exact_time(expires)}"


async def _read(url: str, der: bytes, issuer: bytes, fetching: _Fetching) -> ReadList:
    """Fetch a list and read it in a thread, because a large one takes a while.

    Raises:
        CheckFailed: When it cannot be fetched.
        ValueError: When it cannot be used.
    """
    with contained(Reason.PROTOCOL, "the request cannot be written", fetching.attempt):
        wire = wire_request(new_request("GET", url, _FIELDS), fetching.options)
    run = HttpRun(fetching.attempt)
    await run.fetch(fetching.sender, wire, _RULES)
    answer = run.exchanges[-1]
    await decode_later(answer)
    if answer.status != 200:
        raise CheckFailed(Reason.STATUS, f"the server answered with status {answer.status}")
    if answer.body_fault:
        raise CheckFailed(Reason.DECODE, answer.body_fault)
    return await anyio.to_thread.run_sync(read_list, answer.body, der, issuer, time.time(), abandon_on_cancel=True)
