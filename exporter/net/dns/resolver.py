"""Resolve a target's host to the address to connect to, or to all candidates.

A built-in stub resolver, because the system's needs a thread per name and cannot be cancelled: IP addresses are used as
they are, then come the hosts file, `localhost` (RFC 6761 section 6.3), and DNS with the system's servers and search
domains. The first address of the answer is chosen and tried once, so that a check tests one thing. The system's
resolver and the use of all addresses are options of a check.
"""

from __future__ import annotations

import asyncio
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

import anyio.to_thread

from exporter.addresses import Address, parse_address
from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net.dns.address_queue import AddressQueue
from exporter.net.dns.getaddrinfo import ResolverThreads
from exporter.net.dns.hosts import allowed_versions, families_text, fitting_address, resolvable_name
from exporter.net.dns.stub import LookupAnswer, NoServerAnsweredError, look_up, names_to_ask_for
from exporter.net.dns.system_files import NameServer, ResolverConfig
from exporter.net.singleflight import SingleFlight
from exporter.settings import SYSTEM_RESOLVER, parse_host_port

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from exporter.allowed_targets import AllowedTargets
    from exporter.attempt import Attempt
    from exporter.net.connection_facts import ConnectionFacts
    from exporter.net.dns.address_queue import Outcome
    from exporter.net.dns.system_files import SystemConfig, SystemFiles
    from exporter.settings import NetworkSettings

    Ask = Callable[[int], Coroutine[Any, Any, Outcome]]
    FamilyOutcome = tuple[int, Outcome]

_OTHERS_SECONDS = 1.0
"""How long a check that has already failed waits for a more precise reason."""

_LOCALHOST = {4: "127.0.0.1", 6: "::1"}


class Resolver:
    """The lookups of one batch: each combination of name, family and name server is looked up once for all checks."""

    def __init__(self, system: SystemFiles, resolver_threads: ResolverThreads | None = None) -> None:
        self._system = system
        self._threads = resolver_threads or ResolverThreads()
        self._configs: SingleFlight[None, SystemConfig] = SingleFlight()
        self._answers: SingleFlight[tuple[str, int, str | None], LookupAnswer] = SingleFlight()

    async def address(self, host: str, settings: NetworkSettings, facts: ConnectionFacts, *, port: int = 0) -> Address:
        """Return one address to use; record it in the facts, and the time taken in any case.

        Args:
            host: Name or IP address.
            settings: Address family, source address and name server.
            facts: The facts of the connection, including its allowed targets.
            port: The port that will be connected to, by which the address may be refused; 0 for none.

        Raises:
            CheckFailed: With reason `resolve` when there is none; with `local` when `source_ip` excludes the families
                that the target and `ip_protocol` allow, the allowed targets do not include it, or this host lacks the
                means to look it up.
        """
        found = await self._find(host, settings, facts, port, several=False)
        return found if isinstance(found, Address) else _first(found)

    async def candidates(
        self, host: str, settings: NetworkSettings, facts: ConnectionFacts, *, port: int = 0
    ) -> AddressQueue:
        """Return all addresses to connect to; record the first in the facts, and the time taken in any case.

        There is at least one on return, and lookups for more may still be running.

        Raises:
            CheckFailed: As `address` does.
        """
        found = await self._find(host, settings, facts, port, several=True)
        return AddressQueue.of([found]) if isinstance(found, Address) else found

    async def name_servers(self, attempt: Attempt) -> tuple[NameServer, ...]:
        """Return the system's DNS servers, in the order to query them."""
        system = await self._configs.result(None, self._read_system, attempt.started)
        return system.resolver.servers

    async def _find(
        self, host: str, settings: NetworkSettings, facts: ConnectionFacts, port: int, *, several: bool
    ) -> AddressQueue | Address:
        attempt = facts.attempt
        literal = parse_address(host)
        with attempt.phase("resolve", on_timeout=Reason.RESOLVE, is_measured=False):
            if literal is None and not settings.resolver:
                system = await self._configs.result(None, self._read_system, attempt.started)
            else:
                system = None
            started = perf_counter()
            lookup_seconds = None
            try:
                versions = allowed_versions(settings)
                if literal is not None:
                    found: AddressQueue | Address = fitting_address(literal, versions, settings)
                else:
                    name = resolvable_name(host)
                    found = await self._look_up(name, versions, settings, system, attempt.started, several=several)
                    lookup_seconds = found.lookup_seconds
            except asyncio.CancelledError:
                if settings.resolver == SYSTEM_RESOLVER:
                    attempt.timeout_detail = self._threads.obstacle(resolvable_name(host))
                raise
            finally:
                facts.resolve_seconds = perf_counter() - started
                facts.lookup_seconds = facts.resolve_seconds if lookup_seconds is None else lookup_seconds
        if facts.allowed_targets is not None:
            _refuse(found, host, port, facts.allowed_targets)
        facts.set_address(found if isinstance(found, Address) else _first(found))
        return found

    async def _look_up(
        self,
        name: str,
        versions: tuple[int, ...],
        settings: NetworkSettings,
        system: SystemConfig | None,
        since: float,
        *,
        several: bool,
    ) -> AddressQueue:
        if system is not None:
            local = _local_addresses(name, versions, system)
            if local:
                return AddressQueue.of(local if several else local[:1])
        config = _config(settings.resolver, system)
        outcomes: list[FamilyOutcome] = []
        for candidate in [name] if config is None else names_to_ask_for(name, config):
            ask = partial(self._outcome, since, candidate, settings.resolver, config)
            find = self._ask_for_all if several else self._ask_for_one
            found = await find(versions, settings, ask, outcomes)
            if found is not None:
                return found
            if any(isinstance(outcome, NoServerAnsweredError) and outcome.silent for _, outcome in outcomes):
                break
        if config is not None and len(versions) == 1 and not any(_may_exist(outcome) for _, outcome in outcomes):
            outcomes += await self._ask_for_others(since, name, versions[0], settings, config)
        raise _nothing_found(name, versions, outcomes)

    async def _read_system(self) -> SystemConfig:
        return await anyio.to_thread.run_sync(self._system.read, abandon_on_cancel=True)

    async def _ask_for_one(
        self, versions: tuple[int, ...], settings: NetworkSettings, ask: Ask, outcomes: list[FamilyOutcome]
    ) -> AddressQueue | None:
        """Look up one family after the other until there is an address, or all at once when none is preferred.

        NXDOMAIN is believed only for the family that was looked up: some servers return it for names that have
        addresses of the other family (RFC 4074 section 4.2).
        """
        at_once = [asyncio.create_task(ask(version)) for version in versions] if settings.ip_protocol == "any" else None
        try:
            for number, version in enumerate(versions):
                outcome = await (at_once[number] if at_once else ask(version))
                if isinstance(outcome, LookupAnswer) and outcome.addresses:
                    return AddressQueue.of(outcome.addresses[:1], outcome.seconds)
                outcomes.append((version, outcome))
        finally:
            for task in at_once or ():
                task.cancel()
        return None

    async def _ask_for_all(
        self, versions: tuple[int, ...], _settings: NetworkSettings, ask: Ask, outcomes: list[FamilyOutcome]
    ) -> AddressQueue | None:
        """Look up all families at once, and return the addresses as soon as the first may be tried."""
        candidates = AddressQueue(versions, {version: asyncio.create_task(ask(version)) for version in versions})
        try:
            await candidates.settle()
        except BaseException:
            candidates.close()
            raise
        if candidates.next is not None:
            return candidates
        outcomes += [(version, candidates.outcomes[version]) for version in versions]
        return None

    async def _ask_for_others(
        self, since: float, name: str, version: int, settings: NetworkSettings, config: ResolverConfig
    ) -> list[FamilyOutcome]:
        """Look up the unusable family, to distinguish a name that does not exist from one with other addresses only."""
        other = 10 - version
        try:
            async with asyncio.timeout(_OTHERS_SECONDS):
                return [
                    (other, await self._outcome(since, candidate, settings.resolver, config, other))
                    for candidate in names_to_ask_for(name, config)
                ]
        except TimeoutError:
            return []

    async def _outcome(
        self, since: float, name: str, resolver: str | None, config: ResolverConfig | None, version: int
    ) -> Outcome:
        ask = (
            partial(self._threads.look_up, name, version) if config is None else partial(look_up, name, version, config)
        )
        try:
            return await self._answers.result((name, version, resolver), ask, since)
        except CheckFailed as failure:
            return failure


