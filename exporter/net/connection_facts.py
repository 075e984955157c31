"""Facts about one connection: how long each phase took, and which address it went to.

`Network.connect` fills a ConnectionFacts as it goes, so that a check that is cut off keeps what was known by then. The
phases and log lines of a connection go to the attempt that the facts belong to.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from exporter.model import Measurement, MetricSpec, Subject, ValueKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.addresses import Address
    from exporter.allowed_targets import AllowedTargets
    from exporter.attempt import Attempt
    from exporter.model import CertificateFacts, Observation

LOOKUP_TIME = MetricSpec(
    name="probe_dns_lookup_time_seconds",
    help="Seconds the lookup of the target's name took, also when it failed; about 0 when none was needed",
    defaults=(((), 0.0),),
)

IP_PROTOCOL = MetricSpec(
    name="probe_ip_protocol",
    help="IP version of the target's address, 4 or 6; 0 when there was no address",
    defaults=(((), 0.0),),
)

IP_ADDR_HASH = MetricSpec(
    name="probe_ip_addr_hash",
    help="32-bit FNV-1a hash of the target's address, to see it change; 0 when there was no address",
    defaults=(((), 0.0),),
)

RESOLUTION_METRICS = (LOOKUP_TIME, IP_PROTOCOL, IP_ADDR_HASH)
"""Metric families of every check type that resolves its target."""

ADDRESS = Subject(
    name="address",
    kind=ValueKind.ADDRESS,
    description="IP address that was connected to: the target's, or that of its proxy or name server",
)

ADDRESS_SUBJECTS = (ADDRESS,)
"""Subjects of every check type that connects."""


class ConnectionFacts:
    """Facts of one connection; lives as long as the attempt that made it and is written by one task.

    Attributes:
        attempt: The attempt that makes the connection; what happens is logged there.
        allowed_targets: What may be connected to; None for anything. That of the attempt, except towards a proxy.
        resolve_seconds: How long this check waited for the address.
        lookup_seconds: How long the lookup itself took; longer than `resolve_seconds` for a check that joined it late.
        connect_seconds: How long establishing TCP took, or was attempted.
        tls_seconds: How long the TLS handshake took, or was attempted; 0 without one.
        ip_protocol: 4 or 6; 0 without an address.
        ip_addr_hash: FNV-1a hash of the bytes of the address; 0 without one.
        address: The address connected to, as text; empty without one.
        tls: Facts of the TLS handshake, including one that failed because of its certificate; None without one.
        ready_at: `perf_counter()` when the connection was ready to use; 0 when it never was.
    """

    __slots__ = (
        "address",
        "allowed_targets",
        "attempt",
        "connect_seconds",
        "ip_addr_hash",
        "ip_protocol",
        "lookup_seconds",
        "ready_at",
        "resolve_seconds",
        "tls",
        "tls_seconds",
    )

    def __init__(self, attempt: Attempt) -> None:
        self.attempt = attempt
        self.allowed_targets: AllowedTargets | None = attempt.allowed_targets
        self.resolve_seconds = 0.0
        self.lookup_seconds = 0.0
        self.connect_seconds = 0.0
        self.tls_seconds = 0.0
        self.ip_protocol = 0
        self.ip_addr_hash = 0
        self.address = ""
        self.tls: TlsFacts | None = None
        self.ready_at = 0.0

    def set_address(self, address: Address) -> None:
        """Record the chosen address."""
        self.address, self.ip_protocol, self.ip_addr_hash = address


def resolution_measurements(facts: ConnectionFacts) -> tuple[Measurement, ...]:
    """Return the values of RESOLUTION_METRICS."""
    return (
        Measurement(LOOKUP_TIME, facts.lookup_seconds),
        shared_measurement(IP_PROTOCOL, float(facts.ip_protocol)),
        shared_measurement(IP_ADDR_HASH, float(facts.ip_addr_hash)),
    )


def address_observations(facts: ConnectionFacts) -> Mapping[str, Observation]:
    """Return the observation of ADDRESS, once there is an address."""
    return {ADDRESS.name: facts.address} if facts.address else {}


@lru_cache(maxsize=4096)
def shared_measurement(spec: MetricSpec, value: float, labels: tuple[str, ...] = ()) -> Measurement:
    """Return a measurement whose value is the same for many checks, such as a status, as one shared object."""
    return Measurement(spec, value, labels)


def earliest_expiry(certificates: tuple[CertificateFacts, ...]) -> float | None:
    """Return the first Unix time at which one of the certificates expires; None when none is known."""
    times = [one.not_after_timestamp_seconds for one in certificates if one.not_after_timestamp_seconds is not None]
    return min(times, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFacts:
    """Facts of one handshake, successful or refused.

    Attributes:
        version: Such as `TLS 1.3`; empty when none was negotiated.
        cipher: IANA name of the cipher suite; empty when none was negotiated.
        verified: Whether the chain and the host name were both verified.
        presented: Facts of the certificates in the order the server sent them, its own first.
        chain_expiry_timestamp_seconds: Earliest expiry in the verified chain; None when nothing was verified.
    """

    version: str
    cipher: str
    verified: bool
    presented: tuple[CertificateFacts, ...] = ()
    chain_expiry_timestamp_seconds: float | None = None

    @property
    def earliest_expiry_timestamp_seconds(self) -> float | None:
        """Earliest expiry of the presented certificates; None when none is known."""
        return earliest_expiry(self.presented)
