"""One DNS question that a check asks a name server, over any transport, and how long each phase of it took."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from exporter.addresses import Endpoint, parse_address
from exporter.dns_query.https import ask_over_https, https_request
from exporter.dns_query.settings import ENCRYPTED
from exporter.errors import CheckFailed
from exporter.http.message import Exchange
from exporter.model import Measurement, Reason, phase_durations
from exporter.net.connect_options import connect_options
from exporter.net.connection_facts import ConnectionFacts, address_observations, resolution_measurements
from exporter.net.dns.exchange import DnsStream, ask_datagram
from exporter.net.tls.certificates import tls_measurements
from exporter.net.tls.subjects import tls_observations
from exporter.net.udp import open_datagram_socket
from exporter.settings import parse_host_port

if TYPE_CHECKING:
    from exporter.attempt import Attempt
    from exporter.dns_query.settings import DnsSettings
    from exporter.http.message import Sender, WireRequest
    from exporter.net.connect_options import ConnectOptions
    from exporter.net.dns.exchange import Reply
    from exporter.net.dns.message import Question
    from exporter.net.dns.reader import DnsAnswer
    from exporter.net.network import Network

DEFAULT_PORTS = {"udp": 53, "tcp": 53, "tls": 853, "https": 443, "quic": 853}
"""Ports of name servers by transport (RFC 1035, RFC 7766, RFC 7858, RFC 8484, RFC 9250)."""

_SHOWN_ANSWERS = 10
_HAND_OVER = frozenset(
    (Reason.CONNECT_REFUSED, Reason.CONNECT_TIMEOUT, Reason.CONNECTION_RESET, Reason.UNREACHABLE, Reason.TIMEOUT)
)
"""Failures after which the next of the system's servers is tried."""

PHASES = phase_durations(
    "dns",
    ("resolve", "connect", "request"),
    "Seconds spent finding the server's address, connecting to it (TLS included) and waiting for its answer; 0 for "
    "a phase that was not reached",
)


class PreparedQuery(NamedTuple):
    """What every run of a query needs, computed once when the configuration is loaded; immutable, shared by runs.

    Attributes:
        question: The question.
        server: The server to query; None for the system's servers.
        connect: How to connect to that server, as far as the transport needs a connection; None without a server.
        request: The HTTP request to that server for the transport `https`; else None.
    """

    question: Question
    server: Endpoint | None
    connect: ConnectOptions | None
    request: WireRequest | None = None


def options_for(server: Endpoint, settings: DnsSettings) -> ConnectOptions:
    """Return how to connect to a name server, as far as the transport needs a connection."""
    return connect_options(
        server,
        settings,
        tls=settings.tls_config if settings.transport in ENCRYPTED else None,
        tls_timeout_seconds=settings.tls_timeout_seconds,
    )


def prepare_query(question: Question, named: str | None, settings: DnsSettings) -> PreparedQuery:
    """Compute what every run of a query needs.

    Args:
        question: The question.
        named: The server to query, host or host:port; None for the system's servers.
        settings: Transport and connection options.
    """
    if named is None:
        return PreparedQuery(question, None, None)
    server = Endpoint(*parse_host_port(named, DEFAULT_PORTS[settings.transport]))
    request = https_request(question, server, settings) if settings.transport == "https" else None
    return PreparedQuery(question, server, options_for(server, settings), request)


