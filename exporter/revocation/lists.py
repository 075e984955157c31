"""Certificate revocation lists: where a certificate names its own, and what a list says about it. Does no I/O.

Lists usually come over plain HTTP, so anything may be in them. Only a list that the issuer has signed counts, and only
for the certificates that it is for. Source: RFC 5280 sections 4.2.1.13, 5 and 6.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

if TYPE_CHECKING:
    from collections.abc import Iterable

_PEM = b"-----BEGIN X509 CRL-----"


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
    except (ValueError, TypeError, x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return ()
    named = [url for point in points if point.crl_issuer is None for url in _urls(point.full_name)]
    return tuple([url for url in named if url.lower().startswith(("http://", "https://"))])


def read_list(content: bytes, certificate_der: bytes, issuer_der: bytes, now_timestamp_seconds: float) -> ReadList:
    """Read what a list says about a certificate; a megabyte takes some 30 ms.

    Args:
        content: The list, as DER or PEM.
        certificate_der: The certificate.
        issuer_der: The certificate of its issuer.
        now_timestamp_seconds: The Unix time.

    Raises:
        ValueError: When the list cannot be used for this certificate, with the rest of a sentence about the list.
    """
    certificate = x509.load_der_x509_certificate(certificate_der)
    issuer = x509.load_der_x509_certificate(issuer_der)
    try:
        load = x509.load_pem_x509_crl if content.lstrip().startswith(_PEM) else x509.load_der_x509_crl
        crl = load(content)
    except (ValueError, TypeError) as error:
        raise ValueError("is not a revocation list") from error
    try:
        _check_signature(crl, issuer)
        _check_scope(crl, certificate)
        if crl.last_update_utc.timestamp() > now_timestamp_seconds:
            raise ValueError(f"is not valid before {crl.last_update_utc:%Y-%m-%dT%H:%M:%SZ}")
        entry = crl.get_revoked_certificate_by_serial_number(certificate.serial_number)
        ends = crl.next_update_utc
        return ReadList(None if entry is None else _entry(entry), None if ends is None else ends.timestamp())
    except (TypeError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise ValueError(f"cannot be read: {error}") from error


def _check_signature(crl: x509.CertificateRevocationList, issuer: x509.Certificate) -> None:
    """Demand that the issuer of the certificate has signed the list.

    Raises:
        ValueError: When it has not, or may not.
    """
    if crl.issuer != issuer.subject:
        raise ValueError("is that of another authority")
    try:
        usage = issuer.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        usage = None
    if usage is not None and not usage.crl_sign:
        raise ValueError("has an issuer that may not sign lists")
    if not crl.is_signature_valid(issuer.public_key()):  # type: ignore[arg-type]  # other keys raise TypeError
        raise ValueError("has a wrong signature")


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
        raise ValueError("is that of other certificates of the authority")


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
