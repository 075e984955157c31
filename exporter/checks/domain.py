"""Type `domain`: asks the registry of a domain when its registration expires and which status it has.

The registry is queried over RDAP, or over WHOIS if there is no RDAP server or its answer is of no use. That a domain is
not registered is an observation and no failure, so that a check can also watch a name that someone else may register.
Sources: RFC 9082 and 9083 (RDAP), RFC 9224 (RDAP bootstrap), RFC 3912 (WHOIS), RFC 5731 (statuses).
"""

from __future__ import annotations

import time
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple, cast

from exporter.domain.ask_rdap import ask_rdap
from exporter.domain.ask_whois import ask_whois
from exporter.domain.facts import RateLimitedError
from exporter.domain.settings import DomainSettings
from exporter.domain.statuses import EPP_STATUSES, OUT_OF_SERVICE, spelled_status
from exporter.expect import evaluate
from exporter.http.client import ProbeTransport, sender_of
from exporter.http.shared import HttpShared
from exporter.model import leaves
from exporter.net.connect import bounded
from exporter.plugin import (
    CONNECTION_METRICS,
    CONNECTION_SUBJECTS,
    CheckFailed,
    CheckType,
    Explained,
    MetricSpec,
    Reason,
    Result,
    Subject,
    ValueKind,
    current_attempt,
    parse_host,
    phase_durations,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exporter.domain.facts import DomainFacts
    from exporter.plugin import Attempt, BatchContext, Check, CheckSettings, Expectation

_DAY_SECONDS = 86400.0
_MIN_INTERVAL_SECONDS = 43200.0
"""Registries limit the rate of queries, and registration data seldom changes."""

PHASES = phase_durations(
    "domain",
    ("resolve", "connect", "tls", "rdap", "whois"),
    "Seconds spent in each phase, summed over the servers asked; 0 for a phase that was not reached or not needed",
)
EXPIRY = MetricSpec(
    name="probe_domain_expiry_timestamp_seconds",
    help="When the registration expires, as Unix time; absent when the registry did not say so",
)
REGISTERED = MetricSpec(
    name="probe_domain_registered",
    help="1 when the domain is registered; 0 when it is not, or the registry did not answer",
    defaults=(((), 0.0),),
)
STATUS = MetricSpec(
    name="probe_domain_status",
    help="1 for each EPP status that the domain has; 0 for the others",
    labels=("status",),
    defaults=tuple(((status,), 0.0) for status in EPP_STATUSES),
)
REGISTRAR_INFO = MetricSpec(
    name="probe_domain_registrar_info",
    help="Always 1; names the registrar, and its number at IANA; absent when the registry did not name it",
    labels=("registrar", "iana_id"),
)
RATE_LIMITED = MetricSpec(
    name="probe_domain_rate_limited",
    help="1 when a server refused to answer because it is queried too often; else 0",
    defaults=(((), 0.0),),
)

_REGISTERED = Subject(
    name="registered", kind=ValueKind.FLAG, description="Whether the domain is registered; expected by default"
)
_EXPIRES_IN = Subject(
    name="expires_in",
    kind=ValueKind.DAYS,
    description="Days until the registration expires, negative afterwards; missing when the registry does not say so",
)
_STATUS = Subject(
    name="domain_status",
    kind=ValueKind.TEXTS,
    description="EPP status codes of the domain, such as clientTransferProhibited",
    choices=EPP_STATUSES,
    spelled=spelled_status,
)
_REGISTRAR = Subject(name="registrar", kind=ValueKind.TEXT, description="Name of the registrar")


class PreparedDomain(NamedTuple):
    """The servers to query, determined once when the configuration is loaded.

    Attributes:
        rdap_url: Base URL of the RDAP server; empty when RDAP is not used.
        whois_server: The first WHOIS server to query; empty when WHOIS is not used.
    """

    rdap_url: str
    whois_server: str


def _prepare(check: Check[DomainSettings]) -> PreparedDomain:
    return PreparedDomain(check.settings.rdap_url_for(check.target), check.settings.whois_server_for(check.target))


class DomainCheckExecutor:
    """Queries registries; lives as long as its batch."""

    def __init__(self, context: BatchContext) -> None:
        shared = context.http_shared or HttpShared()
        self._sender = ProbeTransport(shared) if context.http_client is None else sender_of(context.http_client)

    async def execute(self, check: Check[DomainSettings]) -> Result:
        """Query the registry and return the result."""
        attempt = current_attempt()
        prepared = check.prepared if isinstance(check.prepared, PreparedDomain) else _prepare(check)
        try:
            facts = await self._facts(check, prepared, attempt)
        except RateLimitedError:
            attempt.measure(RATE_LIMITED, 1.0)
            raise
        if facts is None:
            why = _why_not_registered(check.target)
            attempt.observe({_REGISTERED.name: Explained(value=False, why=why)})
            attempt.note("not registered", why=why)
        else:
            _report(facts, attempt)
        return check.passed

    async def _facts(
        self, check: Check[DomainSettings], prepared: PreparedDomain, attempt: Attempt
    ) -> DomainFacts | None:
        name, settings = check.target, check.settings
        if not prepared.rdap_url:
            return await ask_whois(prepared.whois_server, name, settings, attempt)
        # RDAP gets half of the time when WHOIS may have to be queried after it.
        limit = (attempt.ends_at - perf_counter()) / 2 if prepared.whois_server else None
        try:
            with attempt.phase("rdap", is_measured=False):
                try:
                    async with bounded(limit):
                        return await ask_rdap(prepared.rdap_url, name, settings, self._sender, attempt)
                except TimeoutError as error:
                    raise CheckFailed(Reason.TIMEOUT, f"no answer by RDAP within {limit:.1f} s") from error
        except CheckFailed as failure:
            if not prepared.whois_server:
                raise
            if isinstance(failure, RateLimitedError):
                attempt.measure(RATE_LIMITED, 1.0)
            attempt.note("asking by WHOIS instead", why=failure.detail)
            try:
                return await ask_whois(prepared.whois_server, name, settings, attempt)
            except CheckFailed as other:
                detail = f"{failure.detail}; by WHOIS: {other.detail}"
                raise CheckFailed(failure.reason, detail) from other


def _why_not_registered(name: str) -> str:
    if name.count(".") == 1:
        return f"the registry knows no domain {name}"
    parent = name.partition(".")[2]
    return f"the registry knows no domain {name}; ask about the registered domain it belongs to, such as {parent}"


def _report(facts: DomainFacts, attempt: Attempt) -> None:
    """Record the registration data."""
    expires_in_days = None
    if facts.expires_timestamp_seconds is not None:
        attempt.measure(EXPIRY, facts.expires_timestamp_seconds)
        expires_in_days = (facts.expires_timestamp_seconds - time.time()) / _DAY_SECONDS
    attempt.measure(REGISTERED, 1.0)
    for status in facts.statuses:
        attempt.measure(STATUS, 1.0, (status,))
    if facts.registrar:
        attempt.measure(REGISTRAR_INFO, 1.0, (facts.registrar, facts.registrar_iana_id))
    attempt.observe(
        {
            _REGISTERED.name: True,
            _EXPIRES_IN.name: expires_in_days,
            _STATUS.name: facts.statuses,
            _REGISTRAR.name: facts.registrar or None,
        }
    )
    attempt.note(
        "registered", expires_in_days=expires_in_days, status=", ".join(facts.statuses), registrar=facts.registrar
    )
    if facts.other_statuses:
        attempt.note("statuses that EPP does not have", what="; ".join(facts.other_statuses))
    for remark in facts.remarks:
        attempt.note("odd answer", what=remark)


def _expect_in_service(settings: CheckSettings, own: Sequence[Expectation]) -> tuple[Mapping[str, object], ...]:
    """Expect a registered domain, in service and not expired; nothing if the check expects an unregistered one."""
    of_registered = [one for one in own if all(part.subject is _REGISTERED for part in leaves([one]))]
    if of_registered and all(one.ok for one in evaluate(of_registered, {_REGISTERED.name: False})):
        return ()
    return (
        {_REGISTERED.name: {"eq": True}},
        {_EXPIRES_IN.name: {"gt": 0}},
        {_STATUS.name: {"none_of": list(OUT_OF_SERVICE)}},
    )


def _validate_target(target: str, settings: CheckSettings) -> str:
    name = parse_host(target).lower().removesuffix(".")
    if ":" in name or name.rpartition(".")[2].isdigit():
        raise ValueError("is an IP address; write the name of a domain")
    if "." not in name:
        raise ValueError("has one label; write the name of a registered domain, such as shop.example")
    chosen = cast("DomainSettings", settings)
    if chosen.protocol == "rdap" and not chosen.rdap_url_for(name):
        raise ValueError("belongs to no RDAP server of the bootstrap file; write rdap_server, or protocol: auto")
    return name


DOMAIN = CheckType(
    name="domain",
    description="Asks the registry of a domain, by RDAP or WHOIS, when it expires and which status it has",
    executor=DomainCheckExecutor,
    prepare=_prepare,
    settings=DomainSettings,
    phases=PHASES,
    metrics=(*CONNECTION_METRICS, EXPIRY, REGISTERED, STATUS, REGISTRAR_INFO, RATE_LIMITED),
    subjects=(_REGISTERED, _EXPIRES_IN, _STATUS, _REGISTRAR, *CONNECTION_SUBJECTS),
    default_expectations=_expect_in_service,
    validate_target=_validate_target,
    min_interval_seconds=_MIN_INTERVAL_SECONDS,
    needs_http_client=True,
)
