"""Makes the OpenSSL context of the web server, and judges client certificates during the handshake.

Sessions are not resumed: a client whose certificate is not accepted any more would otherwise stay connected in spite
of a new configuration.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from cryptography import x509
from OpenSSL import SSL, crypto

from exporter.net.errors import openssl_reason
from exporter.net.tls.groups import set_groups
from exporter.net.tls.pem_files import UNKNOWN_KIND_OF_KEY

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

    from exporter.web_config.model import ClientAuth

HTTP2, _HTTP1 = b"h2", b"http/1.1"
_VERIFYING = ("VerifyClientCertIfGiven", "RequireAndVerifyClientCert")
_SESSION_ID_CONTEXT = b"nyxmon-exporter"


class UnusableError(Exception):
    """Raised when OpenSSL rejects a part of the configuration.

    Attributes:
        item: The part, without `_file`.
        why: What is wrong with it.
    """

    def __init__(self, item: Literal["cert", "key", "cipher_suites", "curve_preferences"], why: str) -> None:
        self.item = item
        self.why = why
        super().__init__(f"{item}: {why}")


class OwnCertificate(NamedTuple):
    """The server's certificate, with those of intermediate authorities after it, and its key."""

    chain: tuple[x509.Certificate, ...]
    key: PrivateKeyTypes


class Parameters(NamedTuple):
    """The parameters of handshakes.

    Attributes:
        minimum: OpenSSL's number of the lowest version.
        maximum: OpenSSL's number of the highest version.
        suites: OpenSSL's names of the suites up to TLS 1.2; empty if only TLS 1.3 is possible.
        curves: OpenSSL's names of the curves; empty for its own choice.
        prefers_own_suites: Whether the order of the suites counts, rather than that of the client.
        client_auth: Which client certificates are requested and verified.
        authorities: PEM of the certificates to trust; None for those that the system trusts.
        allowed_sans: The names of which a client certificate must have one; None for any.
        may_lack_certificate: Whether clients without a certificate may connect.
        http2: Whether HTTP/2 is offered.
    """

    minimum: int
    maximum: int
    suites: tuple[str, ...]
    curves: tuple[str, ...]
    prefers_own_suites: bool
    client_auth: ClientAuth
    authorities: str | None
    allowed_sans: frozenset[str] | None
    may_lack_certificate: bool
    http2: bool


def server_context(parameters: Parameters, certificate: OwnCertificate) -> SSL.Context:
    """Make a context for the server's side of connections.

    Raises:
        UnusableError: When OpenSSL rejects a part.
    """
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_session_id(_SESSION_ID_CONTEXT)
    context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_COMPRESSION)
    if parameters.prefers_own_suites:
        context.set_options(SSL.OP_CIPHER_SERVER_PREFERENCE)
    protocols = (HTTP2, _HTTP1) if parameters.http2 else (_HTTP1,)
    context.set_alpn_select_callback(
        lambda connection, offered: _chosen(connection, offered, protocols) or SSL.NO_OVERLAPPING_PROTOCOLS
    )
    _limit_versions(context, parameters)
    _limit_curves(context, parameters.curves)
    _present(context, certificate)
    _ask_clients(context, parameters)
    return context


def client_sans(certificate: x509.Certificate) -> set[str]:
    """Return the alternative names of a certificate as texts: DNS names, e-mail addresses, IP addresses and URIs."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return set()
    kinds = (x509.DNSName, x509.RFC822Name, x509.UniformResourceIdentifier)
    texts = {text for kind in kinds for text in names.get_values_for_type(kind)}
    return texts | {str(address) for address in names.get_values_for_type(x509.IPAddress)}


def _chosen(connection: SSL.Connection, offered: list[bytes], protocols: tuple[bytes, ...]) -> bytes | None:
    """Return the first of the server's protocols that the client offers; HTTP/2 over TLS 1.3 alone.

    It forbids most suites of older versions (RFC 9113, section 9.2.2), and the suite is not known yet.
    """
    has_new_suite = connection.get_protocol_version() >= SSL.TLS1_3_VERSION
    return next((each for each in protocols if each in offered and (has_new_suite or each != HTTP2)), None)


def _limit_versions(context: SSL.Context, parameters: Parameters) -> None:
    minimum = parameters.minimum if parameters.suites else SSL.TLS1_3_VERSION
    context.set_min_proto_version(minimum)
    context.set_max_proto_version(parameters.maximum)
    if not parameters.suites:
        return
    # OpenSSL 3 has TLS 1.0 and 1.1 only at security level 0, which a lower minimum therefore asks for.
    level = ["@SECLEVEL=0"] if minimum < SSL.TLS1_2_VERSION else []
    try:
        context.set_cipher_list(":".join([*parameters.suites, *level]).encode())
    except SSL.Error as error:
        raise UnusableError("cipher_suites", f"OpenSSL rejects them ({openssl_reason(error)})") from error


def _limit_curves(context: SSL.Context, curves: tuple[str, ...]) -> None:
    if curves and not set_groups(context, ":".join(curves).encode()):
        raise UnusableError("curve_preferences", "OpenSSL rejects them")


def _present(context: SSL.Context, certificate: OwnCertificate) -> None:
    own, *others = certificate.chain
    try:
        context.use_certificate(own)
        for other in others:
            context.add_extra_chain_cert(other)
    except SSL.Error as error:
        raise UnusableError("cert", f"cannot be used: OpenSSL rejects it ({openssl_reason(error)})") from error
    try:
        context.use_privatekey(certificate.key)  # type: ignore[arg-type] # kinds unusable for TLS raise TypeError
        context.check_privatekey()  # a key of another kind would be kept for another certificate
    except TypeError as error:
        raise UnusableError("key", f"cannot be used: {UNKNOWN_KIND_OF_KEY}") from error
    except SSL.Error as error:
        raise UnusableError("key", "is not the key of the certificate") from error


def _ask_clients(context: SSL.Context, parameters: Parameters) -> None:
    if parameters.client_auth == "NoClientCert":
        context.set_verify(SSL.VERIFY_NONE)
        return
    mode = SSL.VERIFY_PEER
    if not parameters.may_lack_certificate:
        mode |= SSL.VERIFY_FAIL_IF_NO_PEER_CERT
    context.set_verify(mode, _judge(parameters))
    if parameters.authorities is not None:
        store = context.get_cert_store()
        for authority in x509.load_pem_x509_certificates(parameters.authorities.encode()):
            if store is not None:
                store.add_cert(crypto.X509.from_cryptography(authority))
            context.add_client_ca(authority)
    elif parameters.client_auth in _VERIFYING:
        context.set_default_verify_paths()


def _judge(parameters: Parameters) -> Callable[[SSL.Connection, crypto.X509, int, int, int], bool]:
    """Return a function that OpenSSL calls for each certificate of a client's chain, its own one last."""
    verifies = parameters.client_auth in _VERIFYING
    allowed = parameters.allowed_sans

    def judge(_connection: SSL.Connection, presented: crypto.X509, _error: int, depth: int, is_valid: int) -> bool:
        if verifies and not is_valid:
            return False
        return depth > 0 or allowed is None or not allowed.isdisjoint(client_sans(presented.to_cryptography()))

    return judge
