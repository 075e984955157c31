"""Certificates with every fault that certificates have, and server contexts that present them."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from hashlib import sha1
from tempfile import NamedTemporaryFile
from typing import NamedTuple

import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

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


def with_weak_key(ca: trustme.CA, *names: str) -> Certificate:
    """One whose key is of RSA with 1024 bits."""
    key = rsa.generate_private_key(65537, 1024)
    issuer = x509.load_pem_x509_certificate(ca.cert_pem.bytes()).subject
    issuing_key = load_pem_private_key(ca.private_key_pem.bytes(), None)
    assert isinstance(issuing_key, ec.EllipticCurvePrivateKey)
    pem = (
        x509.CertificateBuilder(issuer, x509.Name([]), key.public_key(), 0xABCDEF, LONG_AGO, LONG_AHEAD)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), True)
        .sign(issuing_key, SHA256())
        .public_bytes(Encoding.PEM)
    )
    return Certificate(pem, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def with_weak_signature(ca: trustme.CA, *names: str) -> Certificate:
    """One signed with SHA-1 by an intermediate authority, which is presented too."""
    intermediate = ca.create_child_ca(key_type=trustme.KeyType.RSA)
    issued = _chain_of(intermediate.issue_cert(*names))
    key = load_pem_private_key(intermediate.private_key_pem.bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    weak = _sign_with_sha1(issued.leaf, key).public_bytes(Encoding.PEM)
    return Certificate(weak + intermediate.cert_pem.bytes(), issued.key)


def _sign_with_sha1(certificate: x509.Certificate, key: rsa.RSAPrivateKey) -> x509.Certificate:
    """Replace a signature of RSA and SHA-256; by hand, as cryptography refuses to (RFC 8017 sections 8.2 and 9.2)."""
    sha256_with_rsa, sha1_with_rsa = (bytes.fromhex("2a864886f70d0101") + number for number in (b"\x0b", b"\x05"))
    body = certificate.tbs_certificate_bytes.replace(sha256_with_rsa, sha1_with_rsa)
    digest = bytes.fromhex("3021300906052b0e03021a05000414") + sha1(body).digest()
    size = key.key_size // 8
    padded = b"\0\1" + b"\xff" * (size - 3 - len(digest)) + b"\0" + digest
    numbers = key.private_numbers()
    signature = pow(int.from_bytes(padded), numbers.d, numbers.public_numbers.n).to_bytes(size)
    unsigned = certificate.public_bytes(Encoding.DER).replace(sha256_with_rsa, sha1_with_rsa)[:-size]
    return x509.load_der_x509_certificate(unsigned + signature)


def as_version_2(certificate: Certificate, ca: trustme.CA) -> Certificate:
    """Make one of ECDSA, issued by `ca`, one of X.509's version 2: OpenSSL takes it, cryptography does not."""
    key = load_pem_private_key(ca.private_key_pem.bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    version_3, version_2 = bytes.fromhex("a003020102"), bytes.fromhex("a003020101")
    body = certificate.leaf.tbs_certificate_bytes.replace(version_3, version_2, 1)
    signature = b"\0" + key.sign(body, ec.ECDSA(SHA256()))
    der = body + bytes.fromhex("300a06082a8648ce3d040302") + b"\x03" + len(signature).to_bytes() + signature
    pem = ssl.DER_cert_to_PEM_cert(b"\x30\x82" + len(der).to_bytes(2) + der)
    return Certificate(pem.encode(), certificate.key)


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


EVEN_WEAK = "DEFAULT:@SECLEVEL=0"
"""Cipher suites of a server that minds no weak keys, digests and versions of its own."""


def server_context(
    certificate: Certificate, *, version: ssl.TLSVersion | None = None, ciphers: str | None = None
) -> ssl.SSLContext:
    """A server's context that presents the certificate; it may speak one version only, and have other ciphers."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if ciphers is not None:
        context.set_ciphers(ciphers)
    if version is not None:
        context.minimum_version = context.maximum_version = version
    with NamedTemporaryFile(suffix=".pem") as file:
        file.write(certificate.key + certificate.chain)
        file.flush()
        context.load_cert_chain(file.name)
    return context


def _chain_of(issued: trustme.LeafCert) -> Certificate:
    return Certificate(b"".join(pem.bytes() for pem in issued.cert_chain_pems), issued.private_key_pem.bytes())
