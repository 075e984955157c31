"""The network as checks see it: one call turns host and port into a measured connection."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Protocol

from exporter.attempt import current_attempt
from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net.addresses import endpoint, parse_address
from exporter.net.connect import connect_plain, connect_tls
from exporter.net.dns.getaddrinfo import ResolverThreads
from exporter.net.dns.resolver import Resolver, resolvable_name
from exporter.net.dns.system_files import SystemFiles
from exporter.net.file_access import FileAccess
from exporter.net.proxy.connect import connect_to_proxy, open_tunnel, speak_through
from exporter.net.proxy.tunnel import Tunnel
from exporter.net.singleflight import SingleFlight
from exporter.net.tls.context_cache import TlsContexts, touch
from exporter.settings import parse_host_port

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.attempt import Attempt
    from exporter.net.connection_facts import ConnectionFacts
    from exporter.net.proxy.route import ProxyRoute
    from exporter.net.tls.context import ContextRecipe, TlsContext
    from exporter.settings import NetworkSettings, TlsConfig

_REFRESH_SECONDS = 0.3
"""How long a batch waits for the files of TLS contexts before it starts its checks."""

_QUICK_SECONDS = 0.2
"""How long checking all of them together may take, before each is checked separately."""

_BUILD_SECONDS = 60.0
"""How long building a context from files just read may take: many of them keep the processor busy for a while."""

_WAITED_SECONDS = 0.0002
"""After a longer lookup the check waits for its turn, because many checks may have waited for the same lookup and
would all continue in one pass of the loop. TLS checks always wait: handshakes are most of the loop's work."""


class Pacer(Protocol):
    """Holds a check back until the event loop has time for its next step; implemented by the runner's pacer."""

    async def wait_for_turn(self) -> None:
        """Wait until one more check may continue."""

    async def wait_for_handshake(self) -> None:
        """Wait until one more check may begin to connect for a TLS handshake."""


