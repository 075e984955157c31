"""Type `certificate`: judges the certificates of a TLS server, and whether their authorities have revoked them.

The lists of revoked certificates are fetched over HTTP from where verified certificates say they are. A certificate
that nobody has verified could name any place, and no authority would vouch for its list. Source: RFC 5280 section 5.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Self, cast

from pydantic import model_validator

from exporter.http.client import ProbeTransport, sender_of
from exporter.http.message import RequestOptions
from exporter.http.shared import HttpShared
from exporter.net.proxy.settings import usable_proxies
from exporter.plugin import (
    CONNECTION_METRICS,
    CONNECTION_SUBJECTS,
    CheckType,
    Endpoint,
    EveryAddressSettings,
    Field,
    ProxySettings,
    TlsConfig,
    TlsSettings,
    current_attempt,
    open_stream,
    parse_host_port,
    phase_durations,
)
from exporter.revocation.fetching import MAX_LIST_BYTES, states_of_chain
from exporter.revocation.report import REVOCATION_METRICS, REVOCATION_SUBJECTS, REVOKED, UNCERTAIN, report_revocation
from exporter.starttls import StartTlsProtocol  # noqa: TC001 - pydantic evaluates the annotations
from exporter.starttls.negotiate import negotiate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exporter.plugin import Attempt, BatchContext, Check, CheckSettings, Expectation, Result

_DEFAULT_PORT = 443
_MIN_INTERVAL_SECONDS = 3600.0
"""Lists are large, and authorities issue them at most every few hours."""

PHASES = phase_durations("certificate", ("resolve", "connect", "starttls", "tls", "lists"))


class CertificateSettings(EveryAddressSettings, TlsSettings, ProxySettings):
    """Settings of type `certificate`."""

    starttls: StartTlsProtocol | None = Field(
        default=None, description="Protocol by which to change to TLS once connected; TLS from the start by default"
    )

    @model_validator(mode="after")
    def _check_that_it_verifies(self) -> Self:
        if self.tls_config.insecure_skip_verify:
            raise ValueError("has insecure_skip_verify; only verified certificates can be checked for revocation")
        return self


class CertificateCheckExecutor:
    """Shakes hands, and fetches revocation lists; lives as long as its batch."""

    def __init__(self, context: BatchContext) -> None:
        shared = context.http_shared or HttpShared()
        self._sender = ProbeTransport(shared) if context.http_client is None else sender_of(context.http_client)

    async def execute(self, check: Check[CertificateSettings]) -> Result:
        """Connect to the target, check its certificates, and return the result."""
        attempt = current_attempt()
        chain = await _verified_chain(check, attempt)
        began = perf_counter()
        with attempt.phase("lists", is_measured=False):
            states = await states_of_chain(chain, _options(check.settings), self._sender, attempt)
        seconds = perf_counter() - began
        attempt.add_phase("lists", seconds)
        report_revocation(states, seconds, attempt)
        return check.passed


async def _verified_chain(check: Check[CertificateSettings], attempt: Attempt) -> tuple[bytes, ...]:
    settings = check.settings
    host, port = parse_host_port(check.target, _DEFAULT_PORT)
    tls = settings.tls_config if settings.starttls is None else None
    async with await open_stream(host, port, settings, tls=tls) as stream:
        if settings.starttls is not None:
            with attempt.phase("starttls"):
                await negotiate(settings.starttls, stream, settings.tls_config.server_name or host, attempt)
            await stream.start_tls(settings.tls_config, timeout_seconds=settings.tls_timeout_seconds)
        return stream.verified_chain()


def _options(settings: CertificateSettings) -> RequestOptions:
    """Return how lists are fetched: with the target's network settings and proxies, but from their own hosts."""
    return RequestOptions(
        network=settings.model_copy(update={"connect_to": None}),
        tls=TlsConfig(),
        tls_timeout_seconds=settings.tls_timeout_seconds,
        body_limit_bytes=MAX_LIST_BYTES,
        stop_at_redirect=True,
        proxies=usable_proxies(settings),
    )


def _validate_target(target: str, settings: CheckSettings) -> str:
    starttls = cast("CertificateSettings", settings).starttls
    parse_host_port(target, _DEFAULT_PORT if starttls is None else None)
    return target


def _expect_validity(settings: CheckSettings, own: Sequence[Expectation]) -> tuple[Mapping[str, object], ...]:
    return ({REVOKED.name: False}, {UNCERTAIN.name: 0, "severity": "warning"})


CERTIFICATE = CheckType(
    name="certificate",
    description="Judges the certificates of a TLS server, and whether their authorities have revoked them",
    executor=CertificateCheckExecutor,
    settings=CertificateSettings,
    phases=PHASES,
    metrics=(*CONNECTION_METRICS, *REVOCATION_METRICS),
    subjects=(*REVOCATION_SUBJECTS, *CONNECTION_SUBJECTS),
    default_expectations=_expect_validity,
    validate_target=_validate_target,
    endpoint=lambda check: Endpoint(*parse_host_port(check.target, default_port=_DEFAULT_PORT)),
    min_interval_seconds=_MIN_INTERVAL_SECONDS,
    needs_http_client=True,
)
