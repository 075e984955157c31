"""Type `dns`: asks a name server a question and judges the answer.

The target is the name to query; the server is a setting. One query is sent over UDP and, if its answer is truncated,
another over TCP (RFC 7766 section 5); or everything goes over TCP or TLS (RFC 7858). Nothing is resent: a lost packet
is a finding, and `retries` can be set. Without a server in the settings, the system's servers are tried in turn as in
resolv.conf(5). How answers become texts is described in `exporter.net.dns.records`.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

import dns.rdataclass
import dns.rdatatype

from exporter.attempt import current_attempt
from exporter.checks.base import CheckType
from exporter.checks.judging_answers import demands_of, with_large_ones_judged
from exporter.errors import CheckFailed
from exporter.judging.content import TextForms
from exporter.model import Measurement, MetricSpec, Reason, Result, ResultStatus, leaves
from exporter.net import ConnectionFacts, Endpoint, Network, connect_options
from exporter.net.addresses import parse_address
from exporter.net.connection_facts import (
    ADDRESS_SUBJECTS,
    RESOLUTION_METRICS,
    address_observations,
    resolution_measurements,
)
from exporter.net.dns.answer import (
    ADDITIONAL_COUNT,
    ANSWER_COUNT,
    ANSWER_METRICS,
    ANSWER_SUBJECTS,
    ANSWERS,
    AUTHORITY_COUNT,
    RCODE,
    answer_measurements,
    answer_observations,
    answers_compared_with,
)
from exporter.net.dns.check_settings import DnsSettings, fit_expectation, validate_name
from exporter.net.dns.exchange import DnsStream, ask_datagram, prepare_question
from exporter.net.dns.question import name_of
from exporter.net.tls.certificates import TLS_METRICS, TLS_SUBJECTS, tls_measurements, tls_observations
from exporter.net.udp import open_datagram_socket
from exporter.settings import parse_host_port

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exporter.attempt import Attempt
    from exporter.checks.base import BatchContext
    from exporter.checks.judging_answers import Demands
    from exporter.model import Check, Expectation
    from exporter.net import ConnectOptions
    from exporter.net.dns.exchange import Reply
    from exporter.net.dns.message import Question
    from exporter.net.dns.reader import DnsAnswer
    from exporter.settings import CheckSettings

_SMALL_ANSWER_OCTETS = 1024  # smaller ones are judged on the event loop, whatever is expected of them
_DNSSEC_PAYLOAD_BYTES = 1232  # what passes any path unfragmented: DNS flag day 2020
_SHOWN_ANSWERS = 10
_DEFAULT_PORTS = {"udp": 53, "tcp": 53, "tls": 853}
_HAND_OVER = frozenset(
    (Reason.CONNECT_REFUSED, Reason.CONNECT_TIMEOUT, Reason.CONNECTION_RESET, Reason.UNREACHABLE, Reason.TIMEOUT)
)
"""Failures after which the next of the system's servers is tried."""

PHASES = MetricSpec(
    name="probe_dns_duration_seconds",
    help="Seconds spent finding the server's address, connecting to it (TLS included) and waiting for its answer; "
    "0 for a phase that was not reached",
    labels=("phase",),
    defaults=((("resolve",), 0.0), (("connect",), 0.0), (("request",), 0.0)),
)
_SPEAK_OF_ABSENCE = frozenset((RCODE, ANSWERS, ANSWER_COUNT, AUTHORITY_COUNT, ADDITIONAL_COUNT))
"""A check with an expectation about one of these has said what an empty answer means."""


_DEFAULTS = DnsSettings()


class PreparedDns(NamedTuple):
    """What a check does on every run, worked out once; shared by runs and never changed.

    Attributes:
        question: What is asked.
        server: Whom it is asked; None for the system's servers.
        connect: How to connect to that server, used as far as the transport needs it; None without one.
        demands: What the answer is judged by.
        forms: The forms in which large answers are compared.
    """

    question: Question
    server: Endpoint | None
    connect: ConnectOptions | None
    demands: Demands
    forms: frozenset[object]


