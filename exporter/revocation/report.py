"""What a check reports about revocation: subjects, and metrics named as those of blackbox_exporter."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from exporter.model import Explained, MetricSpec, Reason, Subject, ValueKind
from exporter.quantities import exact_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.attempt import Attempt
    from exporter.revocation.fetching import CertificateState

_LABELS = ("fingerprint_sha256", "subject", "issuer", "subjectalternative", "serialnumber", "chain_pos", "crl_url")

CRL_REVOKED = MetricSpec(
    name="probe_ssl_crl_revoked", help="1 when the certificate is on its revocation list; else 0", labels=_LABELS
)
CRL_AVAILABLE = MetricSpec(
    name="probe_ssl_crl_available",
    help="1 when the certificate's revocation list could be fetched and is signed by its issuer; else 0",
    labels=_LABELS,
)
CRL_STALE = MetricSpec(
    name="probe_ssl_crl_stale", help="1 when the certificate's revocation list has expired; else 0", labels=_LABELS
)
CRL_NEXT_UPDATE = MetricSpec(
    name="probe_ssl_crl_next_update_timestamp_seconds",
    help="Unix time by which the next list will be issued; absent when there is no list, or it does not say",
    labels=_LABELS,
)
CRL_FETCH_TIME = MetricSpec(
    name="probe_ssl_crl_fetch_time_seconds",
    help="Seconds it took to fetch and read all lists; 0 when none was",
    defaults=(((), 0.0),),
)
REVOCATION_METRICS = (CRL_REVOKED, CRL_AVAILABLE, CRL_STALE, CRL_NEXT_UPDATE, CRL_FETCH_TIME)

REVOKED = Subject(
    name="revoked",
    kind=ValueKind.FLAG,
    description="Whether a certificate of the verified chain is on its revocation list; false is expected by default",
    reason=Reason.CERTIFICATE,
)
UNCERTAIN = Subject(
    name="uncertain",
    kind=ValueKind.NUMBER,
    description="Certificates of the verified chain without a usable, current list; more than 0 is a warning",
    reason=Reason.CERTIFICATE,
    bounds=(0, 19),
)
LIST_EXPIRES_IN = Subject(
    name="list_expires_in",
    kind=ValueKind.DURATION,
    description="Time until the first of the revocation lists expires, negative afterwards; missing without a list",
    reason=Reason.CERTIFICATE,
)
REVOCATION_SUBJECTS = (REVOKED, UNCERTAIN, LIST_EXPIRES_IN)


def report_revocation(states: Sequence[CertificateState], seconds: float, attempt: Attempt) -> None:
    """Record what was found.

    Args:
        states: The state of each certificate.
        seconds: How long it took to find out.
        attempt: Where it is recorded.
    """
    now = time.time()
    attempt.measure(CRL_FETCH_TIME, seconds)
    for state in states:
        _measure(state, now, attempt)
    ends = [state.read.expires_timestamp_seconds for state in states if state.read is not None]
    known = [end for end in ends if end is not None]
    revoked = [_words(state) for state in states if state.read is not None and state.read.entry is not None]
    attempt.observe(
        {
            REVOKED.name: Explained(value=True, why="; ".join(revoked)) if revoked else False,
            UNCERTAIN.name: sum([bool(state.fault) for state in states]),
            LIST_EXPIRES_IN.name: min(known) - now if known else None,
        }
    )


def _measure(state: CertificateState, now: float, attempt: Attempt) -> None:
    one, read = state.certificate, state.read
    labels = (
        one.fingerprint_sha256,
        one.subject,
        one.issuer,
        ",".join(one.names),
        one.serial_number,
        str(state.position),
        state.url,
    )
    ends = None if read is None else read.expires_timestamp_seconds
    attempt.measure(CRL_AVAILABLE, float(read is not None), labels)
    attempt.measure(CRL_REVOKED, float(read is not None and read.entry is not None), labels)
    attempt.measure(CRL_STALE, float(ends is not None and ends < now), labels)
    if ends is not None:
        attempt.measure(CRL_NEXT_UPDATE, ends, labels)


def _words(state: CertificateState) -> str:
    assert state.read is not None  # noqa: S101 - it has an entry
    assert state.read.entry is not None  # noqa: S101 - as above
    since = exact_time(state.read.entry.since_timestamp_seconds)
    reason = f", {state.read.entry.reason}" if state.read.entry.reason else ""
    return f"{state.certificate.subject or 'the certificate'} since {since}{reason}"
