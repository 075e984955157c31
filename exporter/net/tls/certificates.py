"""Facts of TLS handshakes and certificates as metrics.

They are read from DER, so rejected certificates have them too. Names and forms follow
blackbox_exporter (its Go types pkix.Name, big.Int), so that dashboards and alerts made for it keep working.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.model import Measurement, MetricSpec

if TYPE_CHECKING:
    from exporter.net.connection_facts import TlsFacts

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
