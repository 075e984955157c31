"""Explain why a certificate was rejected: OpenSSL's objection and the relevant facts of the certificate.

Source for matching names: RFC 9525 section 6.3, and OpenSSL, X509_check_host(3). Only subject alternative names count;
a wildcard matches exactly one label, the leftmost, and needs two labels after it.
"""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING

from exporter.addresses import parse_address
from exporter.net.errors import (
    EXPIRED,
    NOT_YET_VALID,
    OTHER_ADDRESS,
    OTHER_HOST,
    UNKNOWN_ISSUER,
    verification_phrase,
)
from exporter.quantities import exact_time

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence

    from exporter.model import CertificateFacts

_SHOWN_NAMES = 5
_LABELS_AFTER_WILDCARD = 2


def certificate_phrase(
    error: ssl.SSLCertVerificationError, presented: Sequence[CertificateFacts], server_name: str
) -> str:
    """Return why a certificate was rejected.

    Args:
        error: The error from OpenSSL.
        presented: Facts of the certificates that were sent, the peer's own first.
        server_name: The name or address that the certificate had to match.
    """
    code = error.verify_code
    if code == EXPIRED:
        ends = [one.not_after_timestamp_seconds for one in presented if one.not_after_timestamp_seconds is not None]
        past = [end for end in ends if end < time()]
        if past:
            return f"it expired on {exact_time(min(past))}"
    if code == NOT_YET_VALID:
        starts = [one.not_before_timestamp_seconds for one in presented if one.not_before_timestamp_seconds is not None]
        if starts:
            return f"it is not valid before {exact_time(max(starts))}"
    if code == UNKNOWN_ISSUER and presented and presented[-1].issuer:
        if len(presented) == 1:
            return f"its issuer {presented[0].issuer} is unknown and no intermediate certificate was sent"
        return f"its chain ends with the issuer {presented[-1].issuer}, which is unknown"
    if code in (OTHER_HOST, OTHER_ADDRESS) and presented and presented[0].not_after_timestamp_seconds is not None:
        return _other_name_phrase(presented[0], server_name)
    return verification_phrase(error)


def _other_name_phrase(leaf: CertificateFacts, server_name: str) -> str:
    names = leaf.names + leaf.addresses
    if not names:
        subject = f"; the name in its subject ({leaf.subject}) does not count" if leaf.subject else ""
        return f"it has no subject alternative name for a host{subject}"
    more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    why = _near_miss(leaf.names, server_name.lower())
    return f"it is for {', '.join(names[:_SHOWN_NAMES])}{more}, not for {server_name}{why and f': {why}'}"


def _near_miss(dns_names: Sequence[str], name: str) -> str:
    """Explain the DNS name that seems to cover a name or address but does not; empty when none seems to."""
    is_address = parse_address(name) is not None
    for dns_name in dns_names:
        if is_address and _resembles(dns_name.lower(), name):
            return f"it has {dns_name} as a DNS name, and only an IP address covers an address"
        if not is_address and (why := _dns_name_fault(dns_name.lower(), name)):
            return why
    return ""


def _dns_name_fault(dns_name: str, name: str) -> str:
    if dns_name == f"{name}.":
        return f"the dot at the end of {dns_name} does not belong there"
    first, *others = dns_name.split(".")
    if "*" not in dns_name:
        return ""
    if first != "*" or any("*" in label for label in others):
        return f"the * of {dns_name} must be the whole first label" if _resembles(dns_name, name) else ""
    if not f".{name}".endswith(dns_name[1:]):
        return ""
    if len(others) < _LABELS_AFTER_WILDCARD:
        return f"{dns_name} is too wide, because a wildcard needs two labels after it"
    return f"the * of {dns_name} stands for exactly one label"


def _resembles(pattern: str, name: str) -> bool:
    """Whether a name would match a pattern if each * matched anything."""
    start, *others = pattern.split("*")
    if not others:
        return pattern == name
    *middles, end = others
    if not (name.startswith(start) and name.endswith(end) and len(name) >= len(start) + len(end)):
        return False
    rest = name[len(start) : len(name) - len(end)]
    for middle in middles:
        _, found, rest = (middle, True, rest) if not middle else rest.partition(middle)
        if not found:
            return False
    return True
