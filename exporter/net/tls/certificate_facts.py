"""Facts of single certificates, read from DER, so that rejected certificates have them too.

Reading is bounded: certificates come from targets, and what would block the loop for long is left out.
"""

from __future__ import annotations

from hashlib import sha256
from sys import getsizeof
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa

from exporter.model import CertificateFacts
from exporter.net.tls.bounded_memory import BoundedMemory
from exporter.net.tls.der import longest_name_bytes
from exporter.net.tls.go_names import go_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

T = TypeVar("T")

_REMEMBERED_BYTES = 1 << 25  # ten thousand targets with a leaf each, and their authorities

_LARGEST_REMEMBERED_BYTES = 1 << 14
"""Facts of most certificates are smaller than this. Larger ones are not cached, so that a target that presents a new
certificate of a hundred kilobytes each time does not evict the others."""

_FACTS_BYTES = 700  # of a CertificateFacts with empty texts, and of its cache entry

_LONGEST_NAME_BYTES = 1 << 10

_LARGEST_WITH_NAMES_BYTES = 1 << 16

_ISSUERS_BYTES = 1 << 14
"""Anything longer would block the loop longer than one target may: a distinguished name, a certificate whose host
names are read, and all certificates of a chain but the first that are read whole. Usual sizes are a tenth of these."""

MAX_PRESENTED = 20
"""Maximum certificates that a peer may present: far more than any chain needs, and few enough to read at once."""


def latest_start(certificates: tuple[CertificateFacts, ...]) -> float | None:
    """Return the Unix time from which all the certificates are valid; None when the dates of one are unknown."""
    latest = 0.0
    for one in certificates:
        start = one.not_before_timestamp_seconds
        if start is None or one.not_after_timestamp_seconds is None:
            return None
        latest = max(latest, start)
    return latest


def certificate_facts(der: bytes) -> CertificateFacts:
    """Return the facts of a certificate; usually cached, because every scrape sees the same certificates again.

    A certificate that OpenSSL accepts may still be malformed in a part that is not verified; such parts are left out.
    """
    known = _remembered.get(der)
    if known is not None:
        return known
    facts = _read_facts(der, sha256(der).hexdigest())
    size_bytes = len(der) + _size_bytes(facts)
    if size_bytes <= _LARGEST_REMEMBERED_BYTES:
        _remembered.put(der, facts, size_bytes)
    return facts


_remembered: BoundedMemory[bytes, CertificateFacts] = BoundedMemory(_REMEMBERED_BYTES)


def _size_bytes(facts: CertificateFacts) -> int:
    texts = (facts.fingerprint_sha256, facts.subject, facts.issuer, facts.serial_number, facts.address_text)
    return _FACTS_BYTES + sum(map(getsizeof, (*texts, facts.names, *facts.names)))


def _read_facts(der: bytes, fingerprint: str, *, named: bool = True) -> CertificateFacts:
    certificate = _attempt(lambda: x509.load_der_x509_certificate(der), None)
    if certificate is None:
        return CertificateFacts(fingerprint_sha256=fingerprint)
    subject = issuer = ""
    names: tuple[str, ...] = ()
    address_text = ""
    if named and longest_name_bytes(der) <= _LONGEST_NAME_BYTES:
        subject = _attempt(lambda: go_name(certificate.subject), "")
        issuer = _attempt(lambda: go_name(certificate.issuer), "")
    if named and len(der) <= _LARGEST_WITH_NAMES_BYTES:
        alternatives = _attempt(lambda: _alternative_names(certificate), None)
        if alternatives is not None:
            names = tuple(alternatives.get_values_for_type(x509.DNSName))
            address_text = " ".join(map(str, alternatives.get_values_for_type(x509.IPAddress)))
    key_type, key_bits = _attempt(lambda: _public_key(certificate), ("", 0))
    return CertificateFacts(
        fingerprint_sha256=fingerprint,
        subject=subject,
        issuer=issuer,
        names=names,
        address_text=address_text,
        serial_number=_attempt(lambda: go_serial_number(certificate.serial_number), ""),
        key_type=key_type,
        key_bits=key_bits,
        not_before_timestamp_seconds=_timestamp_seconds(lambda: certificate.not_valid_before_utc),
        not_after_timestamp_seconds=_timestamp_seconds(lambda: certificate.not_valid_after_utc),
    )


_UNREADABLE = (
    ValueError,
    TypeError,  # a bit string in a name
    x509.DuplicateExtension,
    x509.ExtensionNotFound,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
    UnsupportedAlgorithm,
)
"""What cryptography raises for certificates that OpenSSL accepts."""


def _attempt(read: Callable[[], T], otherwise: T) -> T:
    try:
        return read()
    except _UNREADABLE:
        return otherwise


def go_serial_number(number: int) -> str:
    """Format a serial number like blackbox_exporter: the bytes of Go's big.Int in hex, two digits each, no sign."""
    magnitude = abs(number)
    return magnitude.to_bytes((magnitude.bit_length() + 7) // 8).hex()


def _public_key(certificate: x509.Certificate) -> tuple[str, int]:
    """Return the kind of the public key and its size in bits, as OpenSSL counts them."""
    match certificate.public_key():
        case rsa.RSAPublicKey(key_size=bits):
            return "RSA", bits
        case ec.EllipticCurvePublicKey(key_size=bits):
            return "ECDSA", bits
        case dsa.DSAPublicKey(key_size=bits):
            return "DSA", bits
        case ed25519.Ed25519PublicKey():
            return "Ed25519", 256
        case ed448.Ed448PublicKey():
            return "Ed448", 456
    return "", 0


def _timestamp_seconds(read: Callable[[], datetime]) -> float | None:
    date = _attempt(read, None)
    return None if date is None else date.timestamp()


def _alternative_names(certificate: x509.Certificate) -> x509.SubjectAlternativeName:
    return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value


class Presented(NamedTuple):
    """The certificates that a peer sent, its own first: as DER, and their facts.

    Attributes:
        ders: The certificates; only the peer's own when there are more than MAX_PRESENTED.
        facts: Their facts.
        sent: How many the peer sent.
    """

    ders: tuple[bytes, ...]
    facts: tuple[CertificateFacts, ...]
    sent: int

    @classmethod
    def read(cls, ders: Sequence[bytes], sent: int | None = None) -> Presented:
        """Read certificates as received; `sent` is how many the peer sent, if not all are given.

        In an unusually large chain, the names of the last certificates are left out.
        """
        facts: list[CertificateFacts] = []
        read_bytes = 0
        for der in ders:
            facts.append(
                certificate_facts(der)
                if read_bytes <= _ISSUERS_BYTES
                else _read_facts(der, sha256(der).hexdigest(), named=False)
            )
            read_bytes += len(der) if len(facts) > 1 else 0
        return cls(tuple(ders), tuple(facts), len(ders) if sent is None else sent)


NOTHING_PRESENTED = Presented((), (), 0)