class Network:
    """Resolver and TLS contexts; `Network()` lives as long as the process, `for_batch()` derives one per batch.

    Attributes:
        tls: TLS contexts, shared by all batches.
        lookups: Lookups of this batch.
        resolver_threads: Threads that call the system's resolver, shared by all batches.
        files: Reads files, shared by all batches.
    """

    def __init__(
        self,
        *,
        tls: TlsContexts | None = None,
        system_names: SystemFiles | None = None,
        pacer: Pacer | None = None,
        resolver_threads: ResolverThreads | None = None,
        files: FileAccess | None = None,
    ) -> None:
        self.tls = tls or TlsContexts()
        self._system_names = system_names or SystemFiles()
        self.resolver_threads = resolver_threads or ResolverThreads()
        self.files = files or FileAccess()
        self.lookups = Resolver(self._system_names, self.resolver_threads)
        self._pacer = pacer
        self._contexts_are_current = False
        self._contexts: SingleFlight[ContextRecipe, TlsContext] = SingleFlight()
        self._refreshing: SingleFlight[str, None] = SingleFlight()

    def for_batch(self, pacer: Pacer | None = None) -> Network:
        """Return a network with separate lookups, for one batch.

        Args:
            pacer: What paces the batch.
        """
        return Network(
            tls=self.tls,
            system_names=self._system_names,
            pacer=pacer,
            resolver_threads=self.resolver_threads,
            files=self.files,
        )

    async def refresh(self) -> None:
        """Rebuild the TLS contexts whose files have changed.

        Called before a batch starts its checks, so that none of them has to wait. When it takes long, only the checks
        that need a context wait.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(_REFRESH_SECONDS):
                await self._refreshing.result("", self._refresh)

    async def _refresh(self) -> None:
        if self.tls.has_any():
            try:
                await self.files.result("TLS", "a file for TLS", self.tls.refresh, _QUICK_SECONDS)
            except CheckFailed:  # reading one of the files hangs, and it must not hold up the others
                await asyncio.gather(*[self._refresh_one(recipe) for recipe in self.tls.recipes()])
        self._contexts_are_current = True

    async def _refresh_one(self, recipe: ContextRecipe) -> None:
        try:
            await self._build(recipe)
        except CheckFailed:
            self.tls.forget(recipe)  # the checks that need it will fail with the reason

    async def connect(  # noqa: PLR0913 - the one place where every protocol says what connection it needs
        self,
        protocol_factory: Callable[[], asyncio.Protocol],
        host: str,
        port: int,
        settings: NetworkSettings,
        facts: ConnectionFacts,
        *,
        tls: TlsConfig | None = None,
        server_name: str | None = None,
        tls_timeout_seconds: float | None = None,
        alpn: tuple[str, ...] = (),
        proxy: ProxyRoute | None = None,
    ) -> tuple[asyncio.Transport, asyncio.Protocol]:
        """Resolve, connect and, with `tls`, shake hands.

        Args:
            protocol_factory: Makes the protocol, which is connected once the handshake, if any, is done.
            host: Name or IP address (IPv6 without brackets).
            port: Port.
            settings: Address family, source address, name server, fixed address, how many to try, and time limit.
            facts: Filled as the connection progresses, whatever the outcome.
            tls: TLS options; None for a plain connection.
            server_name: Name sent and verified when `tls` sets none; the host by default.
            tls_timeout_seconds: Limit of the handshake alone.
            alpn: Application protocols offered, preferred one first.
            proxy: The proxy to the host; it resolves the name, and `settings` apply to reaching the proxy.

        Raises:
            CheckFailed: When a step fails.
        """
        attempt = current_attempt()
        context = None if tls is None else await self.context(tls, alpn)
        if proxy is not None:
            name = verifiable_name(server_name or (tls and tls.server_name) or host)
            return await self._connect_by_proxy(
                protocol_factory, (host, port), settings, facts, proxy, context, (name, tls_timeout_seconds)
            )
        host_to_find, port = place_to_find(host, port, settings)
        with await self.lookups.candidates(host_to_find, settings, facts) as candidates:
            attempt.note("resolved", host=host_to_find, address=facts.address, seconds=facts.resolve_seconds)
            if tls is not None or facts.resolve_seconds > _WAITED_SECONDS:
                await self.wait_for_turn(attempt, handshake=tls is not None)
            protocol = protocol_factory()
            if tls is None or context is None:
                transport = await connect_plain(protocol, candidates, port, settings, facts)
                attempt.note("connected", to=endpoint(facts.address, port), seconds=facts.connect_seconds)
                return transport, protocol
            transport = await connect_tls(
                protocol,
                candidates,
                port,
                settings,
                facts,
                context=context,
                server_name=verifiable_name(server_name or tls.server_name or host),
                timeout_seconds=tls_timeout_seconds,
            )
            attempt.note(
                "connected over TLS",
                to=endpoint(facts.address, port),
                connect_seconds=facts.connect_seconds,
                tls_seconds=facts.tls_seconds,
            )
            return transport, protocol

    async def _connect_by_proxy(
        self,
        protocol_factory: Callable[[], asyncio.Protocol],
        target: tuple[str, int],
        settings: NetworkSettings,
        facts: ConnectionFacts,
        proxy: ProxyRoute,
        context: TlsContext | None,
        handshake: tuple[str, float | None],
    ) -> tuple[asyncio.Transport, asyncio.Protocol]:
        """Connect to a proxy and, if it tunnels, through it; `handshake` is the name to verify and the time limit."""

        async def connect(make: Callable[[], asyncio.Protocol], hop: ConnectionFacts) -> asyncio.Transport:
            tls = proxy.tls if proxy.kind == "https" else None
            made = await self.connect(make, proxy.host, proxy.port, settings, hop, tls=tls)
            return made[0]

        protocol = protocol_factory()
        if not proxy.tunnels:
            return await connect_to_proxy(connect, lambda: protocol, proxy, facts), protocol
        if context is not None:
            await self.wait_for_turn(current_attempt(), handshake=True)
        tunnel = Tunnel()
        transport = await connect_to_proxy(connect, lambda: tunnel, proxy, facts)
        await open_tunnel(transport, tunnel, proxy, target, settings.connect_timeout_seconds, facts)
        server_name, tls_timeout_seconds = handshake
        transport = await speak_through(
            transport,
            tunnel,
            protocol,
            facts,
            context=context,
            server_name=server_name,
            tls_timeout_seconds=tls_timeout_seconds,
        )
        return transport, protocol

    async def context(self, tls: TlsConfig, alpn: tuple[str, ...] = ()) -> TlsContext:
        """Return the TLS context for a configuration; a new one is built in a worker thread.

        The target is not to blame for that wait, which counts as time the check was held.

        Raises:
            CheckFailed: With reason `local` when a file is missing or unusable.
        """
        recipe = self.tls.recipe(tls, alpn)
        if self._contexts_are_current:
            known = self.tls.known(recipe)
            if known is not None:
                return known
        started = perf_counter()
        attempt = current_attempt()
        before = attempt.timeout_reason, attempt.timeout_detail
        attempt.timeout_reason, attempt.timeout_detail = Reason.LOCAL, "a file of tls_config could not be read"
        try:
            if not self._contexts_are_current:
                await self._refreshing.result("", self._refresh)
            context = self.tls.known(recipe)
            if context is None:
                context = await self._contexts.result(recipe, partial(self._build, recipe))
        finally:
            attempt.held_seconds += perf_counter() - started
        attempt.timeout_reason, attempt.timeout_detail = before
        return context

    async def wait_for_turn(self, attempt: Attempt, *, handshake: bool) -> None:
        """Let checks that waited together for one lookup or context continue, or shake hands, one by one."""
        if self._pacer is None:
            return
        started = perf_counter()
        try:
            await (self._pacer.wait_for_handshake() if handshake else self._pacer.wait_for_turn())
        except asyncio.CancelledError:
            attempt.timeout_detail = "the exporter had too much to do to go on with it"
            raise
        finally:
            attempt.held_seconds += perf_counter() - started

    async def _build(self, recipe: ContextRecipe) -> TlsContext:
        """Build a context; each file is read first, so that only one thread waits for it, not one per context."""
        for file in recipe.files:
            await self.files.result(("TLS", file), f"TLS cannot be set up from {file}: it", partial(touch, file))
        named = ", ".join(recipe.files) or "the system's authorities"
        work = partial(self.tls.context, recipe)
        return await self.files.result(recipe, f"TLS cannot be set up from {named}: a file", work, _BUILD_SECONDS)


def place_to_find(host: str, port: int, settings: NetworkSettings) -> tuple[str, int]:
    """Return the host and port to connect to: those of the target, unless `connect_to` overrides them."""
    return (host, port) if settings.connect_to is None else parse_host_port(settings.connect_to, default_port=port)


def verifiable_name(name: str) -> str:
    """Return the name as it appears in certificates: without the final dot, an address without its zone."""
    address = parse_address(name)
    return resolvable_name(name).removesuffix(".") if address is None else address.text.partition("%")[0]
