"""What DNS knows about a name in one address family: search domains, servers in turn, CNAMEs.

Source: resolv.conf(5) for the order of names and servers. Beyond it a server that answers with an error is not asked
again in the same lookup, and a silent one is waited for only shortly the first time.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

import dns.exception
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype

from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net.addresses import Address, parse_address
from exporter.net.name_query import ask

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.net.system_names import NameServer, ResolverConfig

_FIRST_WAIT_SECONDS = 1.0
"""How long a server is waited for the first time, whatever the configuration says: a lost datagram or a dead first
server then costs a second and not the five of resolv.conf(5), which are all the time a check has."""

_RECORD_TYPES = {4: dns.rdatatype.A, 6: dns.rdatatype.AAAA}
_ANSWERS = (dns.rcode.NOERROR, dns.rcode.NXDOMAIN)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a name has in one address family.

    Attributes:
        addresses: In the order of the answer; empty when there are none.
        exists: Whether the name exists, with records of other types perhaps.
        seconds: How long finding out took.
    """

    addresses: tuple[Address, ...]
    exists: bool
    seconds: float


async def look_up(name: str, version: int, config: ResolverConfig) -> Answer:
    """Ask for the addresses of a name.

    Args:
        name: ASCII name; one that ends with a dot is not completed with search domains.
        version: 4 or 6.
        config: Whom to ask, and how.

    Raises:
        CheckFailed: With reason `resolve` when the servers could not tell, or the name is none; with `local` when this
            host has no socket to spare.
    """
    started = perf_counter()
    exists = False
    trouble = None
    for candidate in _candidates(name, config):
        try:
            addresses = await _addresses(candidate, version, config)
        except _NotToldError as error:
            trouble = trouble or error
            if error.silent:
                break
        else:
            if addresses:
                return Answer(addresses, exists=True, seconds=perf_counter() - started)
            exists = exists or addresses is not None
    if trouble is not None:
        raise CheckFailed(Reason.RESOLVE, f"{name} could not be looked up: {trouble}")
    return Answer((), exists, perf_counter() - started)


class _NotToldError(Exception):
    """Raised when no server told; `silent` says that none answered at all, so that asking for more is in vain."""

    def __init__(self, detail: str, *, silent: bool = False) -> None:
        self.silent = silent
        super().__init__(detail)


def _candidates(name: str, config: ResolverConfig) -> Iterator[dns.name.Name]:
    """Give the absolute names to ask for, best first."""
    try:
        absolute = dns.name.from_text(name)
        domains = [dns.name.from_text(domain) for domain in config.search]
    except dns.exception.DNSException as error:
        raise CheckFailed(Reason.RESOLVE, f"{name} is no domain name") from error
    if name.endswith("."):
        domains = []
    as_it_is_first = name.count(".") >= config.ndots or not domains
    if as_it_is_first:
        yield absolute
    relative = absolute.relativize(dns.name.root)
    for domain in domains:
        try:
            yield relative.concatenate(domain)
        except dns.name.NameTooLong:
            continue
    if not as_it_is_first:
        yield absolute


async def _addresses(name: dns.name.Name, version: int, config: ResolverConfig) -> tuple[Address, ...] | None:
    """Give the addresses of an absolute name, () when it has none, None when it does not exist."""
    reply = await _ask_in_turn(name, _RECORD_TYPES[version], config)
    if reply.rcode() == dns.rcode.NXDOMAIN:
        return None
    try:
        records = reply.resolve_chaining().answer
    except dns.exception.DNSException as error:
        raise _NotToldError(f"the CNAME records of {name} lead nowhere") from error
    found = (parse_address(record.address) for record in records or ())
    return tuple(address for address in found if address is not None)


async def _ask_in_turn(
    name: dns.name.Name, record_type: dns.rdatatype.RdataType, config: ResolverConfig
) -> dns.message.QueryMessage:
    waits = [min(_FIRST_WAIT_SECONDS, config.timeout_seconds), *[config.timeout_seconds] * (config.attempts - 1)]
    errors: dict[NameServer, str] = {}
    for wait_seconds in waits:
        for server in config.servers:
            if server in errors:
                continue
            try:
                reply = await ask(name, record_type, server, wait_seconds)
            except TimeoutError:
                continue
            except CheckFailed as failure:
                if failure.reason is Reason.LOCAL:
                    raise
                errors[server] = failure.detail
                continue
            if reply.rcode() in _ANSWERS:
                return reply
            errors[server] = f"{server} answered {dns.rcode.to_text(reply.rcode())}"
    silence = f"did not answer within {sum(waits):g} s"
    told = [errors.get(server, f"{server} {silence}") for server in dict.fromkeys(config.servers)]
    raise _NotToldError("; ".join(told), silent=not errors)