def _refuse(found: AddressQueue | Address, host: str, port: int, allowed: AllowedTargets) -> None:
    """Refuse the address, or those of several, that the allowed targets do not include."""
    queue = AddressQueue.of([found]) if isinstance(found, Address) else found
    try:
        queue.keep_only(lambda address: allowed.refusal(host, port, address.text))
    except CheckFailed:
        queue.close()
        raise


def _first(candidates: AddressQueue) -> Address:
    first = candidates.next
    assert first is not None  # noqa: S101 - lookups that find none fail
    return first


def _config(resolver: str | None, system: SystemConfig | None) -> ResolverConfig | None:
    """Return which servers to query, and how; None for the system's resolver."""
    if system is not None:
        return system.resolver
    if resolver == SYSTEM_RESOLVER:
        return None
    address, port = parse_host_port(resolver, default_port=53)
    return ResolverConfig(servers=(NameServer(address, port),))


def _may_exist(outcome: Outcome) -> bool:
    return not isinstance(outcome, LookupAnswer) or outcome.exists


def _nothing_found(name: str, versions: tuple[int, ...], outcomes: list[FamilyOutcome]) -> CheckFailed:
    """Return why a name has no address, from the lookups of its families.

    Args:
        name: The name.
        versions: The families that could be used.
        outcomes: The outcomes of the lookups for these families, and perhaps for the other one.
    """
    for version, outcome in outcomes:
        if isinstance(outcome, CheckFailed) and version in versions:
            return outcome.fresh_copy()
    if len({version for version, _ in outcomes}) > 1 and not any(_may_exist(outcome) for _, outcome in outcomes):
        return CheckFailed(Reason.RESOLVE, f"{name} does not exist")
    return CheckFailed(Reason.RESOLVE, f"{name} has no {families_text(versions)} address")


def _local_addresses(name: str, versions: tuple[int, ...], system: SystemConfig) -> list[Address]:
    """Return the addresses this system knows without DNS, preferred family first; empty when DNS must be queried."""
    bare = name.removesuffix(".")
    known = [address for address in map(parse_address, system.hosts.get(bare, ())) if address is not None]
    fitting = [address for version in versions for address in known if address.version == version]
    if not fitting and (bare == "localhost" or bare.endswith(".localhost")):
        return [address for version in versions if (address := parse_address(_LOCALHOST[version])) is not None]
    return fitting
