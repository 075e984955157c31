"""Certificates with every fault a certificate can have, and server contexts that present them."""

from __future__ import annotations

import hashlib
import ssl
from datetime import UTC, datetime, timedelta
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, NamedTuple

import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from collections.abc import Sequence

LONG_AGO = datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC)
LONG_AHEAD = datetime(2199, 12, 31, 23, 59, 58, tzinfo=UTC)


class Certificate(NamedTuple):
    """A chain as a server presents it, its own certificate first, and that certificate's key; both PEM."""

    chain: bytes
    key: bytes

    @property
    def leaf(self) -> x509.Certificate:
        """The server's own certificate."""
        return x509.load_pem_x509_certificate(self.chain)


def all_of(certificate: Certificate) -> list[x509.Certificate]:
    """All certificates of a chain, the server's own first."""
    return x509.load_pem_x509_certificates(certificate.chain)


def valid(ca: trustme.CA, *names: str) -> Certificate:
    """A certificate with nothing wrong."""
    return _chain_of(ca.issue_cert(*names))


def expired(ca: trustme.CA, *names: str) -> Certificate:
    """One that has expired."""
    return _chain_of(ca.issue_cert(*names, not_before=LONG_AGO - timedelta(days=90), not_after=LONG_AGO))


def not_yet_valid(ca: trustme.CA, *names: str) -> Certificate:
    """One that is not valid yet."""
    return _chain_of(ca.issue_cert(*names, not_before=LONG_AHEAD, not_after=LONG_AHEAD + timedelta(days=90)))


def with_intermediate(ca: trustme.CA, *names: str) -> Certificate:
    """One issued by an intermediate authority, which is presented too."""
    return _chain_of(ca.create_child_ca().issue_cert(*names))


def without_intermediate(ca: trustme.CA, *names: str) -> Certificate:
    """One issued by an intermediate authority that is not presented."""
    issued = ca.create_child_ca().issue_cert(*names)
    return Certificate(issued.cert_chain_pems[0].bytes(), issued.private_key_pem.bytes())


def with_junk(ca: trustme.CA, *names: str, count: int = 21) -> Certificate:
    """A valid one presented with unrelated ones, `count` in total."""
    good = valid(ca, *names)
    return good._replace(chain=good.chain + b"".join([junk(number) for number in range(1, count)]))


def junk(number: int, *, linked: bool = False) -> bytes:
    """A small unrelated certificate, in PEM; linked ones name the next one as their issuer."""
    key = ed25519.Ed25519PrivateKey.generate()
    subject, issuer = (
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{one:x}")] if linked else [])
        for one in (number, number + 1)
    )
    builder = x509.CertificateBuilder(issuer, subject, key.public_key(), number + 1, LONG_AGO, LONG_AHEAD)
    return builder.sign(key, None).public_bytes(Encoding.PEM)


def with_weak_key(ca: trustme.CA, *names: str) -> Certificate:
    """One with a 1024-bit RSA key."""
    key = rsa.generate_private_key(65537, 1024)
    return _issued(ca, key, [x509.DNSName(name) for name in names])


def without_names(ca: trustme.CA, *names: str) -> Certificate:
    """One that has its name only in its subject."""
    return _issued(ca, ec.generate_private_key(ec.SECP256R1()), [], common_name=names[0])


def naming_no_host(ca: trustme.CA, *names: str) -> Certificate:
    """One whose subject alternative names are those of a person, while its subject is that of a host."""
    names_of_nobody = [x509.RFC822Name("root@good.test"), x509.UniformResourceIdentifier("https://good.test/")]
    return _issued(ca, ec.generate_private_key(ec.SECP256R1()), names_of_nobody, common_name=names[0])


def with_dns_names(ca: trustme.CA, *names: str) -> Certificate:
    """One whose names are all DNS names, even those that look like addresses."""
    return _issued(ca, ec.generate_private_key(ec.SECP256R1()), [x509.DNSName(name) for name in names])


def with_weak_signature(ca: trustme.CA, *names: str) -> Certificate:
    """One signed with SHA-1 by an intermediate authority, which is presented too."""
    return _weakly_signed(ca, names, "sha1", rsa_bits=None)


def with_broken_signature_and_weak_key(ca: trustme.CA, *names: str) -> Certificate:
    """One with a 1024-bit RSA key, signed with MD5 by an intermediate authority, which is presented too."""
    return _weakly_signed(ca, names, "md5", rsa_bits=1024)


def with_broken_signature(ca: trustme.CA, *names: str) -> Certificate:
    """One signed with MD5 by an intermediate authority, which is presented too."""
    return _weakly_signed(ca, names, "md5", rsa_bits=None)


