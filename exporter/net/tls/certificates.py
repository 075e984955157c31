"""Facts of TLS handshakes and certificates as metrics and as subjects of expectations.

They are read from DER, so rejected certificates have them too. Names and forms follow
blackbox_exporter (its Go types pkix.Name, big.Int), so that dashboards and alerts made for it keep working.
"""

from __future__ import annotations

import re
from time import time
from typing import TYPE_CHECKING

from exporter.model import Measurement, MetricSpec, Reason, Subject, ValueKind
from exporter.net.tls.cipher_suites import iana_cipher_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from exporter.model import Observation
    from exporter.net.connection_facts import TlsFacts

_SECONDS_PER_DAY = 86400.0

EARLIEST_EXPIRY = MetricSpec(
    name="probe_ssl_earliest_cert_expiry",
    help="Unix time at which the first of the presented certificates expires; absent without a certificate",
)

LAST_CHAIN_EXPIRY = MetricSpec(
    name="probe_ssl_last_chain_expiry_timestamp_seconds",
    help="Unix time at which the verified chain expires; absent when nothing was verified",
)

LAST_CHAIN_INFO = MetricSpec(
    name="probe_ssl_last_chain_info",
    help="Always 1; names the certificate that the server presented for itself",
    labels=("fingerprint_sha256", "subject", "issuer", "subjectalternative", "serialnumber"),
)

TLS_VERSION_INFO = MetricSpec(
    name="probe_tls_version_info", help="Always 1; names the TLS version that was agreed on", labels=("version",)
)

TLS_CIPHER_INFO = MetricSpec(
    name="probe_tls_cipher_info", help="Always 1; names the cipher suite that was agreed on", labels=("cipher",)
)

TLS_VERIFIED = MetricSpec(
    name="probe_tls_verified",
    help="1 when chain and host name of the certificate were verified, 0 when they were rejected or not looked at; "
    "absent without a certificate",
)

TLS_METRICS = (EARLIEST_EXPIRY, LAST_CHAIN_EXPIRY, LAST_CHAIN_INFO, TLS_VERSION_INFO, TLS_CIPHER_INFO, TLS_VERIFIED)
"""Metric families of every check type that can use TLS."""

CERTIFICATE = Subject(
    name="certificate",
    kind=ValueKind.FLAG,
    description="Whether chain and host name of the certificate were verified",
    reason=Reason.CERTIFICATE,
)

DAYS_LEFT = Subject(
    name="certificate_days_left",
    kind=ValueKind.DAYS,
    description="Days until a certificate of the verified chain, or else a presented one, expires; negative afterwards",
    reason=Reason.CERTIFICATE,
)

CERTIFICATE_SUBJECT = Subject(
    name="certificate_subject",
    kind=ValueKind.TEXT,
    description="Subject of the server's certificate, such as CN=www.example",
    reason=Reason.CERTIFICATE,
)

CERTIFICATE_ISSUER = Subject(
    name="certificate_issuer",
    kind=ValueKind.TEXT,
    description="Issuer of the server's certificate",
    reason=Reason.CERTIFICATE,
)

CERTIFICATE_NAMES = Subject(
    name="certificate_names",
    kind=ValueKind.TEXTS,
    description="DNS names in the server's certificate",
    reason=Reason.CERTIFICATE,
)


def _spelled_version(text: str) -> str:
    """Return `TLS 1.3` for `TLS13`, `TLSv1.3` and `1.3`."""
    digits = text.upper().removeprefix("TLS").strip(" _-V").replace(".", "").replace("_", "")
    return f"TLS {digits[0]}.{digits[1]}" if re.fullmatch("1[0-3]", digits) else text


def _spelled_cipher(text: str) -> str:
    """Return the IANA name of a suite, given that or the OpenSSL name.

    Raises:
        ValueError: When it is neither.
    """
    if re.fullmatch(r"TLS_[A-Z0-9_]+", text.upper()):
        return text.upper()
    if re.fullmatch(r"(?:[A-Z0-9]+-)+[A-Z0-9]+", text.upper()):
        return iana_cipher_name(text.upper())
    raise ValueError("is not the name of a cipher suite, such as TLS_AES_128_GCM_SHA256")


TLS_VERSION = Subject(
    name="tls_version",
    kind=ValueKind.TEXT,
    description="Agreed TLS version, such as TLS 1.3",
    reason=Reason.TLS,
    choices=("TLS 1.0", "TLS 1.1", "TLS 1.2", "TLS 1.3"),
    spelled=_spelled_version,
)

TLS_CIPHER = Subject(
    name="tls_cipher",
    kind=ValueKind.TEXT,
    description="Agreed cipher suite by its IANA name, such as TLS_AES_128_GCM_SHA256",
    reason=Reason.TLS,
    spelled=_spelled_cipher,
)

TLS_SUBJECTS = (
    CERTIFICATE, DAYS_LEFT, CERTIFICATE_SUBJECT, CERTIFICATE_ISSUER, CERTIFICATE_NAMES, TLS_VERSION, TLS_CIPHER,
)  # fmt: skip
"""Subjects of every check type that can use TLS."""


def tls_measurements(facts: TlsFacts) -> tuple[Measurement, ...]:
    """Return the values of TLS_METRICS that are known."""
    found = [Measurement(TLS_VERIFIED, float(facts.verified))] if facts.presented or facts.verified else []
    if (expiry := facts.earliest_expiry_timestamp_seconds) is not None:
        found.append(Measurement(EARLIEST_EXPIRY, expiry))
    if facts.chain_expiry_timestamp_seconds is not None:
        found.append(Measurement(LAST_CHAIN_EXPIRY, facts.chain_expiry_timestamp_seconds))
    if facts.presented:
        leaf = facts.presented[0]
        labels = (leaf.fingerprint_sha256, leaf.subject, leaf.issuer, ",".join(leaf.names), leaf.serial_number)
        found.append(Measurement(LAST_CHAIN_INFO, 1.0, labels))
    if facts.version:
        found.append(Measurement(TLS_VERSION_INFO, 1.0, (facts.version,)))
    if facts.cipher:
        found.append(Measurement(TLS_CIPHER_INFO, 1.0, (facts.cipher,)))
    return tuple(found)


def tls_observations(facts: TlsFacts, now: Callable[[], float] = time) -> Mapping[str, Observation]:
    """Return the values of TLS_SUBJECTS.

    Args:
        facts: Facts of the handshake.
        now: Returns the Unix time from which the days left are counted.
    """
    expiry = facts.chain_expiry_timestamp_seconds
    if expiry is None:
        expiry = facts.earliest_expiry_timestamp_seconds
    leaf = facts.presented[0] if facts.presented else None
    return {
        CERTIFICATE.name: facts.verified,
        DAYS_LEFT.name: None if expiry is None else (expiry - now()) / _SECONDS_PER_DAY,
        CERTIFICATE_SUBJECT.name: leaf.subject if leaf else None,
        CERTIFICATE_ISSUER.name: leaf.issuer if leaf else None,
        CERTIFICATE_NAMES.name: leaf.names if leaf else None,
        TLS_VERSION.name: facts.version or None,
        TLS_CIPHER.name: facts.cipher or None,
    }
