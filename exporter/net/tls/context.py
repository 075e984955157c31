"""A TLS context: makes connections for one configuration and verifies their certificates.

Two libraries share the work. The OpenSSL of the package cryptography, through pyOpenSSL, performs the handshake: that
takes about half the time of the OpenSSL that Python is linked with on most systems, it provides the certificates of any
connection, and it is the same OpenSSL everywhere. Python's own `ssl` verifies the certificates, so that authorities,
names and purposes mean the same as in other Python programs.

A chain verified for a name is not verified again while all its certificates are valid: with the same authorities the
verdict cannot change. Every handshake proves that the peer has the key of its certificate.
"""

from __future__ import annotations

import ssl
from functools import cache
from hashlib import sha256
from itertools import count
from time import time
from typing import TYPE_CHECKING

from OpenSSL import SSL

from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net.tls.bounded_memory import BoundedMemory
from exporter.net.tls.files import UnusableFileError, read_client_certificate, read_verifier
from exporter.net.tls.groups import set_groups
from exporter.net.tls.verification import VerifiedChain, verify_chain

if TYPE_CHECKING:
    from exporter.net.tls.certificate_facts import Presented
    from exporter.net.tls.context_recipe import ContextRecipe
    from exporter.net.tls.files import ClientCertificate
    from exporter.net.tls.handshake_thread import HandshakeThread

_VERSIONS = {
    "TLS10": SSL.TLS1_VERSION,
    "TLS11": SSL.TLS1_1_VERSION,
    "TLS12": SSL.TLS1_2_VERSION,
    "TLS13": SSL.TLS1_3_VERSION,
}
_LEGACY_VERSIONS = ("TLS10", "TLS11")
_LOWEST_LEVEL = "@SECLEVEL=0"
"""OpenSSL 3 and newer support TLS 1.0 and 1.1 only at security level 0, which lowering the version implies. The level
applies to handshakes alone: the requirements for certificates stay the same."""

_SUITES_OF_TLS13 = b"TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384"
"""Cipher suites of TLS 1.3 in the order of preference, all that are in use (RFC 8446 appendix B.4). Processors have
instructions for SHA-256 rather than SHA-384, which hashes each handshake some twenty times; Go prefers it as well, so
that the metrics about the cipher are those of blackbox_exporter."""

_FIRST_SUITES = ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256")
"""Cipher suites preferred up to TLS 1.2, for the same reasons; OpenSSL's order holds for the others."""

_GROUPS = (b"X25519:P-256:P-384:P-521:X25519MLKEM768", b"X25519:P-256:P-384:P-521")
"""Key exchange groups, in the order of preference, with and without the hybrid of RFC 9794 that only newer OpenSSL
has. Only the first one's key is generated in advance: a server that insists on the hybrid asks for it, and for other
servers there is no key that takes as long to generate as the rest of the ClientHello."""

_CHAIN_BYTES = 400
"""Memory that a remembered chain takes with its key, and with room for more in the table."""


VerifiedChains = BoundedMemory[bytes, VerifiedChain]
"""Verified chains by one hash of the verifying context, the name they were verified for, and their certificates."""

_numbers = count()