def _prepare(check: Check) -> PreparedDns:
    """Work out the question, whom to ask and how, and what judging the answer costs."""
    settings = check.settings if isinstance(check.settings, DnsSettings) else _DEFAULTS
    payload_bytes = settings.edns_payload_bytes
    question = prepare_question(
        name_of(check.target, settings.record_type),
        dns.rdatatype.from_text(settings.record_type),
        dns.rdataclass.from_text(settings.record_class),
        recursion_desired=settings.recursion_desired,
        edns_payload_bytes=_DNSSEC_PAYLOAD_BYTES if settings.dnssec_ok and payload_bytes is None else payload_bytes,
        dnssec_ok=settings.dnssec_ok,
    )
    named, server = settings.server or settings.connect_to, None
    if named is not None:
        server = Endpoint(*parse_host_port(named, _DEFAULT_PORTS[settings.transport]))
    demands = demands_of((*check.expectations, *check.retry_expectations))
    return PreparedDns(
        question=question,
        server=server,
        connect=None if server is None else _connect_options(server, settings),
        demands=demands,
        forms=frozenset((None, *[one.selector for one in demands.expectations if one.subject is ANSWERS])),
    )


def _connect_options(server: Endpoint, settings: DnsSettings) -> ConnectOptions:
    return connect_options(
        server,
        settings,
        tls=settings.tls_config if settings.transport == "tls" else None,
        tls_timeout_seconds=settings.tls_timeout_seconds,
    )


class DnsCheckExecutor:
    """Asks one question per check, each on its own socket; lives as long as its batch."""

    def __init__(self, network: Network | None = None) -> None:
        self._network = network or Network()

    async def execute(self, check: Check) -> Result:
        """Query the server for the target and return the result."""
        settings = check.settings if isinstance(check.settings, DnsSettings) else _DEFAULTS
        attempt = current_attempt()
        prepared = check.prepared if isinstance(check.prepared, PreparedDns) else _prepare(check)
        inquiry = DnsAttempt(self._network, settings, prepared, attempt)
        try:
            answer = await inquiry.answer(check.timeout_seconds)
        except CheckFailed as failure:
            return Result(
                check_name=check.name, status=ResultStatus.ERROR, reason=failure.reason, detail=failure.detail
            )
        except asyncio.CancelledError:
            attempt.phase_name = attempt.phase_name or inquiry.phase
            raise
        finally:
            inquiry.report()
        attempt.measure_all(answer_measurements(answer))
        observed = {**answer_observations(answer, truncated=inquiry.truncated)}
        if answer.octets > _SMALL_ANSWER_OCTETS:
            observed[ANSWERS.name] = TextForms({form: answers_compared_with(answer, form) for form in prepared.forms})
            attempt.observe(await with_large_ones_judged(prepared.demands, observed, attempt))
        else:
            attempt.observe(observed)
        return _judge_presence(check, settings, answer)

    async def aclose(self) -> None:
        """Do nothing: every socket is closed with its check."""


