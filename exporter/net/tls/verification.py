"""Verify certificates from another library's handshake with Python's `ssl`.

The certificates are passed to it as a TLS 1.2 server would send them, in the clear: it verifies them before it needs
anything that depends on the server's key. So authorities, host names, purposes and error texts are the same for every
protocol. The original handshake proves that the peer has the key of its certificate.

Why not in the handshake itself: the docstring of `exporter.net.tls` has the figures.
"""

from __future__ import annotations

import ssl
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from OpenSSL import crypto

from exporter.net.connection_facts import earliest_expiry
from exporter.net.tls.certificate_facts import certificate_facts, latest_start

if TYPE_CHECKING:
    from collections.abc import Sequence

_DER = 2  # _ssl.ENCODING_DER
_RECORD_BYTES = 16384
_SERVER_HELLO, _CERTIFICATE = b"\x02", b"\x0b"  # RFC 5246 section 7.4
_NO_RENEGOTIATION = b"\xff\x01\x00\x01\x00"  # RFC 5746 section 3.2; without it OpenSSL 3 ends the handshake
_ECDHE_RSA, _ECDHE_ECDSA = b"\xc0\x30", b"\xc0\x2c"  # with AES_256_GCM_SHA384, RFC 5289
_RSA_KEYS = (crypto.TYPE_RSA, 912)  # the latter is EVP_PKEY_RSA_PSS

_VERIFYING_SUITES = "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES256-GCM-SHA384:@SECLEVEL=2"
"""The cipher suites that verify_chain uses, and OpenSSL's security level, whatever the system sets for connections.
Level 2 requires keys of 112 bits of security (RSA with 2048 bits) and no signature with MD5 or SHA-1 except that of a
trusted authority. It is Python's default; the TLS versions allowed for connections do not lower it."""


class VerifiedChain(NamedTuple):
    """A verified chain: the Unix times between which all its certificates are valid.

    Attributes:
        valid_from_seconds: The beginning; None when the dates of one of them cannot be read.
        valid_until_seconds: The end, as far as it can be read; None when it cannot at all.
    """

    valid_from_seconds: float | None
    valid_until_seconds: float | None

    def holds_at(self, timestamp_seconds: float) -> bool:
        """Whether the chain is certain to be valid at a Unix time."""
        begins, ends = self
        return begins is not None and ends is not None and begins <= timestamp_seconds <= ends


def verifying_context(authorities: str) -> ssl.SSLContext:
    """Make a context for verify_chain.

    Each certificate is a trust anchor, whether it is a root, an intermediate or the peer's own: a chain that ends at it
    is complete. Names in a certificate's subject do not count (RFC 9525 section 2).

    Args:
        authorities: The certificates to trust, as PEM.

    Raises:
        ssl.SSLError: When one of them cannot be read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=authorities)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.hostname_checks_common_name = False
    context.set_ciphers(_VERIFYING_SUITES)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2  # what verify_chain uses
    return context


def verify_chain(context: ssl.SSLContext, server_name: str, presented: Sequence[bytes]) -> VerifiedChain:
    """Verify the chain and the name as `context` does in handshakes.

    Args:
        context: A context from verifying_context.
        server_name: Name or IP address that the certificate must match.
        presented: The certificates as sent, in DER, the peer's own first; at least one.

    Returns:
        When the verified chain, from the peer's certificate to the authority, is valid.

    Raises:
        ssl.SSLCertVerificationError: When they are rejected.
        ssl.SSLError: When they cannot be verified: too many, or of a kind that OpenSSL does not support.
    """
    facts = tuple([certificate_facts(der) for der in verified_certificates(context, server_name, presented)])
    return VerifiedChain(latest_start(facts), earliest_expiry(facts))


def verified_certificates(context: ssl.SSLContext, server_name: str, presented: Sequence[bytes]) -> list[bytes]:
    """Return the verified chain in DER, from the peer's certificate to the authority; arguments as for verify_chain.

    Raises:
        ssl.SSLError: As verify_chain.
    """
    incoming = ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, ssl.MemoryBIO(), server_hostname=server_name)
    with suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    incoming.write(_first_flight(presented))
    with suppress(ssl.SSLWantReadError):  # it accepted the certificates and waits for proof of the key
        tls.do_handshake()
    chain = _verified_chain(tls)
    if not chain:
        raise ssl.SSLError("no chain was verified")
    return chain


def _first_flight(presented: Sequence[bytes]) -> bytes:
    suite = _ECDHE_RSA if _key_type(presented[0]) in _RSA_KEYS else _ECDHE_ECDSA
    hello = b"".join((b"\x03\x03", bytes(32), _vector(b"", 1), suite, b"\x00", _vector(_NO_RENEGOTIATION, 2)))
    entries = b"".join([_vector(one, 3) for one in presented])
    messages = _SERVER_HELLO + _vector(hello, 3) + _CERTIFICATE + _vector(_vector(entries, 3), 3)
    pieces = [messages[start : start + _RECORD_BYTES] for start in range(0, len(messages), _RECORD_BYTES)]
    return b"".join([b"\x16\x03\x03" + _vector(piece, 2) for piece in pieces])


def _key_type(der: bytes) -> int:
    """Return OpenSSL's number for the kind of a certificate's key; 0 for one that it will reject.

    Uses OpenSSL's own parser, which accepts certificates that cryptography does not.
    """
    try:
        return crypto.load_certificate(crypto.FILETYPE_ASN1, der).get_pubkey().type()
    except crypto.Error:
        return 0


def _vector(content: bytes, length_octets: int) -> bytes:
    """Encode a TLS vector: a length and that many bytes (RFC 5246 section 4.3)."""
    return len(content).to_bytes(length_octets) + content


def _verified_chain(tls: Any) -> list[bytes]:
    if sys.version_info >= (3, 13):
        return list(tls.get_verified_chain())
    chain = tls._sslobj.get_verified_chain()  # noqa: SLF001 - the method is public from Python 3.13 on
    return [certificate.public_bytes(_DER) for certificate in chain or ()]
