"""Certificate revocation lists: where a certificate names its own, and what a list says about it. Does no I/O.

Lists usually come over plain HTTP, so anything may be in them. Only a list that the issuer has signed counts, and only
for the certificates that it is for. Source: RFC 5280 sections 4.2.1.13, 5 and 6.3.
"""

from __future__ import annotations

from base64 import b64decode
from typing import TYPE_CHECKING, NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import AsymmetricPadding

from exporter.net.tls.der import signed_part

if TYPE_CHECKING:
    from collections.abc import Iterable

_PEM = b"-----BEGIN X509 CRL-----"

_UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What cryptography raises for certificates and lists that are malformed, or of a kind that it does not know."""


class ListEntry(NamedTuple):
    """That a certificate is revoked.

    Attributes:
        since_timestamp_seconds: Unix time since which.
        reason: Such as `keyCompromise`; empty when the list does not say why.
    """

    since_timestamp_seconds: float
    reason: str


class ReadList(NamedTuple):
    """What a list says about one certificate.

    Attributes:
        entry: The certificate's entry; None when it is not revoked.
        expires_timestamp_seconds: Unix time by which the next list will be issued; None when the list does not say.
    """

    entry: ListEntry | None
    expires_timestamp_seconds: float | None


def list_urls(certificate_der: bytes) -> tuple[str, ...]:
    """Return the URLs of a certificate's list, one of which is enough; empty when it names none with HTTP."""
    try:
        certificate = x509.load_der_x509_certificate(certificate_der)
        points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except (*_UNREADABLE, x509.ExtensionNotFound):
        return ()
    named = [url for point in points if point.crl_issuer is None for url in _urls(point.full_name)]
    return tuple([url for url in named if url.lower().startswith(("http://", "https://"))])


def read_list(content: bytes, certificate_der: bytes, issuer_der: bytes, now_timestamp_seconds: float) -> ReadList:
    """Read what a list says about a certificate; a megabyte takes some 10 ms.

    Args:
        content: The list, as DER or PEM.
        certificate_der: The certificate.
        issuer_der: The certificate of its issuer.
        now_timestamp_seconds: The Unix time.

    Raises:
        ValueError: When the list cannot be used for this certificate, with the rest of a sentence about the list.
    """
    try:
        der = _der(content)
        crl = x509.load_der_x509_crl(der)
    except _UNREADABLE as error:
        raise ValueError("is not a revocation list") from error
    try:
        certificate = x509.load_der_x509_certificate(certificate_der)
        issuer = x509.load_der_x509_certificate(issuer_der)
        _check_signature(crl, der, issuer)
        _check_scope(crl, certificate)
        if crl.last_update_utc.timestamp() > now_timestamp_seconds:
            raise ValueError(f"is not valid before {crl.last_update_utc:%Y-%m-%dT%H:%M:%SZ}")
        entry = crl.get_revoked_certificate_by_serial_number(certificate.serial_number)
        ends = crl.next_update_utc
        return ReadList(None if entry is None else _entry(entry), None if ends is None else ends.timestamp())
    except _UNREADABLE as error:
        if type(error) is ValueError:
            raise
        raise ValueError(f"cannot be read: {error}") from error


def _der(content: bytes) -> bytes:
    """Return a list in DER.

    Raises:
        ValueError: When it is PEM that cannot be decoded.
    """
    if not content.lstrip().startswith(_PEM):
        return content
    return b64decode(content.partition(_PEM)[2].partition(b"-----END")[0])


def _check_signature(crl: x509.CertificateRevocationList, der: bytes, issuer: x509.Certificate) -> None:
    """Demand that the issuer of the certificate has signed the list.

    Raises:
        ValueError: When it has not, or may not.
    """
    if crl.issuer != issuer.subject:
        raise ValueError("is from another authority")
    try:
        usage = issuer.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        usage = None
    if usage is not None and not usage.crl_sign:
        raise ValueError("has an issuer that may not sign lists")
    try:
        _verify(crl, signed_part(der), issuer.public_key())
    except InvalidSignature:
        raise ValueError("has a wrong signature") from None


def _verify(crl: x509.CertificateRevocationList, signed: bytes, key: object) -> None:
    """Verify the signature of what was received; `crl.is_signature_valid` encodes it again, which takes much longer.

    Raises:
        InvalidSignature: When it is wrong.
        TypeError: When it is of a kind that is not known.
    """
    how = crl.signature_algorithm_parameters
    match key:
        case rsa.RSAPublicKey() if crl.signature_hash_algorithm is not None and isinstance(how, AsymmetricPadding):
            key.verify(crl.signature, signed, how, crl.signature_hash_algorithm)
        case ec.EllipticCurvePublicKey() if isinstance(how, ec.ECDSA):
            key.verify(crl.signature, signed, how)
        case ed25519.Ed25519PublicKey() | ed448.Ed448PublicKey():
            key.verify(crl.signature, signed)
        case _:
            raise TypeError("its signature is of another kind than the issuer's key")


def _check_scope(crl: x509.CertificateRevocationList, certificate: x509.Certificate) -> None:
    """Demand that the list is complete for certificates of this kind.

    Raises:
        ValueError: When it is not.
    """
    if any(isinstance(extension.value, x509.DeltaCRLIndicator) for extension in crl.extensions):
        raise ValueError("has changes only")
    try:
        scope = crl.extensions.get_extension_for_class(x509.IssuingDistributionPoint).value
    except x509.ExtensionNotFound:
        return
    is_authority = _is_authority(certificate)
    excludes = scope.only_contains_user_certs if is_authority else scope.only_contains_ca_certs
    if excludes or scope.indirect_crl or scope.only_contains_attribute_certs or scope.only_some_reasons:
        raise ValueError("is not for certificates of this kind")
    if (own := _urls(scope.full_name)) and _all_urls(certificate).isdisjoint(own):
        raise ValueError("covers other certificates of the authority")


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _all_urls(certificate: x509.Certificate) -> frozenset[str]:
    points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    return frozenset([url for point in points for url in _urls(point.full_name)])


def _urls(names: Iterable[x509.GeneralName] | None) -> tuple[str, ...]:
    return tuple([name.value for name in names or () if isinstance(name, x509.UniformResourceIdentifier)])


def _entry(entry: x509.RevokedCertificate) -> ListEntry:
    try:
        reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason.value
    except (ValueError, x509.ExtensionNotFound):
        reason = ""
    return ListEntry(entry.revocation_date_utc.timestamp(), reason)
