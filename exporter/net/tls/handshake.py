"""Facts of a TLS handshake, completed or failed, and why it failed.

The certificates can be read whatever the outcome of the handshake, so the facts of rejected ones need no second
connection.
"""

from __future__ import annotations

import ssl
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

from OpenSSL import SSL
from OpenSSL._util import ffi
from OpenSSL._util import lib as openssl

from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net.connection_facts import TlsFacts
from exporter.net.errors import connection_failure, openssl_reason
from exporter.net.tls.certificate_facts import MAX_PRESENTED, NOTHING_PRESENTED, Presented
from exporter.net.tls.cipher_suites import iana_cipher_name
from exporter.net.tls.rejected_certificates import certificate_phrase
from exporter.net.tls.server_hello import read_server_hello

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.net.tls.verification import VerifiedChain

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
"""Alerts that servers send instead of a ServerHello; RFC 8446 section 6."""

_SHOWN_BYTES = 32


def presented_certificates(connection: SSL.Connection) -> Presented:
    """Return the certificates received so far, whatever the state of the handshake.

    pyOpenSSL has no public way to count or encode them without creating several objects for each, which takes three
    times as long.
    """
    stack = openssl.SSL_get_peer_cert_chain(connection._ssl)  # noqa: SLF001 - as above
    if not stack:
        return NOTHING_PRESENTED
    count = openssl.sk_X509_num(stack)
    written = ffi.gc(openssl.BIO_new(openssl.BIO_s_mem()), openssl.BIO_free)
    data = ffi.new("char**")
    ends = [0]
    for position in range(count if count <= MAX_PRESENTED else 1):
        openssl.i2d_X509_bio(written, openssl.sk_X509_value(stack, position))
        ends.append(openssl.BIO_get_mem_data(written, data))
    return Presented.read([ffi.buffer(data[0] + start, end - start)[:] for start, end in pairwise(ends)], count)


def too_many_certificates(presented: Presented, server_name: str) -> CheckFailed | None:
    """Return the failure of a handshake with more certificates than are read; else None."""
    if presented.sent <= MAX_PRESENTED:
        return None
    detail = f"{server_name} presented {presented.sent} certificates; at most {MAX_PRESENTED} are accepted"
    return CheckFailed(Reason.CERTIFICATE, detail)


def legacy_server(connection: SSL.Connection, head: bytes, server_name: str) -> CheckFailed | None:
    """Return the failure of a handshake with a server without secure renegotiation (RFC 5746); else None.

    Args:
        connection: A connection on which the server has made its choice.
        head: The first bytes that the server sent.
        server_name: The name or address of the server.
    """
    if connection.get_protocol_version() >= SSL.TLS1_3_VERSION:
        return None
    hello = read_server_hello(head)
    if hello is None or not hello.is_legacy:
        return None
    detail = f"{server_name} does not support secure renegotiation (RFC 5746)"
    return CheckFailed(Reason.TLS, f"{detail}; set legacy_renegotiation: true in tls_config to accept that")


def completed_facts(connection: SSL.Connection, presented: Presented, verified: VerifiedChain | None) -> TlsFacts:
    """Return the facts of a completed handshake.

    Args:
        connection: The connection.
        presented: The certificates received.
        verified: The verified chain; None when verification was not wanted.
    """
    return TlsFacts(
        version=_version_name(connection.get_protocol_version_name()),
        cipher=iana_cipher_name(connection.get_cipher_name() or ""),
        verified=verified is not None,
        presented=presented.facts,
        chain_expiry_timestamp_seconds=None if verified is None else verified.valid_until_seconds,
    )


def failed_facts(presented: Presented, head: bytes) -> TlsFacts | None:
    """Return what is known about a handshake that failed or was aborted; None when the peer chose nothing.

    Args:
        presented: The certificates received.
        head: The first bytes that the peer sent.
    """
    hello = read_server_hello(head)
    if hello is None:
        if not presented.facts:
            return None
        return TlsFacts(version="", cipher="", verified=False, presented=presented.facts)
    suite = _suite_names().get(hello.cipher_suite)
    return TlsFacts(
        version=hello.version,
        cipher=iana_cipher_name(suite) if suite else "",
        verified=False,
        presented=presented.facts,
    )


@cache
def _suite_names() -> Mapping[int, str]:
    """Return OpenSSL's names of cipher suites by IANA number."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("ALL:COMPLEMENTOFDEFAULT:@SECLEVEL=0")
    return {suite["id"] & 0xFFFF: suite["name"] for suite in context.get_ciphers()}


def handshake_failure(
    error: ssl.SSLError | SSL.Error, facts: TlsFacts | None, server_name: str, head: bytes
) -> CheckFailed:
    """Return why a handshake failed, with the facts of the certificate when that is the cause.

    Args:
        error: The error from OpenSSL.
        facts: Facts of the failed handshake.
        server_name: The name or address that the certificate had to match.
        head: The first bytes that the peer sent.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        why = certificate_phrase(error, facts.presented if facts else (), server_name)
        return CheckFailed(Reason.CERTIFICATE, f"the certificate of {server_name} was rejected: {why}")
    if head and head[0] not in _RECORD_TYPES:
        return CheckFailed(Reason.TLS, f"the peer does not speak TLS: it sent {head[:_SHOWN_BYTES]!r}")
    if len(head) > 6 and (head[0], head[5]) == (_ALERT, _FATAL):
        why = _ALERTS.get(head[6], f"alert {head[6]}")
        return CheckFailed(Reason.TLS, f"{server_name} refused the handshake: {why}")
    if openssl_reason(error) == "unsupported protocol" and facts is not None and facts.version:
        return CheckFailed(Reason.TLS, f"{server_name} speaks {facts.version}, which tls_config does not allow")
    return connection_failure(error, f"shaking hands with {server_name}")


def _version_name(openssl_name: str) -> str:
    """Convert `TLSv1.3` to `TLS 1.3`, and `TLSv1` to `TLS 1.0`."""
    name = openssl_name.replace("TLSv", "TLS ")
    return f"{name}.0" if name == "TLS 1" else name
