"""The network as checks see it: one call turns host and port into a measured connection."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import cached_property, partial
from time import perf_counter
from typing import TYPE_CHECKING, Protocol

from exporter.addresses import Endpoint
from exporter.addresses import endpoint as format_endpoint
from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net.admission import refuse_address
from exporter.net.connect import connect_plain, connect_tls
from exporter.net.dns.getaddrinfo import ResolverThreads
from exporter.net.dns.resolver import Resolver
from exporter.net.dns.system_files import SystemFiles
from exporter.net.file_access import FileAccess
from exporter.net.proxy.connect import connect_to_proxy, open_tunnel, speak_through
from exporter.net.proxy.destination import proxy_destination
from exporter.net.proxy.tunnel import Tunnel
from exporter.net.readers import SharedReaders
from exporter.net.singleflight import SingleFlight
from exporter.net.tls.context_cache import TlsContexts, touch

if TYPE_CHECKING:
    from exporter.addresses import Address
    from exporter.attempt import Attempt
    from exporter.net.connect_options import ConnectOptions, ProxyOptions
    from exporter.net.connection_facts import ConnectionFacts
    from exporter.net.dns.address_queue import AddressQueue
    from exporter.net.tls.context import TlsContext
    from exporter.net.tls.context_recipe import ContextRecipe

_REFRESH_SECONDS = 0.3
"""How long a batch waits for the files of TLS contexts before it starts its checks."""

_QUICK_SECONDS = 0.2
"""How long checking all of them together may take, before each is checked separately."""

_BUILD_SECONDS = 60.0
"""How long building a context from files just read may take: many of them keep the processor busy for a while."""

_WAITED_SECONDS = 0.0002
"""After a longer lookup the check waits for its turn, because many checks may have waited for the same lookup and
would all continue in one pass of the loop."""

_AT_ONCE_SECONDS = 0.002
"""A handshake that begins within this time of the check's start is reserved as a part of it. Handshakes are most of the
loop's work, so all others wait for a turn."""


class Pacer(Protocol):
    """Holds a check back until the event loop has time for its next step; implemented by the runner's pacer."""

    async def wait_for_turn(self) -> None:
        """Wait until one more check may continue."""

    async def wait_for_handshake(self) -> None:
        """Wait until one more check may begin to connect for a TLS handshake."""

    def reserve_handshake(self) -> None:
        """Let the next checks wait for a TLS handshake that begins now, without a turn."""


