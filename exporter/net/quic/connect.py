"""Turn host and port into a measured QUIC connection, as `Network.connect` does for TCP.

The phase `connect` is the time from the first datagram sent to the first packet received, `tls` the time from then
until the handshake is complete and the certificate is verified. QUIC does both at once, so the contents of the peer's
first packets count towards the phase in which they are processed.
"""

from __future__ import annotations

import ssl
from functools import partial
from typing import TYPE_CHECKING

from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection

from exporter.addresses import endpoint
from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net.connect import bounded
from exporter.net.quic.connection import QuicChannel
from exporter.net.udp import open_datagram_socket

if TYPE_CHECKING:
    from exporter.addresses import Endpoint
    from exporter.attempt import Attempt
    from exporter.net.connect_options import ConnectOptions
    from exporter.net.connection_facts import ConnectionFacts
    from exporter.net.network import Network
    from exporter.net.quic.application import QuicApplication
    from exporter.net.tls.files import ClientCertificate

_IDLE_SECONDS = 3600.0
"""The time limit of the check ends the connection; the server's own idle timeout applies as well."""


async def connect_quic(
    network: Network, peer: Endpoint, options: ConnectOptions, application: QuicApplication, facts: ConnectionFacts
) -> QuicChannel:
    """Resolve and connect.

    Args:
        network: Resolver, TLS contexts and pace.
        peer: Where to connect.
        options: How to connect, with TLS; QUIC determines its versions, and no proxy is used.
        application: What is spoken over the connection.
        facts: Filled as the connection progresses, whatever the outcome.

    Returns:
        The connection, which the caller closes.

    Raises:
        CheckFailed: When a step fails: as `Resolver.address`, `QuicChannel.answer` and `QuicChannel.shake_hands` do;
            `local` when a file is unusable; `connect_timeout` and `tls` when a limit has passed.
    """
    attempt, name, place = facts.attempt, options.server_name, options.connect_to or peer
    assert options.tls is not None  # noqa: S101 - QUIC is always encrypted
    context = await network.context(options.tls, attempt)
    address = await network.address(place, options, facts)
    attempt.note("resolved", host=place.host, address=address.text, seconds=facts.resolve_seconds)
    await network.wait_for_turn(attempt, handshake=True)
    channel = QuicChannel(
        QuicConnection(configuration=_configuration(name, application, context.certificate)),
        open_datagram_socket(address, place.port, options.settings.source_ip),
        (address.text, place.port),
        name,
        application,
        facts,
        None if context.verifier is None else partial(context.verify, name),
    )
    to = endpoint(address.text, place.port)
    try:
        await _answer(channel, to, options.settings.connect_timeout_seconds, attempt)
        await _shake_hands(channel, name, options.tls_timeout_seconds, attempt)
    except BaseException:
        channel.close()
        raise
    attempt.note("connected over QUIC", to=to, connect_seconds=facts.connect_seconds, tls_seconds=facts.tls_seconds)
    return channel


async def _answer(channel: QuicChannel, place: str, limit_seconds: float | None, attempt: Attempt) -> None:
    with attempt.phase("connect", on_timeout=Reason.CONNECT_TIMEOUT, is_measured=False):
        try:
            async with bounded(limit_seconds):
                await channel.answer()
        except TimeoutError as error:
            detail = f"{place} did not answer within {limit_seconds:g} s"
            raise CheckFailed(Reason.CONNECT_TIMEOUT, detail) from error


async def _shake_hands(channel: QuicChannel, name: str, limit_seconds: float | None, attempt: Attempt) -> None:
    with attempt.phase("tls", is_measured=False):
        try:
            async with bounded(limit_seconds):
                await channel.shake_hands()
        except TimeoutError as error:
            raise CheckFailed(Reason.TLS, f"{name} did not complete the handshake in {limit_seconds:g} s") from error


def _configuration(
    server_name: str, application: QuicApplication, certificate: ClientCertificate | None
) -> QuicConfiguration:
    configuration = QuicConfiguration(
        alpn_protocols=[application.alpn],
        server_name=server_name,
        verify_mode=ssl.CERT_NONE,
        idle_timeout=_IDLE_SECONDS,
    )
    if certificate is not None:
        configuration.certificate, *configuration.certificate_chain = certificate.chain
        configuration.private_key = certificate.key
    return configuration
