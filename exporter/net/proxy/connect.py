"""One connection through a proxy: to the proxy, the tunnel, and TLS with the target inside it."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

from exporter.attempt import current_attempt
from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net.addresses import endpoint
from exporter.net.connect import bounded, shake_hands
from exporter.net.connection_facts import ConnectionFacts
from exporter.net.tls.transport import TlsTransport

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable

    from exporter.net.proxy.route import ProxyRoute
    from exporter.net.proxy.tunnel import Tunnel
    from exporter.net.tls.context import TlsContext

    Connect = Callable[[Callable[[], asyncio.Protocol], ConnectionFacts], Awaitable[asyncio.Transport]]


async def connect_to_proxy(
    connect: Connect, protocol_factory: Callable[[], asyncio.Protocol], route: ProxyRoute, facts: ConnectionFacts
) -> asyncio.Transport:
    """Connect to a proxy; its phases are reported as the connection's, its TLS as part of connecting.

    Args:
        connect: Makes the connection to the proxy.
        protocol_factory: Makes the protocol that speaks to it.
        route: The proxy.
        facts: Filled as the connection progresses; their TLS facts describe the target alone.

    Raises:
        CheckFailed: As `connect` does, with a detail that names the proxy.
    """
    hop = ConnectionFacts()
    try:
        transport = await connect(protocol_factory, hop)
    except CheckFailed as failure:
        raise CheckFailed(
            failure.reason, f"the proxy {endpoint(route.host, route.port)} failed: {failure.detail}"
        ) from failure
    finally:
        facts.resolve_seconds, facts.lookup_seconds = hop.resolve_seconds, hop.lookup_seconds
        facts.connect_seconds = hop.connect_seconds + hop.tls_seconds
        facts.address, facts.ip_protocol, facts.ip_addr_hash = hop.address, hop.ip_protocol, hop.ip_addr_hash
    facts.ready_at = hop.ready_at
    return transport


async def open_tunnel(
    transport: asyncio.Transport,
    tunnel: Tunnel,
    route: ProxyRoute,
    target: tuple[str, int],
    limit_seconds: float | None,
    facts: ConnectionFacts,
) -> None:
    """Have the proxy connect to a target; the time this takes counts as connecting.

    Args:
        transport: The connection to the proxy.
        tunnel: Its protocol.
        route: The proxy.
        target: Host and port of the target; the proxy resolves the name.
        limit_seconds: How long it may take.
        facts: Updated with the time it took.

    Raises:
        CheckFailed: As `Tunnel.open` does, and with reason `connect_timeout` when `limit_seconds` has passed.
    """
    attempt = current_attempt()
    reason_before, attempt.timeout_reason = attempt.timeout_reason, Reason.CONNECT_TIMEOUT
    started = perf_counter()
    facts.ready_at = 0.0
    try:
        async with bounded(limit_seconds):
            await tunnel.open(transport, route, *target)
    except TimeoutError:
        transport.abort()
        raise CheckFailed(
            Reason.CONNECT_TIMEOUT, f"the proxy did not reach {endpoint(*target)} within {limit_seconds:g} s"
        ) from None
    except BaseException:
        transport.abort()
        raise
    finally:
        facts.connect_seconds += perf_counter() - started
    attempt.timeout_reason = reason_before
    attempt.note("the proxy opened a tunnel", to=endpoint(*target), seconds=perf_counter() - started)


async def speak_through(
    transport: asyncio.Transport,
    tunnel: Tunnel,
    protocol: asyncio.Protocol,
    facts: ConnectionFacts,
    *,
    context: TlsContext | None,
    server_name: str,
    tls_timeout_seconds: float | None,
) -> asyncio.Transport:
    """Connect a protocol through an open tunnel, over TLS when there is a context.

    Raises:
        CheckFailed: As `connect_tls` does.
    """
    if context is None:
        facts.ready_at = perf_counter()
        tunnel.hand_over(transport, protocol)
        return transport
    tls = TlsTransport(protocol, context, server_name, facts)
    tunnel.hand_over(transport, tls)
    await shake_hands(tls, server_name, tls_timeout_seconds)
    return tls
