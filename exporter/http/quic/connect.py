"""Turn host and port into a measured QUIC connection, as `Network.connect` does for TCP.

The phase `connect` is the time from the first datagram sent to the first packet received, `tls` the time from then
until the handshake is complete and the certificate is verified. QUIC does both at once, so the contents of the peer's
first packets count towards the phase in which they are processed.
"""

from __future__ import annotations

import asyncio
import ssl
from functools import partial
from typing import TYPE_CHECKING

from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection

from exporter.attempt import current_attempt
from exporter.errors import CheckFailed
from exporter.http.quic.connection import QuicChannel
from exporter.model import Reason
from exporter.net.addresses import endpoint
from exporter.net.connect import bounded
from exporter.net.network import place_to_find, verifiable_name
from exporter.net.udp import open_datagram_socket

if TYPE_CHECKING:
    from exporter.net.connection_facts import ConnectionFacts
    from exporter.net.network import Network
    from exporter.net.tls.files import ClientCertificate
    from exporter.settings import NetworkSettings, TlsConfig

_IDLE_SECONDS = 3600.0
"""The time limit of the check ends the connection; the server's own idle timeout applies as well."""


async def connect_quic(
    network: Network,
    host: str,
    port: int,
    settings: NetworkSettings,
    facts: ConnectionFacts,
    *,
    tls: TlsConfig,
    server_name: str | None = None,
    tls_timeout_seconds: float | None = None,
) -> QuicChannel:
    """Resolve and connect.

    Args:
        network: Resolver, TLS contexts and pace.
        host: Name or IP address (IPv6 without brackets).
        port: Port.
        settings: Address family, source address, name server, fixed address and time limit.
        facts: Filled as the connection progresses, whatever the outcome.
        tls: TLS options; QUIC determines the versions.
        server_name: Name sent and verified when `tls` sets none; the host by default.
        tls_timeout_seconds: Limit of the handshake alone.

    Returns:
        The connection, which the caller closes.

    Raises:
        CheckFailed: When a step fails: as `Resolver.address`, `QuicChannel.answer` and `QuicChannel.shake_hands` do;
            `local` when a file is unusable; `connect_timeout` and `tls` when a limit has passed.
    """
    attempt = current_attempt()
    context = await network.context(tls)
    host_to_find, port = place_to_find(host, port, settings)
    address = await network.lookups.address(host_to_find, settings, facts)
    attempt.note("resolved", host=host_to_find, address=address.text, seconds=facts.resolve_seconds)
    await network.wait_for_turn(attempt, handshake=True)
    name = verifiable_name(server_name or tls.server_name or host)
    channel = QuicChannel(
        QuicConnection(configuration=_configuration(name, context.certificate)),
        open_datagram_socket(address, port, settings.source_ip),
        (address.text, port),
        name,
        facts,
        None if context.verifier is None else partial(context.verify, name),
    )
    try:
        await _answer(channel, endpoint(address.text, port), settings.connect_timeout_seconds)
        await _shake_hands(channel, name, tls_timeout_seconds)
    except BaseException:
        channel.close()
        raise
    attempt.note(
        "connected over QUIC",
        to=endpoint(address.text, port),
        connect_seconds=facts.connect_seconds,
        tls_seconds=facts.tls_seconds,
    )
    return channel


async def _answer(channel: QuicChannel, place: str, limit_seconds: float | None) -> None:
    attempt = current_attempt()
    reason_before, attempt.timeout_reason = attempt.timeout_reason, Reason.CONNECT_TIMEOUT
    try:
        async with bounded(limit_seconds):
            await channel.answer()
    except TimeoutError as error:
        detail = f"{place} did not answer within {limit_seconds:g} s"
        raise CheckFailed(Reason.CONNECT_TIMEOUT, detail) from error
    attempt.timeout_reason = reason_before


async def _shake_hands(channel: QuicChannel, name: str, limit_seconds: float | None) -> None:
    try:
        async with bounded(limit_seconds):
            await channel.shake_hands()
    except TimeoutError as error:
        raise CheckFailed(Reason.TLS, f"{name} did not complete the handshake in {limit_seconds:g} s") from error
    except asyncio.CancelledError:
        current_attempt().phase_name = "tls"
        raise


def _configuration(server_name: str, certificate: ClientCertificate | None) -> QuicConfiguration:
    configuration = QuicConfiguration(
        alpn_protocols=["h3"], server_name=server_name, verify_mode=ssl.CERT_NONE, idle_timeout=_IDLE_SECONDS
    )
    if certificate is not None:
        configuration.certificate, *configuration.certificate_chain = certificate.chain
        configuration.private_key = certificate.key
    return configuration
