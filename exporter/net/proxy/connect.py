"""One connection through a proxy: to the proxy, the tunnel, and TLS with the target inside it."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

from exporter.addresses import Endpoint
from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net.connect import bounded, shake_hands
from exporter.net.connection_facts import ConnectionFacts
from exporter.net.tls.transport import TlsTransport

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable

    from exporter.net.connect_options import ConnectOptions, ProxyOptions
    from exporter.net.proxy.tunnel import Tunnel
    from exporter.net.tls.context import TlsContext

    Connect = Callable[
        [asyncio.Protocol, Endpoint, ConnectOptions, ConnectionFacts],
        Awaitable[asyncio.Transport],
    ]


async def connect_to_proxy(
    connect: Connect, protocol: asyncio.Protocol, proxy: ProxyOptions, facts: ConnectionFacts
) -> asyncio.Transport:
    """Connect to a proxy; its phases are reported as the connection's, its TLS as part of connecting.

    Args:
        connect: Makes the connection to the proxy.
        protocol: The protocol that speaks to it.
        proxy: The proxy, and how to connect to it.
        facts: Filled as the connection progresses; their TLS facts, and the address if the proxy gets one, are those of
            the target.

    Raises:
        CheckFailed: As `connect` does, with a detail that names the proxy.
    """
    place = Endpoint(proxy.route.host, proxy.route.port)
    hop = ConnectionFacts(facts.attempt)
    hop.allowed_targets = None  # the configuration chose the proxy
    try:
        transport = await connect(protocol, place, proxy.connect, hop)
    except CheckFailed as failure:
        raise CheckFailed(failure.reason, f"the proxy {place} failed: {failure.detail}") from failure
    finally:
        facts.resolve_seconds += hop.resolve_seconds
        facts.connect_seconds = hop.connect_seconds + hop.tls_seconds
        if not proxy.gets_address:
            facts.lookup_seconds = hop.lookup_seconds
            facts.address, facts.ip_protocol, facts.ip_addr_hash = hop.address, hop.ip_protocol, hop.ip_addr_hash
    facts.ready_at = hop.ready_at
    return transport


async def open_tunnel(
    transport: asyncio.Transport, tunnel: Tunnel, target: Endpoint, options: ConnectOptions, facts: ConnectionFacts
) -> None:
    """Have the proxy connect to a target; the time this takes counts as connecting.

    Args:
        transport: The connection to the proxy.
        tunnel: Its protocol.
        target: The target; the proxy resolves a name.
        options: How to connect to the target, with the proxy and the time limit.
        facts: Updated with the time it took.

    Raises:
        CheckFailed: As `Tunnel.open` does, and with reason `connect_timeout` when the time limit has passed.
    """
    limit_seconds = options.settings.connect_timeout_seconds
    started = perf_counter()
    facts.ready_at = 0.0
    with facts.attempt.phase("connect", on_timeout=Reason.CONNECT_TIMEOUT, is_measured=False):
        try:
            async with bounded(limit_seconds):
                await tunnel.open(transport, target)
        except TimeoutError:
            transport.abort()
            raise CheckFailed(
                Reason.CONNECT_TIMEOUT, f"the proxy did not reach {target} within {limit_seconds:g} s"
            ) from None
        except BaseException:
            transport.abort()
            raise
        finally:
            facts.connect_seconds += perf_counter() - started
    facts.attempt.note("the proxy opened a tunnel", to=str(target), seconds=perf_counter() - started)


async def speak_through(
    transport: asyncio.Transport,
    tunnel: Tunnel,
    protocol: asyncio.Protocol,
    options: ConnectOptions,
    context: TlsContext | None,
    facts: ConnectionFacts,
) -> asyncio.Transport:
    """Connect a protocol through an open tunnel, over TLS when there is a context.

    Raises:
        CheckFailed: As `connect_tls` does.
    """
    if context is None:
        facts.ready_at = perf_counter()
        tunnel.hand_over(transport, protocol)
        return transport
    tls = TlsTransport(protocol, context, options.server_name, facts)
    tunnel.hand_over(transport, tls)
    await shake_hands(tls, options, facts)
    return tls
