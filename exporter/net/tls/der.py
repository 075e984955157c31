"""Find parts of certificates and revocation lists without parsing the rest, which may be long.

Source: RFC 5280 section 4.1 for the fields, X.690 section 8.1 for tags and lengths.
"""

from __future__ import annotations

_VERSION = 0xA0


def longest_name_bytes(der: bytes) -> int:
    """Return the length in bytes of the longer of issuer and subject, or of the data when it is not a certificate."""
    try:
        _, at, _ = _element(der, 0)  # the certificate
        _, at, _ = _element(der, at)  # what is signed
        tag, _, end = _element(der, at)
        if tag == _VERSION:
            _, _, end = _element(der, end)  # the serial number
        _, _, end = _element(der, end)  # the algorithm
        issuer_at = end
        _, _, end = _element(der, issuer_at)
        _, _, subject_at = _element(der, end)  # the validity
        _, _, subject_end = _element(der, subject_at)
    except IndexError:
        return len(der)
    return max(end - issuer_at, subject_end - subject_at)


def signed_part(der: bytes) -> bytes:
    """Return the signed part of a certificate or revocation list; empty when it is neither."""
    try:
        _, at, _ = _element(der, 0)
        return der[at : _element(der, at)[2]]
    except IndexError:
        return b""


def _element(der: bytes, at: int) -> tuple[int, int, int]:
    """Return the tag, content offset and end offset of the element at an offset.

    Raises:
        IndexError: When the data ends before the element begins.
    """
    tag, length, start = der[at], der[at + 1], at + 2
    if length & 0x80:
        octets = length & 0x7F
        length = int.from_bytes(der[start : start + octets])
        start += octets
    return tag, start, start + length