def with_weak_intermediate(ca: trustme.CA, *names: str) -> Certificate:
    """One whose intermediate authority was signed with SHA-1 by another, which is presented too."""
    upper = ca.create_child_ca(key_type=trustme.KeyType.RSA)
    lower = upper.create_child_ca(key_type=trustme.KeyType.RSA)
    issued = _chain_of(lower.issue_cert(*names))
    weak = sign_weakly(x509.load_pem_x509_certificate(lower.cert_pem.bytes()), _rsa_key(upper), "sha1")
    own = issued.leaf.public_bytes(Encoding.PEM)
    return Certificate(own + weak.public_bytes(Encoding.PEM) + upper.cert_pem.bytes(), issued.key)


def _weakly_signed(ca: trustme.CA, names: tuple[str, ...], digest: str, rsa_bits: int | None) -> Certificate:
    intermediate = ca.create_child_ca(key_type=trustme.KeyType.RSA)
    if rsa_bits is None:
        issued = _chain_of(intermediate.issue_cert(*names))
    else:
        key = rsa.generate_private_key(65537, rsa_bits)
        issued = _issued(intermediate, key, [x509.DNSName(name) for name in names])
    weak = sign_weakly(issued.leaf, _rsa_key(intermediate), digest).public_bytes(Encoding.PEM)
    return Certificate(weak + intermediate.cert_pem.bytes(), issued.key)


def _rsa_key(ca: trustme.CA) -> rsa.RSAPrivateKey:
    key = load_pem_private_key(ca.private_key_pem.bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def _issued(
    ca: trustme.CA,
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey,
    names: Sequence[x509.GeneralName],
    common_name: str = "",
) -> Certificate:
    issuer = x509.load_pem_x509_certificate(ca.cert_pem.bytes()).subject
    issuing_key = load_pem_private_key(ca.private_key_pem.bytes(), None)
    assert isinstance(issuing_key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else [])
    builder = x509.CertificateBuilder(issuer, subject, key.public_key(), 0xABCDEF, LONG_AGO, LONG_AHEAD)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), not common_name)
    pem = builder.sign(issuing_key, SHA256()).public_bytes(Encoding.PEM)
    return Certificate(pem, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


_WEAK_DIGESTS = {
    "sha1": (b"\x05", "3021300906052b0e03021a05000414"),
    "md5": (b"\x04", "3020300c06082a864886f70d020505000410"),
}
"""Last octet of the algorithm's identifier with RSA, and the prefix of the digest (RFC 8017 section 9.2)."""


def sign_weakly(certificate: x509.Certificate, key: rsa.RSAPrivateKey, digest: str) -> x509.Certificate:
    """Replace an RSA signature with SHA-256; by hand, as cryptography refuses to (RFC 8017 sections 8.2 and 9.2)."""
    number, prefix = _WEAK_DIGESTS[digest]
    usual, weak = (bytes.fromhex("2a864886f70d0101") + last for last in (b"\x0b", number))
    body = certificate.tbs_certificate_bytes.replace(usual, weak)
    signed = bytes.fromhex(prefix) + hashlib.new(digest, body).digest()
    size = key.key_size // 8
    padded = b"\0\1" + b"\xff" * (size - 3 - len(signed)) + b"\0" + signed
    numbers = key.private_numbers()
    signature = pow(int.from_bytes(padded), numbers.d, numbers.public_numbers.n).to_bytes(size)
    unsigned = certificate.public_bytes(Encoding.DER).replace(usual, weak)[: -key.key_size // 8]
    return x509.load_der_x509_certificate(unsigned + signature)


def as_version_2(certificate: Certificate, ca: trustme.CA) -> Certificate:
    """Turn an ECDSA certificate issued by `ca` into X.509 version 2: OpenSSL accepts it, cryptography does not."""
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
    """One that is signed with its own key."""
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


def long_name(attributes: int) -> x509.Name:
    """A distinguished name of many attributes."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x") for _ in range(attributes)])


EVEN_WEAK = "DEFAULT:@SECLEVEL=0"
"""Cipher suites of a server that accepts its own weak keys, digests and versions."""


def server_context(
    certificate: Certificate, *, version: ssl.TLSVersion | None = None, ciphers: str | None = None
) -> ssl.SSLContext:
    """A server context that presents the certificate, optionally with a single TLS version or other ciphers."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if ciphers is not None:
        context.set_ciphers(ciphers)
    if version is not None:
        context.minimum_version = context.maximum_version = version
    present(context, certificate)
    return context


def present(context: ssl.SSLContext, certificate: Certificate) -> None:
    """Have a server context present this certificate on new connections."""
    with NamedTemporaryFile(suffix=".pem") as file:
        file.write(certificate.key + certificate.chain)
        file.flush()
        context.load_cert_chain(file.name)


def _chain_of(issued: trustme.LeafCert) -> Certificate:
    return Certificate(b"".join(pem.bytes() for pem in issued.cert_chain_pems), issued.private_key_pem.bytes())
