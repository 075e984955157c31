"""Certificates with every fault that certificates have, and server contexts that present them."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    import trustme

LONG_AGO = datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC)
LONG_AHEAD = datetime(2199, 12, 31, 23, 59, 58, tzinfo=UTC)


class Certificate(NamedTuple):
    """A chain as a server presents it, its own certificate first, and the key of that; both PEM."""

    chain: bytes
    key: bytes

    @property
    def leaf(self) -> x509.Certificate:
        """The server's own certificate."""
        return x509.load_pem_x509_certificate(self.chain)


def valid(ca: trustme.CA, *names: str) -> Certificate:
    """A certificate with nothing wrong."""
    return _chain_of(ca.issue_cert(*names))


def expired(ca: trustme.CA, *names: str) -> Certificate:
    """One whose time is over."""
    return _chain_of(ca.issue_cert(*names, not_before=LONG_AGO - timedelta(days=90), not_after=LONG_AGO))


def not_yet_valid(ca: trustme.CA, *names: str) -> Certificate:
    """One whose time has not come."""
    return _chain_of(ca.issue_cert(*names, not_before=LONG_AHEAD, not_after=LONG_AHEAD + timedelta(days=90)))


def with_intermediate(ca: trustme.CA, *names: str) -> Certificate:
    """One issued by an intermediate authority, which is presented too."""
    return _chain_of(ca.create_child_ca().issue_cert(*names))


def without_intermediate(ca: trustme.CA, *names: str) -> Certificate:
    """One issued by an intermediate authority that is not presented."""
    issued = ca.create_child_ca().issue_cert(*names)
    return Certificate(issued.cert_chain_pems[0].bytes(), issued.private_key_pem.bytes())


def self_signed(
    *names: str,
    subject: x509.Name | None = None,
    not_after: datetime = LONG_AHEAD,
    serial_number: int = 0xABCDEF0123,
    extensions: tuple[x509.ExtensionType, ...] = (),
) -> Certificate:
    """One that nobody but itself vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    if subject is None:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    builder = x509.CertificateBuilder(
        issuer_name=subject,
        subject_name=subject,
        public_key=key.public_key(),
        serial_number=serial_number,
        not_valid_before=LONG_AGO,
        not_valid_after=not_after,
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), False)
    for extension in extensions:
        builder = builder.add_extension(extension, False)
    pem = builder.sign(key, SHA256()).public_bytes(Encoding.PEM)
    return Certificate(pem, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def server_context(certificate: Certificate) -> ssl.SSLContext:
    """A server's context that presents the certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with NamedTemporaryFile(suffix=".pem") as file:
        file.write(certificate.key + certificate.chain)
        file.flush()
        context.load_cert_chain(file.name)
    return context


def _chain_of(issued: trustme.LeafCert) -> Certificate:
    return Certificate(b"".join(pem.bytes() for pem in issued.cert_chain_pems), issued.private_key_pem.bytes())
