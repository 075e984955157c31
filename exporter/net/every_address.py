"""Every address of a name: looked up completely, in an order that stays the same, and what is measured about each."""

from __future__ import annotations

import asyncio
import math
from ipaddress import ip_address
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from exporter.model import MetricSpec, Reason, Subject, ValueKind
from exporter.net.dns.hosts import allowed_versions

if TYPE_CHECKING:
    from exporter.addresses import Address, Endpoint
    from exporter.errors import CheckFailed
    from exporter.net.connection_facts import ConnectionFacts
    from exporter.net.dns.resolver import Resolver
    from exporter.settings import NetworkSettings

MOST_ADDRESSES = 16
"""Most addresses that one check tests: more than names usually have, and few enough series."""

ADDRESS_COUNT = MetricSpec(
    name="probe_addresses", help="How many addresses the target's name has; absent without every_address"
)
ADDRESS_SUCCESS = MetricSpec(
    name="probe_address_success",
    help="1 when the check of the address is ok or degraded, 0 when it fails; absent for an address that the name no"
    " longer has",
    labels=("address",),
)
ADDRESS_STATUS = MetricSpec(
    name="probe_address_status",
    help="0 when the check of the address is ok, 1 when it is degraded, 2 when it fails",
    labels=("address",),
)
ADDRESS_DURATION = MetricSpec(
    name="probe_address_duration_seconds",
    help="Seconds that the check of the address took, with the lookup of the name that all of them share",
    labels=("address",),
)
ADDRESS_FAILURE = MetricSpec(
    name="probe_address_failure_info",
    help="1 with the reason why the check of the address fails; absent when it does not",
    labels=("address", "reason"),
)

EVERY_ADDRESS_METRICS = (ADDRESS_COUNT, ADDRESS_SUCCESS, ADDRESS_STATUS, ADDRESS_DURATION, ADDRESS_FAILURE)
"""Metric families of every check type that can test every address."""

ADDRESSES = Subject(
    name="addresses",
    kind=ValueKind.NUMBER,
    description="How many addresses the target's name has; needs `every_address: true`",
    bounds=(0, math.inf),
)


class FoundAddresses(NamedTuple):
    """The addresses of a host.

    Attributes:
        addresses: At least one: the preferred family first, in the order of their numbers within each.
        failure: Why the lookup of the other family failed, so that addresses may be missing; None when it did not.
    """

    addresses: tuple[Address, ...]
    failure: CheckFailed | None


async def every_address(
    resolver: Resolver, place: Endpoint, settings: NetworkSettings, facts: ConnectionFacts
) -> FoundAddresses:
    """Return all addresses of a host, in an order that stays the same although name servers rotate their answers.

    Args:
        resolver: Looks up the name.
        place: The host, a name or an address, and the port that will be connected to.
        settings: Address family, source address and name server.
        facts: Get the first address, and the time that all lookups took; also say what may be connected to.

    Raises:
        CheckFailed: As `Resolver.address`.
    """
    attempt, started = facts.attempt, perf_counter()
    try:
        with await resolver.candidates(place.host, settings, facts, port=place.port) as queue:
            with attempt.phase("resolve", on_timeout=Reason.RESOLVE, is_measured=False):
                while queue.under_way:
                    ended, _ = await asyncio.wait(queue.under_way, return_when=asyncio.FIRST_COMPLETED)
                    queue.take_in(ended)
            facts.lookup_seconds = queue.lookup_seconds or facts.lookup_seconds
    finally:
        facts.resolve_seconds = perf_counter() - started
    found = set()
    while (address := queue.take()) is not None:
        found.add(address)
    preferred = allowed_versions(settings)[0]
    in_order = sorted(found, key=lambda one: (one.version != preferred, ip_address(one.text)))
    facts.set_address(in_order[0])
    return FoundAddresses(tuple(in_order), queue.failures[0] if queue.failures else None)
