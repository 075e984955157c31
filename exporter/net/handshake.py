"""What a TLS handshake, completed or refused, tells: its facts, and why it failed.

The certificates of a refused handshake are still in OpenSSL's session object (OpenSSL 3 and newer), so the facts need
neither a second connection nor a handshake that trusts anyone.
"""

from __future__ import annotations

import ssl
import sys
from datetime import UTC, datetime
from time import time
from typing import TYPE_CHECKING, Any

from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net.certificates import TlsFacts, certificate_facts, earliest_expiry
from exporter.net.cipher_suites import iana_cipher_name, read_server_hello
from exporter.net.failures import (
    EXPIRED,
    NOT_YET_VALID,
    OTHER_ADDRESS,
    OTHER_HOST,
    UNKNOWN_ISSUER,
    connection_failure,
    verification_phrase,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.net.certificates import CertificateFacts

_DER = 2  # _ssl.ENCODING_DER
_RECORD_TYPES = range(20, 25)
"""First byte of every TLS record, RFC 8446 section 5.1 and RFC 6520."""

_ALERT, _FATAL = 21, 2
_ALERTS = {
    40: "it has no cipher suite or other parameter in common with those offered (alert handshake_failure)",
    70: "it speaks none of the TLS versions offered (alert protocol_version)",
    71: "it finds all cipher suites offered too weak (alert insufficient_security)",
    80: "it failed by itself (alert internal_error)",
    112: "it does not know this name (alert unrecognized_name)",
    120: "it speaks none of the protocols offered (alert no_application_protocol)",
}
"""What servers answer to a ClientHello instead of a ServerHello; RFC 8446 section 6."""

_SHOWN_NAMES = 5
_SHOWN_BYTES = 32


def completed_facts(tls: ssl.SSLObject, *, verified: bool) -> TlsFacts:
    """Give the facts of a completed handshake.

    Args:
        tls: The connection.
        verified: Whether the handshake could only complete with a verified chain and host name.
    """
    cipher = tls.cipher()
    chain = _certificates(verified_chain(tls)) if verified else ()
    return TlsFacts(
        version=_version_name(tls.version() or ""),
        cipher=iana_cipher_name(cipher[0]) if cipher else "",
        verified=verified,
        presented=_certificates(presented_chain(tls)),
        chain_expiry_timestamp_seconds=earliest_expiry(chain),
    )


def refused_facts(tls: ssl.SSLObject, head: bytes) -> TlsFacts | None:
    """Give what is known of a handshake that failed; None when the peer chose nothing.

    Args:
        tls: The connection.
        head: The first bytes that the peer sent.
    """
    hello = read_server_hello(head)
    presented = _certificates(presented_chain(tls))
    if hello is None:
        return TlsFacts(version="", cipher="", verified=False, presented=presented) if presented else None
    names = {suite["id"] & 0xFFFF: suite["name"] for suite in tls.context.get_ciphers()}
    suite = names.get(hello.cipher_suite)
    return TlsFacts(
        version=hello.version,
        cipher=iana_cipher_name(suite) if suite else "",
        verified=False,
        presented=presented,
    )


def handshake_failure(error: ssl.SSLError, facts: TlsFacts | None, server_name: str, head: bytes) -> CheckFailed:
    """Tell why a handshake failed, with what the certificate says where it is to blame.

    Args:
        error: What OpenSSL raised.
        facts: Facts of the refused handshake.
        server_name: The name or address that the certificate had to be for.
        head: The first bytes that the peer sent.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        why = _certificate_phrase(error, facts.presented if facts else (), server_name)
        return CheckFailed(Reason.CERTIFICATE, f"the certificate of {server_name} was refused: {why}")
    if head and head[0] not in _RECORD_TYPES:
        return CheckFailed(Reason.TLS, f"the peer does not speak TLS: it sent {head[:_SHOWN_BYTES]!r}")
    if len(head) > 6 and (head[0], head[5]) == (_ALERT, _FATAL):
        why = _ALERTS.get(head[6], f"alert {head[6]}")
        return CheckFailed(Reason.TLS, f"{server_name} refused the handshake: {why}")
    if getattr(error, "reason", None) == "UNSUPPORTED_PROTOCOL" and facts is not None and facts.version:
        return CheckFailed(Reason.TLS, f"{server_name} speaks {facts.version}, which tls_config does not allow")
    return connection_failure(error, f"shaking hands with {server_name}")


def _certificate_phrase(
    error: ssl.SSLCertVerificationError, presented: Sequence[CertificateFacts], server_name: str
) -> str:
    code = error.verify_code
    if code == EXPIRED:
        ends = [one.not_after_timestamp_seconds for one in presented if one.not_after_timestamp_seconds is not None]
        past = [end for end in ends if end < time()]
        if past:
            return f"it expired on {_date(min(past))}"
    if code == NOT_YET_VALID:
        starts = [one.not_before_timestamp_seconds for one in presented if one.not_before_timestamp_seconds is not None]
        if starts:
            return f"it is not valid before {_date(max(starts))}"
    if code == UNKNOWN_ISSUER and presented and presented[-1].issuer:
        if len(presented) == 1:
            return f"its issuer {presented[0].issuer} is unknown and no intermediate certificate was sent"
        return f"its chain ends with the issuer {presented[-1].issuer}, which is unknown"
    names = presented[0].names + presented[0].addresses if presented else ()
    if code in (OTHER_HOST, OTHER_ADDRESS) and names:
        more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
        return f"it is for {', '.join(names[:_SHOWN_NAMES])}{more}, not for {server_name}"
    return verification_phrase(error)


def _date(timestamp_seconds: float) -> str:
    return datetime.fromtimestamp(timestamp_seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _version_name(openssl_name: str) -> str:
    """Turn `TLSv1.3` into `TLS 1.3`, and `TLSv1` into `TLS 1.0`."""
    name = openssl_name.replace("TLSv", "TLS ")
    return f"{name}.0" if name == "TLS 1" else name


def _certificates(chain: list[bytes]) -> tuple[CertificateFacts, ...]:
    return tuple([certificate_facts(der) for der in chain])


def presented_chain(tls: ssl.SSLObject) -> list[bytes]:
    """Give the certificates that the peer sent, as DER, its own first; with OpenSSL 3 also after their refusal."""
    if sys.version_info >= (3, 13):
        return list(tls.get_unverified_chain())
    return _private_chain(tls, "get_unverified_chain")


def verified_chain(tls: ssl.SSLObject) -> list[bytes]:
    """Give the chain that was verified, as DER, from the peer's certificate to the authority."""
    if sys.version_info >= (3, 13):
        return list(tls.get_verified_chain())
    return _private_chain(tls, "get_verified_chain")


def _private_chain(tls: Any, method: str) -> list[bytes]:
    chain = getattr(tls._sslobj, method)()  # noqa: SLF001 - the method is public from Python 3.13 on
    return [certificate.public_bytes(_DER) for certificate in chain or ()]
