"""From a target's host to the one address that is connected to.

An own stub resolver, because the system's takes a thread per name and cannot be cancelled: IP addresses are taken as
they are, then the hosts file, then `localhost` (RFC 6761 section 6.3), then DNS with the system's servers and search
domains. One address is chosen, the first of the answer, and tried once, so that a check tests one thing.
"""

from __future__ import annotations

import asyncio
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

import anyio.to_thread

from exporter.attempt import current_attempt
from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net.addresses import Address, parse_address
from exporter.net.name_lookup import Answer, look_up
from exporter.net.sharing import SharedWork
from exporter.net.system_names import NameServer, ResolverConfig
from exporter.settings import parse_host_port

if TYPE_CHECKING:
    from exporter.net.phases import ConnectionFacts
    from exporter.net.system_names import SystemConfig, SystemNames
    from exporter.settings import NetworkSettings

_VERSIONS = {"ip4": (4,), "ip6": (6,), "prefer_ip4": (4, 6), "prefer_ip6": (6, 4), "any": (4, 6)}
_LOCALHOST = {4: "127.0.0.1", 6: "::1"}


class Lookups:
    """The lookups of one batch: each name, family and name server is asked for once, for all checks together."""

    def __init__(self, system: SystemNames) -> None:
        self._system = system
        self._configs: SharedWork[None, SystemConfig] = SharedWork()
        self._answers: SharedWork[tuple[str, int, str | None], Answer] = SharedWork()

    async def address(self, host: str, settings: NetworkSettings, facts: ConnectionFacts) -> Address:
        """Find the address to connect to; note it in the facts, and in any case the time it took.

        Raises:
            CheckFailed: With reason `resolve` when there is none; with `local` when `source_ip` excludes the families
                that the target and `ip_protocol` leave.
        """
        attempt = current_attempt()
        reason_before, attempt.timeout_reason = attempt.timeout_reason, Reason.RESOLVE
        literal = parse_address(host)
        system = None if literal or settings.resolver else await self._configs.result(None, self._read_system)
        started = perf_counter()
        lookup_seconds = None
        try:
            versions = _allowed_versions(settings)
            if literal is not None:
                address = _fitting(literal, versions, settings)
            else:
                address, lookup_seconds = await self._find(ascii_name(host), versions, settings, system)
        finally:
            facts.resolve_seconds = perf_counter() - started
            facts.lookup_seconds = facts.resolve_seconds if lookup_seconds is None else lookup_seconds
        facts.set_address(address)
        attempt.timeout_reason = reason_before
        return address

    async def name_servers(self) -> tuple[NameServer, ...]:
        """Give the system's DNS servers, in the order they are to be asked in."""
        system = await self._configs.result(None, self._read_system)
        return system.resolver.servers

    async def _find(
        self, name: str, versions: tuple[int, ...], settings: NetworkSettings, system: SystemConfig | None
    ) -> tuple[Address, float | None]:
        """Give the address of a name, and how long its lookup took when DNS was asked."""
        if system is not None:
            local = _local_address(name, versions, system)
            if local is not None:
                return local, None
            config = system.resolver
        else:
            address, port = parse_host_port(settings.resolver, default_port=53)
            config = ResolverConfig(servers=(NameServer(address, port),))
        return await self._ask_dns(name, versions, settings, config)

    async def _read_system(self) -> SystemConfig:
        return await anyio.to_thread.run_sync(self._system.read, abandon_on_cancel=True)

    async def _ask_dns(
        self, name: str, versions: tuple[int, ...], settings: NetworkSettings, config: ResolverConfig
    ) -> tuple[Address, float]:
        outcomes = [partial(self._outcome, name, version, settings.resolver, config) for version in versions]
        at_once = [asyncio.create_task(outcome()) for outcome in outcomes] if settings.ip_protocol == "any" else None
        failure = None
        try:
            for number, outcome in enumerate(outcomes):
                found = await (at_once[number] if at_once else outcome())
                if isinstance(found, CheckFailed):
                    failure = failure or found
                elif found.addresses:
                    return found.addresses[0], found.seconds
                elif not found.exists:
                    raise CheckFailed(Reason.RESOLVE, f"{name} does not exist")
        finally:
            for task in at_once or ():
                task.cancel()
        raise failure or CheckFailed(Reason.RESOLVE, f"{name} has no {_families(versions)} address")

    async def _outcome(
        self, name: str, version: int, resolver: str | None, config: ResolverConfig
    ) -> Answer | CheckFailed:
        try:
            return await self._answers.result((name, version, resolver), partial(look_up, name, version, config))
        except CheckFailed as failure:
            return failure


def _allowed_versions(settings: NetworkSettings) -> tuple[int, ...]:
    """Give the IP versions that may be used, the preferred one first."""
    versions = _VERSIONS[settings.ip_protocol]
    source = None if settings.source_ip is None else parse_address(settings.source_ip)
    if source is None:
        return versions
    if source.version not in versions:
        raise CheckFailed(
            Reason.LOCAL, f"source_ip {source.text} cannot be used with ip_protocol {settings.ip_protocol}"
        )
    return (source.version,)


def _fitting(address: Address, versions: tuple[int, ...], settings: NetworkSettings) -> Address:
    if address.version in versions:
        return address
    if settings.source_ip is not None and address.version in _VERSIONS[settings.ip_protocol]:
        raise CheckFailed(Reason.LOCAL, f"{address.text} cannot be reached from source_ip {settings.source_ip}")
    raise CheckFailed(Reason.RESOLVE, f"{address.text} is no {_families(versions)} address")


def ascii_name(host: str) -> str:
    """Give a host name in lower-case ASCII, as DNS and certificates have it (IDNA 2003).

    Raises:
        CheckFailed: With reason `resolve` when there is no such form.
    """
    if host.isascii():
        return host.lower()
    try:
        return host.encode("idna").decode("ascii").lower()
    except UnicodeError as error:
        raise CheckFailed(Reason.RESOLVE, f"{host} is no host name") from error


def _local_address(name: str, versions: tuple[int, ...], system: SystemConfig) -> Address | None:
    """Give what this system knows by itself about a name; None when DNS has to be asked."""
    bare = name.removesuffix(".")
    known = [address for address in map(parse_address, system.hosts.get(bare, ())) if address is not None]
    for version in versions:
        for address in known:
            if address.version == version:
                return address
    if bare == "localhost" or bare.endswith(".localhost"):
        return parse_address(_LOCALHOST[versions[0]])
    return None


def _families(versions: tuple[int, ...]) -> str:
    return " or ".join(f"IPv{version}" for version in sorted(versions))