class Network:
    """Resolver and TLS contexts; `Network()` lives as long as the process, `for_batch()` derives one per batch.

    Attributes:
        tls: TLS contexts, shared by all batches.
        resolver_threads: Threads that call the system's resolver, shared by all batches.
        files: Reads files, shared by all batches.
        readers: Wait for the sockets of the batch.
    """

    def __init__(
        self,
        *,
        tls: TlsContexts | None = None,
        system_files: SystemFiles | None = None,
        pacer: Pacer | None = None,
        resolver_threads: ResolverThreads | None = None,
        files: FileAccess | None = None,
    ) -> None:
        self.tls = tls or TlsContexts()
        self._system_files = system_files or SystemFiles()
        self.resolver_threads = resolver_threads or ResolverThreads()
        self.files = files or FileAccess()
        self._pacer = pacer
        self.readers = SharedReaders()
        self._contexts_are_current = False

    def for_batch(self, pacer: Pacer | None = None) -> Network:
        """Return a network with separate lookups, for one batch.

        Args:
            pacer: What paces the batch.
        """
        return Network(
            tls=self.tls,
            system_files=self._system_files,
            pacer=pacer,
            resolver_threads=self.resolver_threads,
            files=self.files,
        )

    @cached_property
    def resolver(self) -> Resolver:
        """The resolver of this batch, which shares its lookups among all checks."""
        return Resolver(self._system_files, self.resolver_threads)

    @cached_property
    def _contexts(self) -> SingleFlight[ContextRecipe, TlsContext]:
        return SingleFlight()

    @cached_property
    def _refreshing(self) -> SingleFlight[str, None]:
        return SingleFlight()

    async def refresh(self) -> None:
        """Rebuild the TLS contexts whose files have changed.

        Called before a batch starts its checks, so that none of them has to wait. When it takes long, only the checks
        that need a context wait.
        """
        if not self.tls.recipes:
            self._contexts_are_current = True
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(_REFRESH_SECONDS):
                await self._refreshing.result("", self._refresh, perf_counter())

    async def _refresh(self) -> None:
        if self.tls.recipes:
            try:
                await self.files.result("TLS", "a file for TLS", self.tls.refresh, patience_seconds=_QUICK_SECONDS)
            except CheckFailed:  # reading one of the files hangs, and it must not hold up the others
                await asyncio.gather(*[self._refresh_one(recipe) for recipe in self.tls.recipes])
        self._contexts_are_current = True

    async def _refresh_one(self, recipe: ContextRecipe) -> None:
        try:
            await self._build(recipe)
        except CheckFailed:
            self.tls.forget(recipe)  # the checks that need it will fail with the reason

    def close(self) -> None:
        """Stop watching sockets, when all checks of the batch have ended."""
        self.readers.close()

    async def connect(
        self, protocol: asyncio.Protocol, endpoint: Endpoint, options: ConnectOptions, facts: ConnectionFacts
    ) -> asyncio.Transport:
        """Resolve, connect and, with TLS, shake hands.

        Args:
            protocol: Connected once the handshake, if any, is done.
            endpoint: Where to connect.
            options: How to connect, as `connect_options` returns it for the endpoint.
            facts: Filled as the connection progresses, whatever the outcome; its attempt logs what happens.

        Raises:
            CheckFailed: When a step fails.
        """
        context = None if options.tls is None else await self.context(options.tls, facts.attempt)
        if options.proxy is not None:
            return await self._connect_by_proxy(protocol, endpoint, options, options.proxy, context, facts)
        place = options.connect_to or endpoint
        if options.address is not None or not options.settings.happy_eyeballs:
            address = await self.address(place, options, facts)
            return await self._connect_to(protocol, address, place, options, context, facts)
        addresses = await self.resolver.candidates(place.host, options.settings, facts, port=place.port)
        with addresses:
            return await self._connect_to(protocol, addresses.only or addresses, place, options, context, facts)

    async def address(self, place: Endpoint, options: ConnectOptions, facts: ConnectionFacts) -> Address:
        """Return the address to contact, and record it.

        Args:
            place: Where to connect.
            options: How to connect there; they have the address when no name has to be looked up.
            facts: The facts of the connection.

        Raises:
            CheckFailed: As `Resolver.address` does.
        """
        if options.address is None:
            return await self.resolver.address(place.host, options.settings, facts, port=place.port)
        if facts.allowed_targets is not None:
            refuse_address(facts.allowed_targets, place.host, place.port, options.address)
        facts.set_address(options.address)
        return options.address

    async def _connect_to(
        self,
        protocol: asyncio.Protocol,
        addresses: Address | AddressQueue,
        place: Endpoint,
        options: ConnectOptions,
        context: TlsContext | None,
        facts: ConnectionFacts,
    ) -> asyncio.Transport:
        attempt, port = facts.attempt, place.port
        attempt.note("resolved", host=place.host, address=facts.address, seconds=facts.resolve_seconds)
        if context is not None or facts.resolve_seconds > _WAITED_SECONDS:
            await self.wait_for_turn(attempt, handshake=context is not None)
        if context is None:
            transport, facts.ready_at = await connect_plain(protocol, addresses, port, options.settings, facts)
            attempt.note("connected", to=format_endpoint(facts.address, port), seconds=facts.connect_seconds)
            return transport
        tls = await connect_tls(protocol, addresses, port, options, context, facts)
        attempt.note(
            "connected over TLS",
            to=format_endpoint(facts.address, port),
            connect_seconds=facts.connect_seconds,
            tls_seconds=facts.tls_seconds,
        )
        return tls

    async def _connect_by_proxy(
        self,
        protocol: asyncio.Protocol,
        target: Endpoint,
        options: ConnectOptions,
        proxy: ProxyOptions,
        context: TlsContext | None,
        facts: ConnectionFacts,
    ) -> asyncio.Transport:
        """Connect to a proxy and, if it tunnels, through it."""
        target = await proxy_destination(target, proxy, options.settings, facts, self.resolver)
        if not proxy.route.tunnels:
            return await connect_to_proxy(self.connect, protocol, proxy, facts)
        if context is not None:
            await self.wait_for_turn(facts.attempt, handshake=True)
        tunnel = Tunnel(proxy.route, facts.attempt)
        transport = await connect_to_proxy(self.connect, tunnel, proxy, facts)
        await open_tunnel(transport, tunnel, target, options, facts)
        return await speak_through(transport, tunnel, protocol, options, context, facts)

    async def context(self, recipe: ContextRecipe, attempt: Attempt) -> TlsContext:
        """Return the TLS context of a recipe; a new one is built in a worker thread.

        The target is not to blame for that wait, which counts as time the check was held.

        Raises:
            CheckFailed: With reason `local` when a file is missing or unusable.
        """
        if self._contexts_are_current:
            known = self.tls.known(recipe)
            if known is not None:
                return known
        with attempt.held(on_timeout=Reason.LOCAL, detail="a file of tls_config could not be read"):
            if not self._contexts_are_current:
                await self._refreshing.result("", self._refresh, attempt.started)
            context = self.tls.known(recipe)
            if context is None:
                context = await self._contexts.result(recipe, partial(self._build, recipe), attempt.started)
            return context

    async def wait_for_turn(self, attempt: Attempt, *, handshake: bool) -> None:
        """Let checks that waited together for one lookup or context continue, or shake hands, one by one."""
        if self._pacer is None:
            return
        if handshake and attempt.has_turn and attempt.seconds_so_far() < _AT_ONCE_SECONDS:
            attempt.has_turn = False
            self._pacer.reserve_handshake()
            return
        with attempt.held(detail="the exporter had too much to do to go on with it"):
            await (self._pacer.wait_for_handshake() if handshake else self._pacer.wait_for_turn())

    async def _build(self, recipe: ContextRecipe) -> TlsContext:
        """Build a context; each file is read first, so that only one thread waits for it, not one per context."""
        for file in recipe.files:
            await self.files.result(("TLS", file), f"TLS cannot be set up from {file}: it", partial(touch, file))
        named = ", ".join(recipe.files) or "the system's authorities"
        work = partial(self.tls.context, recipe)
        what = f"TLS cannot be set up from {named}: a file"
        return await self.files.result(recipe, what, work, patience_seconds=_BUILD_SECONDS)
