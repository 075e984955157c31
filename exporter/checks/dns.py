"""Type `dns`: queries a name server and judges the answer.

The target is the name to query; the server is a setting. One query is sent over UDP and, if its answer is truncated,
another over TCP (RFC 7766 section 5); or everything goes over TCP, TLS (RFC 7858), HTTPS (RFC 8484) or QUIC (RFC 9250).
Nothing is resent, because a lost packet is a finding; `retries` repeats the check. Without a server in the settings,
the system's servers are tried in turn as in resolv.conf(5). `exporter.net.dns.records` describes how records become
texts.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple, cast

import dns.rdataclass
import dns.rdatatype

from exporter.dns_query.answer import (
    ADDITIONAL_COUNT,
    ANSWER_COUNT,
    ANSWER_METRICS,
    ANSWER_SUBJECTS,
    ANSWERS,
    AUTHORITY_COUNT,
    DATA_SUBJECTS,
    LINE_SUBJECTS,
    RCODE,
    answer_measurements,
)
from exporter.dns_query.comparison import Comparison, other_servers
from exporter.dns_query.comparison_metrics import AGREEMENT, COMPARISON_METRICS, COMPARISON_SUBJECTS
from exporter.dns_query.observations import answer_observations, forms_wanted_by, text_observations
from exporter.dns_query.query import PHASES, DnsQuery, PreparedQuery, prepare_query
from exporter.dns_query.question import name_of
from exporter.dns_query.settings import DnsSettings, fit_expectation, validate_name
from exporter.http.client import ProbeTransport
from exporter.http.shared import HttpShared
from exporter.judging.large_answers import costed, judge_large_observations
from exporter.model import leaves
from exporter.net import Network
from exporter.net.connection_facts import (
    ADDRESS_SUBJECTS,
    RESOLUTION_METRICS,
)
from exporter.net.dns.exchange import prepare_question
from exporter.net.tls.certificates import TLS_METRICS
from exporter.net.tls.subjects import TLS_SUBJECTS
from exporter.plugin import CheckFailed, CheckType, Reason, Result, current_attempt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exporter.dns_query.comparison import OtherServer
    from exporter.dns_query.observations import WantedForms
    from exporter.judging.large_answers import CostedExpectations
    from exporter.net.dns.reader import DnsAnswer
    from exporter.plugin import BatchContext, Check, CheckSettings, Expectation

_SMALL_ANSWER_OCTETS = 1024  # smaller answers are judged on the event loop, whatever the expectations
_EDNS_PAYLOAD_BYTES = 1232  # what passes any path unfragmented: DNS flag day 2020
_DECIDE_ABOUT_EMPTINESS = frozenset(
    (RCODE, ANSWERS, *DATA_SUBJECTS, *LINE_SUBJECTS, ANSWER_COUNT, AUTHORITY_COUNT, ADDITIONAL_COUNT)
)
"""An expectation about one of these subjects decides whether an empty answer is a failure."""


class PreparedDns(NamedTuple):
    """What every run of a check needs, computed once when the configuration is loaded; immutable, shared by runs.

    Attributes:
        query: The question and the server.
        others: The servers to compare with.
        expected: The expectations about the answer.
        forms: The forms in which a large answer is compared.
    """

    query: PreparedQuery
    others: tuple[OtherServer, ...]
    expected: CostedExpectations
    forms: WantedForms


def _prepare(check: Check[DnsSettings]) -> PreparedDns:
    """Build the question, the connection options and the costs of judging the answer."""
    settings = check.settings
    payload_bytes, needs_edns = settings.edns_payload_bytes, settings.dnssec_ok or settings.nsid
    question = prepare_question(
        name_of(check.target, settings.record_type),
        dns.rdatatype.from_text(settings.record_type),
        dns.rdataclass.from_text(settings.record_class),
        recursion_desired=settings.recursion_desired,
        edns_payload_bytes=_EDNS_PAYLOAD_BYTES if needs_edns and payload_bytes is None else payload_bytes,
        dnssec_ok=settings.dnssec_ok,
        nsid=settings.nsid,
    )
    expected = costed((*check.expectations, *check.retry_expectations))
    return PreparedDns(
        others=other_servers(question, settings),
        query=prepare_query(question, settings.server or settings.connect_to, settings),
        expected=expected,
        forms=forms_wanted_by(expected.expectations),
    )


class DnsCheckExecutor:
    """Sends one query per check, each from its own socket; lives as long as its batch."""

    def __init__(self, network: Network | None = None, http: HttpShared | None = None) -> None:
        self._network = network or Network()
        self._http = ProbeTransport(http or HttpShared(self._network))

    async def execute(self, check: Check[DnsSettings]) -> Result:
        """Query the server for the target and return the result."""
        settings = check.settings
        attempt = current_attempt()
        prepared = check.prepared if isinstance(check.prepared, PreparedDns) else _prepare(check)
        query = DnsQuery(self._network, settings, prepared.query, attempt, self._http)
        answer, comparison = None, None
        if prepared.others:
            comparison = Comparison(prepared.others, self._network, self._http, attempt, check.timeout_seconds)
        try:
            if comparison is None:
                answer = await query.answer(check.timeout_seconds)
            else:
                answer = await comparison.beside(query.answer(check.timeout_seconds))
        except CheckFailed as failure:
            return check.failed(failure.reason, failure.detail)
        except asyncio.CancelledError:
            attempt.phase_name = attempt.phase_name or query.phase
            raise
        finally:
            query.report()
            if comparison is not None:
                comparison.report(answer)
        attempt.measure_all(answer_measurements(answer))
        observed = {**answer_observations(answer, truncated=query.truncated)}
        if comparison is not None:
            attempt.observe(comparison.observations(answer))
        if answer.octets > _SMALL_ANSWER_OCTETS:
            observed |= await text_observations(answer, prepared.forms)
            attempt.observe(await judge_large_observations(prepared.expected, observed, attempt))
        else:
            attempt.observe(observed)
        return _judge_presence(check, answer)


def _judge_presence(check: Check[DnsSettings], answer: DnsAnswer) -> Result:
    """Fail when a NOERROR answer has no records, unless an expectation decides whether it may be empty."""
    if (
        answer.record_count
        or answer.rcode != "NOERROR"
        or any(one.subject in _DECIDE_ABOUT_EMPTINESS and not one.is_default for one in leaves(check.expectations))
    ):
        return check.passed
    detail = f"{check.target} has no records of type {check.settings.record_type}"
    if answer.stray_count:
        detail += f"; the answer has {answer.stray_count} of other names"
    return check.failed(Reason.EXPECTATION, detail)


def _expect_no_error(settings: CheckSettings, own: Sequence[Expectation]) -> tuple[Mapping[str, object], ...]:
    no_error = {RCODE.name: {"eq": "NOERROR"}}
    if not cast("DnsSettings", settings).compare:
        return (no_error,)
    if any(one.subject in COMPARISON_SUBJECTS for one in leaves(own)):
        return (no_error,)
    return (no_error, {AGREEMENT.name: {"eq": True}})


def _make_executor(context: BatchContext) -> DnsCheckExecutor:
    return DnsCheckExecutor(context.network, context.http_shared)


DNS = CheckType(
    name="dns",
    description="Queries a name server for the records of a name, over UDP, TCP, TLS, HTTPS or QUIC",
    executor=_make_executor,
    prepare=_prepare,
    settings=DnsSettings,
    metrics=(PHASES, *ANSWER_METRICS, *RESOLUTION_METRICS, *TLS_METRICS, *COMPARISON_METRICS),
    subjects=(*ANSWER_SUBJECTS, *COMPARISON_SUBJECTS, *ADDRESS_SUBJECTS, *TLS_SUBJECTS),
    reasons=(Reason.STATUS,),
    default_expectations=_expect_no_error,
    fit_expectation=fit_expectation,
    validate_target=validate_name,
)
