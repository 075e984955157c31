"""DNS lookups of a name's addresses in one family, from servers in turn, and search list expansion.

Source: resolv.conf(5) for the order of names and servers. In addition, a server that answers with an error is not
queried again in the same lookup, and the first wait for a silent one is short.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

import dns.exception
import dns.name
import dns.rdataclass
import dns.rdatatype

from exporter.addresses import Address, parse_address
from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net.dns.exchange import DnsStream, ask_datagram
from exporter.net.dns.message import Question
from exporter.net.errors import connection_failure
from exporter.net.udp import open_datagram_socket

if TYPE_CHECKING:
    from exporter.net.dns.reader import DnsAnswer
    from exporter.net.dns.system_files import NameServer, ResolverConfig

_FIRST_WAIT_SECONDS = 1.0
"""The first timeout for a server, whatever the configuration says: a lost datagram or a dead first server then costs
one second, not the five of resolv.conf(5), which are all the time a check has."""

_MOST_ADDRESSES = 256
"""Most addresses used: a datagram of 64 KiB can contain 4,000, far more than are ever tried."""

_NO_ERROR, _NO_SUCH_NAME = "NOERROR", "NXDOMAIN"


@dataclass(frozen=True, slots=True)
class LookupAnswer:
    """A name's addresses in one family.

    Attributes:
        addresses: In the order of the answer; empty when there are none.
        exists: Whether the name exists, perhaps only with records of other types.
        seconds: How long the lookup took.
    """

    addresses: tuple[Address, ...]
    exists: bool
    seconds: float


class NoServerAnsweredError(CheckFailed):
    """Raised when every server was silent or answered with an error.

    Attributes:
        silent: Whether every server was silent, so that further queries are useless.
    """

    def __init__(self, detail: str, *, silent: bool = False) -> None:
        self.silent = silent
        super().__init__(Reason.RESOLVE, detail)

    def fresh_copy(self) -> NoServerAnsweredError:
        """Return a copy of this failure to raise, as `CheckFailed.fresh_copy` does."""
        self.__traceback__ = None
        return NoServerAnsweredError(self.detail, silent=self.silent)


def names_to_ask_for(name: str, config: ResolverConfig) -> list[str]:
    """Return a name as it is and completed with search domains, in the order to query them.

    Args:
        name: ASCII name; one that ends with a dot is not completed.
        config: The search domains, and how many dots a name needs to be queried as it is first.
    """
    if name.endswith("."):
        return [name]
    completed = [f"{name}.{domain}" for domain in config.search]
    fitting = [candidate for candidate in completed if address_question(candidate, 4) is not None]
    return [name, *fitting] if name.count(".") >= config.ndots else [*fitting, name]


async def look_up(name: str, version: int, config: ResolverConfig) -> LookupAnswer:
    """Look up the addresses of a name.

    Args:
        name: ASCII name, taken as absolute.
        version: 4 or 6.
        config: Which servers to query, and how.

    Raises:
        NoServerAnsweredError: When every server was silent or answered with an error.
        CheckFailed: With reason `resolve` when the name is invalid; with `local` when this host has no socket left.
    """
    started = perf_counter()
    question = address_question(name, version)
    if question is None:
        raise CheckFailed(Reason.RESOLVE, f"{name} is not a domain name")
    answer = await _ask_in_turn(name, question, config)
    addresses = tuple(filter(None, map(parse_address, answer.texts(_MOST_ADDRESSES))))
    exists = bool(addresses) or answer.is_alias or answer.rcode == _NO_ERROR
    return LookupAnswer(addresses, exists, perf_counter() - started)


async def _ask_in_turn(name: str, question: Question, config: ResolverConfig) -> DnsAnswer:
    waits = [min(_FIRST_WAIT_SECONDS, config.timeout_seconds), *[config.timeout_seconds] * (config.attempts - 1)]
    errors: dict[NameServer, str] = {}
    for wait_seconds in waits:
        for server in config.servers:
            if server in errors:
                continue
            try:
                answer = await ask(question, server, wait_seconds)
            except TimeoutError:
                continue
            except CheckFailed as failure:
                if failure.reason is Reason.LOCAL:
                    raise
                errors[server] = failure.detail
                continue
            if answer.rcode in (_NO_ERROR, _NO_SUCH_NAME):
                return answer
            errors[server] = f"{server} answered {answer.rcode}"
    silence = f"did not answer within {sum(waits):g} s"
    details = [errors.get(server, f"{server} {silence}") for server in dict.fromkeys(config.servers)]
    raise NoServerAnsweredError(f"{name} could not be looked up: {'; '.join(details)}", silent=not errors)


_RECORD_TYPES = {4: dns.rdatatype.A, 6: dns.rdatatype.AAAA}
_QUERY_HEADER = b"\x01\x00\x00\x01" + bytes(6)  # recursion desired, one question: RFC 1035 section 4.1.1
_MAX_LABEL_OCTETS, _MAX_NAME_OCTETS = 63, 255  # RFC 1035 section 2.3.4


def address_question(name: str, version: int) -> Question | None:
    """Return the question for the addresses of a name; None when the name is invalid.

    It is without EDNS: addresses fit without it, and some old servers and firewalls do not support it.

    Args:
        name: The name in ASCII, taken as absolute.
        version: The IP version of the addresses, 4 or 6.
    """
    labels = name.lower().encode("ascii", "replace").removesuffix(b".").split(b".")
    owner = b"".join([bytes((len(label),)) + label for label in labels if 0 < len(label) <= _MAX_LABEL_OCTETS]) + b"\0"
    if len(owner) != sum(map(len, labels)) + len(labels) + 1 or len(owner) > _MAX_NAME_OCTETS or b"" in labels:
        return None
    record_type, record_class = _RECORD_TYPES[version], dns.rdataclass.IN
    section = owner + record_type.to_bytes(2) + record_class.to_bytes(2)
    return Question(_QUERY_HEADER + section, section, record_type, section[:-4], int(record_class))


async def ask(question: Question, server: NameServer, timeout_seconds: float) -> DnsAnswer:
    """Query a server and return its answer, whatever its response code.

    Raises:
        TimeoutError: When the server is silent for `timeout_seconds`.
        CheckFailed: With reason `resolve` when the server cannot be reached or its answer is malformed; with `local`
            when this host has no socket left.
    """
    try:
        async with asyncio.timeout(timeout_seconds):
            answer = await _ask_datagram(question, server)
            return await _ask_stream(question, server) if answer is None else answer
    except CheckFailed as failure:
        if failure.reason is Reason.LOCAL:
            raise
        raise CheckFailed(Reason.RESOLVE, f"{server}: {failure.detail}") from failure


async def _ask_datagram(question: Question, server: NameServer) -> DnsAnswer | None:
    """Return the answer; None when it was truncated."""
    address = parse_address(server.address)
    if address is None:
        raise CheckFailed(Reason.RESOLVE, "is not an IP address")
    with open_datagram_socket(address, server.port, None) as connected:
        return (await ask_datagram(question, connected, asyncio.get_running_loop())).answer


async def _ask_stream(question: Question, server: NameServer) -> DnsAnswer:
    stream = DnsStream(question)
    try:
        transport, _ = await asyncio.get_running_loop().create_connection(lambda: stream, server.address, server.port)
    except OSError as error:
        raise connection_failure(error, "connecting over TCP") from error
    try:
        answer = (await stream.ask()).answer
    finally:
        transport.abort()
    if answer is None:
        raise CheckFailed(Reason.PROTOCOL, "the answer over TCP is cut short too")
    return answer
