"""The facts of one certificate that a server presented."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFacts:
    """Facts of one certificate; fields that a malformed one lacks are empty or None.

    Attributes:
        fingerprint_sha256: SHA-256 of the DER form, lower-case hex.
        subject: Distinguished name as Go prints it.
        issuer: Distinguished name as Go prints it.
        names: DNS names of the subject alternative name extension.
        address_text: IP addresses of the same extension, separated by spaces: there may be hundreds, and only a refusal
            needs them one by one.
        serial_number: Lower-case hex of its bytes, as Go prints it.
        key_type: RSA, ECDSA, Ed25519, Ed448 or DSA; empty for other public keys.
        key_bits: Size of the public key in bits; 0 where it is unknown.
        not_before_timestamp_seconds: Unix time at which its validity begins.
        not_after_timestamp_seconds: Unix time at which its validity ends.
    """

    fingerprint_sha256: str
    subject: str = ""
    issuer: str = ""
    names: tuple[str, ...] = ()
    address_text: str = ""
    serial_number: str = ""
    key_type: str = ""
    key_bits: int = 0
    not_before_timestamp_seconds: float | None = None
    not_after_timestamp_seconds: float | None = None

    @property
    def addresses(self) -> tuple[str, ...]:
        """The IP addresses of the subject alternative name extension."""
        return tuple(self.address_text.split())
