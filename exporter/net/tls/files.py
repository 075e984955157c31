"""Load the files of a TLS configuration, or report which one is unusable and why."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from OpenSSL import SSL

from exporter.net.errors import openssl_reason
from exporter.net.tls.pem_files import UNKNOWN_KIND_OF_KEY, read_certificates, read_chain, read_key
from exporter.net.tls.verification import verifying_context
from exporter.regular_files import reading_failure

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

T = TypeVar("T")


class UnusableFileError(Exception):
    """Raised when a file is unusable for TLS.

    Attributes:
        file: The file.
        why: What is wrong with it, such as `it is empty`.
    """

    def __init__(self, file: str, why: str) -> None:
        self.file = file
        self.why = why
        super().__init__(f"{file}: {why}")


class ClientCertificate(NamedTuple):
    """A client certificate: its chain, starting with its own certificate, its key, and their files."""

    chain: tuple[x509.Certificate, ...]
    key: PrivateKeyTypes
    cert_file: str
    key_file: str

    def show(self, context: SSL.Context) -> None:
        """Make connections of a context present it.

        Raises:
            UnusableFileError: When the certificate is rejected, or the key does not belong to it.
        """
        own, *others = self.chain
        try:
            context.use_certificate(own)
            for other in others:
                context.add_extra_chain_cert(other)
        except SSL.Error as error:
            raise UnusableFileError(self.cert_file, f"OpenSSL rejects it ({openssl_reason(error)})") from error
        try:
            context.use_privatekey(self.key)  # type: ignore[arg-type] # kinds unusable for TLS raise TypeError
            context.check_privatekey()  # a key of another kind would be kept for another certificate
        except TypeError as error:
            raise UnusableFileError(self.key_file, UNKNOWN_KIND_OF_KEY) from error
        except SSL.Error as error:
            raise UnusableFileError(self.key_file, f"it is not the key of {self.cert_file}") from error


def read_client_certificate(cert_file: str, key_file: str) -> ClientCertificate:
    """Read a certificate and its key; blocks.

    Raises:
        UnusableFileError: When one of the files cannot be read or has no usable content.
    """
    return ClientCertificate(_of_file(cert_file, read_chain), _of_file(key_file, read_key), cert_file, key_file)


def read_verifier(ca_file: str) -> ssl.SSLContext:
    """Read the certificates to trust; blocks.

    Raises:
        UnusableFileError: When the file cannot be read or has no usable content.
    """
    text = _of_file(ca_file, read_certificates)
    try:
        return verifying_context(text)
    except (ssl.SSLError, ValueError) as error:
        raise UnusableFileError(ca_file, "it holds a certificate that cannot be read") from error


def unusable_files(ca_file: str | None, cert_file: str | None, key_file: str | None) -> list[UnusableFileError]:
    """Return which files of a configuration are unusable, and why; blocks while they are read."""
    found = []
    if ca_file is not None:
        try:
            read_verifier(ca_file)
        except UnusableFileError as error:
            found.append(error)
    if cert_file is not None and key_file is not None:
        try:
            read_client_certificate(cert_file, key_file).show(SSL.Context(SSL.TLS_CLIENT_METHOD))
        except UnusableFileError as error:
            found.append(error)
    return found


def _of_file(file: str, read: Callable[[str], T]) -> T:
    try:
        return read(file)
    except (OSError, ValueError) as error:
        raise UnusableFileError(file, reading_failure(error)) from error