class DnsAttempt:
    """One attempt to get one answer, and how long each of its phases took so far."""

    def __init__(self, network: Network, settings: DnsSettings, prepared: PreparedDns, attempt: Attempt) -> None:
        self._network = network
        self._settings = settings
        self._attempt = attempt
        self._prepared = prepared
        self._facts = ConnectionFacts(attempt)
        self._resolve_seconds = 0.0
        self._connect_seconds = 0.0
        self._request_seconds = 0.0
        self.truncated = False

    async def answer(self, timeout_seconds: float) -> DnsAnswer:
        """Query until there is an answer.

        Args:
            timeout_seconds: The check's time limit in seconds, shared by the system's servers.

        Raises:
            CheckFailed: When no server returned one.
        """
        server, connect = self._prepared.server, self._prepared.connect
        if server is not None and connect is not None:
            return await self._ask(server, connect)
        port = _DEFAULT_PORTS[self._settings.transport]
        servers = [Endpoint(one.address, port) for one in await self._network.lookups.name_servers(self._attempt)]
        for server in servers[:-1]:
            try:
                async with asyncio.timeout(timeout_seconds / len(servers)):
                    return await self._ask(server, _connect_options(server, self._settings))
            except TimeoutError:
                self._attempt.note("no answer in time; going on to the next server", server=server.host)
            except CheckFailed as failure:
                if failure.reason not in _HAND_OVER:
                    raise
                self._attempt.note("going on to the next server", server=server.host, why=failure.detail)
        return await self._ask(servers[-1], _connect_options(servers[-1], self._settings))

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
            self._attempt.observe(tls_observations(self._facts.tls))

    async def _ask(self, server: Endpoint, connect: ConnectOptions) -> DnsAnswer:
        self._attempt.timeout_reason, self._attempt.phase_name = Reason.TIMEOUT, ""
        self._facts = ConnectionFacts(self._attempt)
        if self._settings.transport == "udp":
            reply, asked = await self._ask_udp(connect.connect_to or server)
            if reply.answer is None:
                self.truncated = True
                self._attempt.note("the answer did not fit into a datagram; asking over TCP")
                again = replace(connect, connect_to=None, address=parse_address(asked.host))
                reply = await self._ask_stream(asked, again, ConnectionFacts(self._attempt))
        else:
            reply = await self._ask_stream(server, connect, self._facts)
        answer = reply.answer
        assert answer is not None  # noqa: S101 - only datagrams are truncated
        self._attempt.note("answered", rcode=answer.rcode, answers=answer.texts(_SHOWN_ANSWERS), octets=answer.octets)
        return answer

    async def _ask_udp(self, server: Endpoint) -> tuple[Reply, Endpoint]:
        """Ask over UDP; return the reply, and the address that was asked."""
        settings = self._settings
        try:
            address = await self._network.lookups.address(server.host, settings, self._facts)
        finally:
            self._resolve_seconds += self._facts.resolve_seconds
        asked = Endpoint(address.text, server.port)
        started = perf_counter()
        with open_datagram_socket(address, server.port, settings.source_ip) as connected:
            began = perf_counter()
            self._connect_seconds += began - started
            self._attempt.note("asking", server=str(asked), transport="udp")
            reply = None
            try:
                reply = await ask_datagram(self._prepared.question, connected, self._attempt)
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


def _judge_presence(check: Check, settings: DnsSettings, answer: DnsAnswer) -> Result:
    """Fail an answer without an error and without records, unless the check itself expects something of it."""
    if (
        answer.record_count
        or answer.rcode != "NOERROR"
        or any(one.subject in _SPEAK_OF_ABSENCE and not one.is_default for one in leaves(check.expectations))
    ):
        return Result(check_name=check.name, status=ResultStatus.OK)
    detail = f"{check.target} has no records of type {settings.record_type}"
    if answer.stray_count:
        detail += f"; the answer has {answer.stray_count} of other names"
    return Result(check_name=check.name, status=ResultStatus.ERROR, reason=Reason.EXPECTATION, detail=detail)


def _expect_no_error(settings: CheckSettings, own: Sequence[Expectation]) -> tuple[Mapping[str, object], ...]:
    return ({RCODE.name: {"eq": "NOERROR"}},)


def _make_executor(context: BatchContext) -> DnsCheckExecutor:
    return DnsCheckExecutor(context.network)


DNS = CheckType(
    name="dns",
    description="Queries a name server for records of a name, over UDP, TCP or TLS",
    executor=_make_executor,
    prepare=_prepare,
    settings=DnsSettings,
    metrics=(PHASES, *ANSWER_METRICS, *RESOLUTION_METRICS, *TLS_METRICS),
    subjects=(*ANSWER_SUBJECTS, *ADDRESS_SUBJECTS, *TLS_SUBJECTS),
    default_expectations=_expect_no_error,
    fit_expectation=fit_expectation,
    validate_target=validate_name,
)