class TlsContext:
    """Makes connections for one recipe and verifies their certificates; used by one event loop.

    Attributes:
        verifier: Python's context for verifying certificates; None when any certificate is accepted.
        remembered: Verified chains, shared with the other contexts of the process.
        thread: Takes steps of handshakes, for all contexts of the process.
        allows_legacy_servers: Whether servers without secure renegotiation (RFC 5746) are accepted.
        certificate: The client certificate for servers that ask for one.
    """

    def __init__(
        self, recipe: ContextRecipe, authorities: str | None, remembered: VerifiedChains, thread: HandshakeThread
    ) -> None:
        """Read the files; blocks.

        Args:
            recipe: The configuration.
            authorities: PEM file of the authorities to trust; None to accept any certificate.
            remembered: Where verified chains are remembered.
            thread: Takes steps of handshakes.

        Raises:
            CheckFailed: With reason `local` when a file cannot be read or has no usable content.
        """
        self.certificate: ClientCertificate | None = None
        try:
            self.verifier = None if authorities is None else read_verifier(authorities)
            if recipe.cert_file is not None and recipe.key_file is not None:
                self.certificate = read_client_certificate(recipe.cert_file, recipe.key_file)
            self._handshakes = _handshakes(recipe, self.certificate)
        except UnusableFileError as error:
            raise unusable(error.file, error.why) from error
        self.allows_legacy_servers = recipe.legacy_renegotiation
        self._number = next(_numbers)
        self.remembered = remembered
        self.thread = thread

    def connection(self, server_name: str, *, named: bool) -> SSL.Connection:
        """Make a connection without a socket, before its handshake.

        Args:
            server_name: Name or address of the peer.
            named: Whether it is a name, which is then sent as SNI (RFC 6066 section 3 does not allow addresses).
        """
        connection = SSL.Connection(self._handshakes, None)
        if named:
            connection.set_tlsext_host_name(server_name.encode())
        connection.set_connect_state()
        return connection

    def verify(self, server_name: str, presented: Presented) -> VerifiedChain:
        """Verify a chain for a name, unless it is remembered as verified.

        Args:
            server_name: Name or IP address that the certificate must match.
            presented: The certificates as sent.

        Raises:
            ssl.SSLCertVerificationError: When they are rejected.
            ssl.SSLError: When they cannot be verified.
        """
        fingerprints = "".join([one.fingerprint_sha256 for one in presented.facts])  # all of the same length
        key = sha256(f"{self._number} {fingerprints} {server_name}".encode()).digest()
        known = self.remembered.get(key)
        if known is not None and known.holds_at(time()):
            return known
        if self.verifier is None or not presented.ders:
            raise ssl.SSLError("the peer presented no certificate")
        verified = verify_chain(self.verifier, server_name, presented.ders)
        self.remembered.put(key, verified, _CHAIN_BYTES)
        return verified


def _handshakes(recipe: ContextRecipe, certificate: ClientCertificate | None) -> SSL.Context:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_verify(SSL.VERIFY_NONE)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_options(SSL.OP_NO_TICKET)
    context.set_options(SSL.OP_NO_RENEGOTIATION)  # which could bring certificates that nobody has verified
    # A server without secure renegotiation (RFC 5746) is rejected later, once it has presented its certificates.
    context.set_options(SSL.OP_LEGACY_SERVER_CONNECT)
    _prefer_groups(context)
    context.set_tls13_ciphersuites(_SUITES_OF_TLS13)
    context.set_cipher_list(_suites(at_lowest_level=recipe.min_version in _LEGACY_VERSIONS))
    context.set_min_proto_version(_VERSIONS[recipe.min_version])
    if recipe.max_version is not None:
        context.set_max_proto_version(_VERSIONS[recipe.max_version])
    if certificate is not None:
        certificate.show(context)
    if recipe.alpn:
        context.set_alpn_protos([protocol.encode() for protocol in recipe.alpn])
    return context


@cache
def _suites(*, at_lowest_level: bool) -> bytes:
    """Return OpenSSL's default cipher suites up to TLS 1.2, _FIRST_SUITES first.

    Those with shared keys or passwords (PSK and SRP) cannot be used without, and take time in every handshake.
    """
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    level = [_LOWEST_LEVEL] if at_lowest_level else []
    context.set_cipher_list(":".join(["DEFAULT:!PSK:!SRP", *level]).encode())
    defaults = SSL.Connection(context, None).get_cipher_list()
    return ":".join(sorted(defaults, key=lambda suite: suite not in _FIRST_SUITES) + level).encode()


def _prefer_groups(context: SSL.Context) -> None:
    """Offer the first entry of _GROUPS that OpenSSL supports; without one, handshakes merely take longer."""
    for groups in _GROUPS:
        if set_groups(context, groups):
            return


def unusable(files: str, why: str) -> CheckFailed:
    """Return the failure that TLS cannot be set up, which is not the target's fault."""
    return CheckFailed(Reason.LOCAL, f"TLS cannot be set up from {files}: {why}")