class DnsQuery:
    """One query for one answer, and the time spent in each phase so far; lives as long as the attempt.

    Attributes:
        truncated: Whether the answer over UDP was truncated, so that the question was asked again over TCP.
    """

    def __init__(
        self, network: Network, settings: DnsSettings, prepared: PreparedQuery, attempt: Attempt, http: Sender
    ) -> None:
        """Prepare the query; nothing is sent yet.

        Args:
            network: Resolves names and connects.
            settings: Transport and connection options.
            prepared: The question and the server, as `prepare_query` returns them for these settings.
            attempt: The attempt that records what happens.
            http: Sends the request of the transport `https`.
        """
        self._network = network
        self._settings = settings
        self._attempt = attempt
        self._prepared = prepared
        self._facts = ConnectionFacts(attempt)
        self._resolve_seconds = 0.0
        self._connect_seconds = 0.0
        self._request_seconds = 0.0
        self.truncated = False
        self._http = http

    async def answer(self, timeout_seconds: float) -> DnsAnswer:
        """Query the server, or the system's servers in turn, and return the first answer.

        Args:
            timeout_seconds: The check's time limit in seconds, which the system's servers share.

        Raises:
            CheckFailed: When no server answered.
        """
        server, connect = self._prepared.server, self._prepared.connect
        if server is not None and connect is not None:
            return await self._ask(server, connect)
        port = DEFAULT_PORTS[self._settings.transport]
        servers = [Endpoint(one.address, port) for one in await self._network.resolver.name_servers(self._attempt)]
        for server in servers[:-1]:
            try:
                async with asyncio.timeout(timeout_seconds / len(servers)):
                    return await self._ask(server, options_for(server, self._settings))
            except TimeoutError:
                self._attempt.note("no answer in time; going on to the next server", server=server.host)
            except CheckFailed as failure:
                if failure.reason not in _HAND_OVER:
                    raise
                self._attempt.note("going on to the next server", server=server.host, why=failure.detail)
        return await self._ask(servers[-1], options_for(servers[-1], self._settings))

    @property
    def phase(self) -> str:
        """The current phase; empty before there is a connection to send the request over."""
        return "request" if self._settings.transport == "udp" or self._facts.ready_at else ""

    def report(self) -> None:
        """Report the phases and the facts measured so far."""
        self._attempt.measure_all(
            (
                Measurement(PHASES, self._resolve_seconds, ("resolve",)),
                Measurement(PHASES, self._connect_seconds, ("connect",)),
                Measurement(PHASES, self._request_seconds, ("request",)),
                *resolution_measurements(self._facts),
            )
        )
        self._attempt.observe(address_observations(self._facts))
        if self._facts.tls is not None:
            self._attempt.measure_all(tls_measurements(self._facts.tls))
            self._attempt.certificates = self._facts.tls.presented
            self._attempt.observe(tls_observations(self._facts.tls))

    async def _ask(self, server: Endpoint, connect: ConnectOptions) -> DnsAnswer:
        self._attempt.timeout_reason, self._attempt.phase_name = Reason.TIMEOUT, ""
        self._facts = ConnectionFacts(self._attempt)
        if self._settings.transport == "udp":
            reply, asked = await self._ask_udp(connect.connect_to or server, connect)
            if reply.answer is None:
                self.truncated = True
                self._attempt.note("the answer did not fit into a datagram; asking over TCP")
                again = replace(connect, connect_to=None, address=parse_address(asked.host))
                facts = ConnectionFacts(self._attempt)
                facts.allowed_targets = None  # the address has just been checked, and asked
                reply = await self._ask_stream(asked, again, facts)
        else:
            reply = await self._ask_connected(server, connect)
        answer = reply.answer
        assert answer is not None  # noqa: S101 - only datagrams are truncated
        self._attempt.note("answered", rcode=answer.rcode, answers=answer.texts(_SHOWN_ANSWERS), octets=answer.octets)
        if answer.nsid is not None:
            self._attempt.note("the server identified itself", nsid=answer.nsid)
        return answer

    async def _ask_connected(self, server: Endpoint, connect: ConnectOptions) -> Reply:
        """Ask over TCP, TLS, HTTPS or QUIC."""
        if self._settings.transport not in ("https", "quic"):
            return await self._ask_stream(server, connect, self._facts)
        reply = None
        try:
            if self._settings.transport == "https":
                reply = await self._ask_https(server)
            else:
                from exporter.dns_query.quic import ask_over_quic  # noqa: PLC0415 - it needs the extra `http3`

                reply = await ask_over_quic(self._network, server, connect, self._prepared.question, self._facts)
        finally:
            facts = self._facts
            self._resolve_seconds += facts.resolve_seconds
            self._connect_seconds += facts.connect_seconds + facts.tls_seconds
            if facts.ready_at:
                self._request_seconds += (reply.received_at if reply else perf_counter()) - facts.ready_at
        return reply

    async def _ask_https(self, server: Endpoint) -> Reply:
        question, request = self._prepared.question, self._prepared.request
        exchange = Exchange(self._attempt, secure=True)
        self._facts = exchange.connection
        request = request or https_request(question, server, self._settings)
        return await ask_over_https(self._http, request, question, exchange)

    async def _ask_udp(self, server: Endpoint, connect: ConnectOptions) -> tuple[Reply, Endpoint]:
        """Ask over UDP; return the reply, and the address that was asked."""
        try:
            address = await self._network.address(server, connect, self._facts)
        finally:
            self._resolve_seconds += self._facts.resolve_seconds
        asked = Endpoint(address.text, server.port)
        started = perf_counter()
        with open_datagram_socket(address, server.port, connect.settings.source_ip) as connected:
            began = perf_counter()
            self._connect_seconds += began - started
            self._attempt.note("asking", server=str(asked), transport="udp")
            reply = None
            try:
                reply = await ask_datagram(self._prepared.question, connected, self._network.readers, self._attempt)
            finally:
                self._request_seconds += (reply.received_at if reply else perf_counter()) - began
        return reply, asked

    async def _ask_stream(self, server: Endpoint, connect: ConnectOptions, facts: ConnectionFacts) -> Reply:
        stream = DnsStream(self._prepared.question)
        started = perf_counter()
        try:
            transport = await self._network.connect(stream, server, connect, facts)
        finally:
            self._resolve_seconds += facts.resolve_seconds
            self._connect_seconds += perf_counter() - started - facts.resolve_seconds
        began = perf_counter()
        reply = None
        try:
            reply = await stream.ask()
        finally:
            self._request_seconds += (reply.received_at if reply else perf_counter()) - began
            transport.abort()
        return reply
