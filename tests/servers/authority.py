"""An authority with an intermediate one, whose certificates name revocation lists, and those lists as files."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.servers.certificates import LONG_AGO, LONG_AHEAD
from tests.servers.nginx import TLS_SERVER, CertificateFiles, run_nginx

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

LEAF_SERIAL, INTERMEDIATE_SERIAL = 0xABCDEF, 0x1234
REVOKED_ON = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)


class Issuer(NamedTuple):
    """A certificate with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def list_of(
        self,
        *serials: int,
        begins: datetime | None = None,
        lifetime: timedelta = timedelta(days=7),
        extensions: Iterable[x509.ExtensionType] = (),
        reason: x509.ReasonFlags | None = x509.ReasonFlags.key_compromise,
        key: ec.EllipticCurvePrivateKey | None = None,
    ) -> bytes:
        """A revocation list in DER with these serial numbers."""
        begins = begins or datetime.now(UTC) - timedelta(hours=1)
        builder = x509.CertificateRevocationListBuilder(self.certificate.subject, begins, begins + lifetime)
        for serial in serials:
            entry = x509.RevokedCertificateBuilder(serial, REVOKED_ON)
            if reason is not None:
                entry = entry.add_extension(x509.CRLReason(reason), critical=False)
            builder = builder.add_revoked_certificate(entry.build())
        for extension in extensions:
            builder = builder.add_extension(extension, critical=True)
        return builder.sign(key or self.key, SHA256()).public_bytes(Encoding.DER)


class Authority(NamedTuple):
    """A root, an intermediate authority, and a certificate for localhost."""

    root: Issuer
    intermediate: Issuer
    leaf: Issuer

    def write(self, place: Path) -> CertificateFiles:
        """Write `ca.pem`, and the chain that a server presents with its key."""
        (place / "ca.pem").write_bytes(self.root.certificate.public_bytes(Encoding.PEM))
        files = CertificateFiles(place / "cert.pem", place / "key.pem")
        chain = [one.certificate.public_bytes(Encoding.PEM) for one in (self.leaf, self.intermediate)]
        files.cert_file.write_bytes(b"".join(chain))
        key = self.leaf.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        files.key_file.write_bytes(key)
        return files


def make_authority(leaf_lists: Iterable[str], intermediate_lists: Iterable[str]) -> Authority:
    """Make an authority whose certificates name these lists."""
    root = _issue(None, "root", 1, (), x509.BasicConstraints(ca=True, path_length=None))
    ca = x509.BasicConstraints(ca=True, path_length=0)
    intermediate = _issue(root, "intermediate", INTERMEDIATE_SERIAL, intermediate_lists, ca)
    name = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    return Authority(root, intermediate, _issue(intermediate, "localhost", LEAF_SERIAL, leaf_lists, name))


def _issue(
    issuer: Issuer | None, common_name: str, serial: int, lists: Iterable[str], extension: x509.ExtensionType
) -> Issuer:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    by = subject if issuer is None else issuer.certificate.subject
    builder = x509.CertificateBuilder(by, subject, key.public_key(), serial, LONG_AGO, LONG_AHEAD)
    builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
    points = [x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None) for url in lists]
    if points:
        builder = builder.add_extension(x509.CRLDistributionPoints(points), critical=False)
    return Issuer(builder.sign(key if issuer is None else issuer.key, SHA256()), key)


class RevocableServer(NamedTuple):
    """A web server with a certificate, its authority, and where that publishes its lists.

    Attributes:
        target: The server, as host:port.
        authority: The authority.
        lists: The directory of the lists.
        ca_file: The authority's certificate.
    """

    target: str
    authority: Authority
    lists: Path
    ca_file: Path

    def publish(self, leaf: bytes | None = None, intermediate: bytes | None = None) -> None:
        """Replace the lists of both authorities; by default with those on which nothing is."""
        (self.lists / "leaf.crl").write_bytes(self.authority.intermediate.list_of() if leaf is None else leaf)
        upper = self.authority.root.list_of() if intermediate is None else intermediate
        (self.lists / "intermediate.crl").write_bytes(upper)


@contextmanager
def run_revocable_server(directory: Path) -> Iterator[RevocableServer]:
    """Run nginx twice for the duration of the block: over TLS, and over plain HTTP with the lists of its authority."""
    lists = directory / "lists"
    lists.mkdir()
    with run_nginx(directory / "plain", f"server {{ listen {{port}}; root {lists}; }}") as listing:
        authority = make_authority([listing.url("/leaf.crl")], [listing.url("/intermediate.crl")])
        with run_nginx(directory / "tls", TLS_SERVER, certificate=authority.write(directory)) as nginx:
            server = RevocableServer(f"localhost:{nginx.tls_port}", authority, lists, directory / "ca.pem")
            server.publish()
            yield server
