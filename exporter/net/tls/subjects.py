"""Facts of TLS handshakes and certificates as subjects of expectations.

They are read from DER, so rejected certificates have them too. Distinguished names and serial numbers have the forms of
blackbox_exporter's labels.
"""

from __future__ import annotations

import math
import re
from time import time
from typing import TYPE_CHECKING

from exporter.model import Reason, Subject, ValueKind
from exporter.net.tls.cipher_suites import iana_cipher_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from exporter.model import Observation
    from exporter.net.connection_facts import TlsFacts

_SECONDS_PER_DAY = 86400.0

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

_KEY_TYPES = {"EC": "ECDSA", "ECC": "ECDSA", "ED25519": "Ed25519", "ED448": "Ed448"}


def _spelled_octets(text: str) -> str:
    """Return lower-case hex for `0A:BC`, `0a bc` and `0x0abc`.

    Raises:
        ValueError: When it is not hex.
    """
    digits = re.sub("[: ]", "", text.lower()).removeprefix("0x")
    if not re.fullmatch("[0-9a-f]+", digits):
        raise ValueError("is not hex, such as 03:ab:4f")
    return digits.zfill(len(digits) + len(digits) % 2)


def _spelled_serial(text: str) -> str:
    """Return a serial number in hex without the octet 00 that keeps it positive in DER.

    Raises:
        ValueError: When it is not hex.
    """
    digits = _spelled_octets(text).lstrip("0")
    return digits.zfill(len(digits) + len(digits) % 2)


def spelled_sha256(text: str) -> str:
    """Return a SHA-256 in lower-case hex, also for `sha256 Fingerprint=0A:BC..`, as openssl prints it.

    Raises:
        ValueError: When it is none.
    """
    digits = _spelled_octets(text.rpartition("=")[2])
    if len(digits) != 64:
        raise ValueError(f"is not a SHA-256 in hex, which has 64 digits instead of {len(digits)}")
    return digits


CERTIFICATE_AGE = Subject(
    name="certificate_age",
    kind=ValueKind.DAYS,
    description="Days since the server's certificate became valid; negative before",
    reason=Reason.CERTIFICATE,
)

CERTIFICATE_SERIAL = Subject(
    name="certificate_serial",
    kind=ValueKind.TEXT,
    description="Serial number of the server's certificate in hex, such as 03:ab:4f or 03ab4f",
    reason=Reason.CERTIFICATE,
    spelled=_spelled_serial,
)

CERTIFICATE_FINGERPRINT = Subject(
    name="certificate_fingerprint",
    kind=ValueKind.TEXT,
    description="SHA-256 of the server's certificate in hex, as openssl x509 -fingerprint -sha256 prints it",
    reason=Reason.CERTIFICATE,
    spelled=spelled_sha256,
)

CERTIFICATE_KEY_TYPE = Subject(
    name="certificate_key_type",
    kind=ValueKind.TEXT,
    description="Kind of the public key in the server's certificate: RSA, ECDSA, Ed25519, Ed448 or DSA",
    reason=Reason.CERTIFICATE,
    choices=("RSA", "ECDSA", "Ed25519", "Ed448", "DSA"),
    spelled=lambda text: _KEY_TYPES.get(text.upper(), text.upper()),
)

CERTIFICATE_KEY_BITS = Subject(
    name="certificate_key_bits",
    kind=ValueKind.NUMBER,
    description="Size of that key in bits, such as 2048 for RSA or 256 for ECDSA",
    reason=Reason.CERTIFICATE,
    bounds=(1, math.inf),
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
    CERTIFICATE, DAYS_LEFT, CERTIFICATE_SUBJECT, CERTIFICATE_ISSUER, CERTIFICATE_NAMES, CERTIFICATE_AGE,
    CERTIFICATE_SERIAL, CERTIFICATE_FINGERPRINT, CERTIFICATE_KEY_TYPE, CERTIFICATE_KEY_BITS, TLS_VERSION, TLS_CIPHER,
)  # fmt: skip
"""Subjects of every check type that can use TLS."""


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
    began = leaf.not_before_timestamp_seconds if leaf else None
    return {
        CERTIFICATE.name: facts.verified,
        DAYS_LEFT.name: None if expiry is None else (expiry - now()) / _SECONDS_PER_DAY,
        CERTIFICATE_SUBJECT.name: leaf.subject if leaf else None,
        CERTIFICATE_ISSUER.name: leaf.issuer if leaf else None,
        CERTIFICATE_NAMES.name: leaf.names if leaf else None,
        CERTIFICATE_AGE.name: None if began is None else (now() - began) / _SECONDS_PER_DAY,
        CERTIFICATE_SERIAL.name: (leaf.serial_number or None) if leaf else None,
        CERTIFICATE_FINGERPRINT.name: leaf.fingerprint_sha256 if leaf else None,
        CERTIFICATE_KEY_TYPE.name: (leaf.key_type or None) if leaf else None,
        CERTIFICATE_KEY_BITS.name: (leaf.key_bits or None) if leaf else None,
        TLS_VERSION.name: facts.version or None,
        TLS_CIPHER.name: facts.cipher or None,
    }
