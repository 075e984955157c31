"""Chooses what a proxy is told to connect to: the target's name or its address, if that is allowed."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from exporter.addresses import Endpoint, parse_address
from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net.admission import refuse_address
from exporter.net.connection_facts import ConnectionFacts

if TYPE_CHECKING:
    from exporter.allowed_targets import AllowedTargets
    from exporter.net.connect_options import ProxyOptions
    from exporter.net.dns.resolver import Resolver
    from exporter.net.proxy.route import ProxyRoute
    from exporter.settings import NetworkSettings

_KNOWN_SECONDS = 2.0
"""Time limit of a lookup that only checks whether all addresses of a name are allowed."""


async def proxy_destination(
    target: Endpoint, proxy: ProxyOptions, settings: NetworkSettings, facts: ConnectionFacts, resolver: Resolver
) -> Endpoint:
    """Return the target for the proxy: by name, or by address if its options or the allowed targets require that.

    Args:
        target: The target.
        proxy: The proxy.
        settings: How names are looked up.
        facts: The facts of the connection; they get the address if the options require one.
        resolver: Looks up names.

    Raises:
        CheckFailed: With reason `resolve` when an address is required and the name has none; with `local` when the
            target is not allowed, or is allowed only by address and the proxy forwards requests, so that it would look
            the name up again.
    """
    if proxy.gets_address:
        address = await resolver.address(target.host, settings, facts, port=target.port)
        return Endpoint(address.text, target.port)
    if facts.allowed_targets is None:
        return target
    return await _allowed(target, proxy.route, settings, facts, facts.allowed_targets, resolver)


async def _allowed(
    target: Endpoint,
    route: ProxyRoute,
    settings: NetworkSettings,
    facts: ConnectionFacts,
    allowed: AllowedTargets,
    resolver: Resolver,
) -> Endpoint:
    """Return the name if that is allowed, else its checked address."""
    literal = parse_address(target.host)
    if literal is not None:
        refuse_address(allowed, target.host, target.port, literal)
        return target
    why = allowed.refusal_of_name(target.host, target.port)
    if not why:
        await _refuse_known_addresses(target, settings, facts, allowed, resolver)
        return target
    if not route.tunnels or allowed.refusal_before_lookup(target.host, target.port):
        raise CheckFailed(Reason.LOCAL, why)
    address = await resolver.address(target.host, settings, ConnectionFacts(facts.attempt), port=target.port)
    return Endpoint(address.text, target.port)


async def _refuse_known_addresses(
    target: Endpoint, settings: NetworkSettings, facts: ConnectionFacts, allowed: AllowedTargets, resolver: Resolver
) -> None:
    """Refuse a name with an address that is not allowed, such as that of a metadata service.

    The proxy looks the name up again. A name that has no address here, or none in time, is left to it.
    """
    settings = settings.model_copy(update={"ip_protocol": "any", "source_ip": None})
    unrestricted = ConnectionFacts(facts.attempt)
    unrestricted.allowed_targets = None
    with suppress(TimeoutError):
        async with asyncio.timeout(_KNOWN_SECONDS):
            try:
                addresses = await resolver.candidates(target.host, settings, unrestricted, port=target.port)
            except CheckFailed:
                return
            with addresses:
                while addresses.under_way:
                    ended, _ = await asyncio.wait(addresses.under_way, return_when=asyncio.FIRST_COMPLETED)
                    addresses.take_in(ended)
                while (address := addresses.take()) is not None:
                    refuse_address(allowed, target.host, target.port, address)
