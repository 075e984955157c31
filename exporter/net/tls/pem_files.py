"""Read certificates and keys in PEM, from files or texts, or report what they contain instead and how to fix it.

Source: RFC 7468 for the form and the labels.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_private_key

from exporter.regular_files import read_regular

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

MAX_PEM_BYTES = 8 << 20
_LABEL = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----")
_CERTIFICATE = re.compile(rb"-----BEGIN (X509 |)CERTIFICATE-----.+?-----END \1CERTIFICATE-----", re.DOTALL)
_OF_CERTIFICATES = (b"CERTIFICATE", b"X509 CERTIFICATE")
_KINDS = {
    b"CERTIFICATE": "a certificate",
    b"X509 CERTIFICATE": "a certificate",
    b"TRUSTED CERTIFICATE": "certificates of OpenSSL's own form",
    b"CERTIFICATE REQUEST": "a certificate request",
    b"NEW CERTIFICATE REQUEST": "a certificate request",
    b"X509 CRL": "a list of revoked certificates",
    b"PKCS7": "certificates in PKCS #7",
    b"CMS": "certificates in CMS",
    b"PUBLIC KEY": "a public key",
    b"RSA PUBLIC KEY": "a public key",
    b"OPENSSH PRIVATE KEY": "a key of OpenSSH",
    b"DH PARAMETERS": "Diffie-Hellman parameters",
    b"EC PARAMETERS": "parameters of a curve",
}
UNKNOWN_KIND_OF_KEY = "its key is of a type that TLS does not support"


def read_certificates(path: str) -> str:
    """Return the certificates in a file as PEM; blocks.

    Raises:
        OSError: When the system refuses to read it.
        ValueError: When it contains none; the message completes "it " with what it contains.
    """
    return certificates_in(read_pem(path))


def read_chain(path: str) -> tuple[x509.Certificate, ...]:
    """Return the parsed certificates in a file; blocks.

    Raises:
        OSError: When the system refuses to read it.
        ValueError: When it contains none, or one that cannot be parsed.
    """
    return parse_chain(read_pem(path))


def read_key(path: str) -> PrivateKeyTypes:
    """Return the private key in a file; blocks.

    Raises:
        OSError: When the system refuses to read it.
        ValueError: When it contains none, or one that needs a password.
    """
    return parse_key(read_pem(path))


def read_pem(path: str) -> bytes:
    """Return the content of a file that should hold PEM; blocks.

    Raises:
        OSError: When the system refuses to read it.
        ValueError: When it is empty or too large.
    """
    content = read_regular(path, MAX_PEM_BYTES)
    if len(content) > MAX_PEM_BYTES:
        raise ValueError(f"it is larger than {MAX_PEM_BYTES >> 20} MiB")
    if not content.strip():
        raise ValueError("it is empty")
    return content


def certificates_in(content: bytes) -> str:
    """Return the certificates in a text as PEM.

    Raises:
        ValueError: When it contains none; the message completes "it " with what it contains.
    """
    blocks = [block[0].decode("ascii", "replace") for block in _CERTIFICATE.finditer(content)]
    if not blocks:
        raise ValueError(_found_instead(content, "certificate"))
    return "\n".join(blocks)


def parse_chain(content: bytes) -> tuple[x509.Certificate, ...]:
    """Return the parsed certificates in a text.

    Raises:
        ValueError: When it contains none, or one that cannot be parsed.
    """
    text = certificates_in(content)
    try:
        return tuple(x509.load_pem_x509_certificates(text.encode()))
    except (ValueError, x509.InvalidVersion) as error:
        raise ValueError("it holds no certificate in PEM form that can be read") from error


def parse_key(content: bytes) -> PrivateKeyTypes:
    """Return the private key in a text.

    Raises:
        ValueError: When it contains none, or one that needs a password.
    """
    try:
        return load_pem_private_key(content, password=None)
    except UnsupportedAlgorithm as error:
        raise ValueError(UNKNOWN_KIND_OF_KEY) from error
    except TypeError as error:
        raise ValueError("its key is encrypted, which is not supported; store it without a password") from error
    except ValueError as error:
        raise ValueError(_found_instead(content, "key")) from error


def _found_instead(content: bytes, wanted: str) -> str:
    """Return what a file contains instead of what is wanted, and how to convert it where that is possible."""
    labels = [match[1] for match in _LABEL.finditer(content)]
    if not labels:
        kind = _kind_of_der(content)
        how_to = {"certificate": "openssl x509 -inform DER", "key": "openssl pkey -inform DER"}
        if kind == wanted:
            return f"it holds a {kind} in DER form; turn it into PEM with {how_to[kind]}"
        return f"it holds no {wanted} in PEM form" + (f", but a {kind} in DER form" if kind else "")
    label = next((one for one in labels if one in _KINDS or one.endswith(b"PRIVATE KEY")), labels[0])
    if label in _OF_CERTIFICATES if wanted == "certificate" else label.endswith(b"PRIVATE KEY") and label not in _KINDS:
        return f"it holds a {wanted} in PEM form that is cut off or damaged"
    found = "a private key" if label not in _KINDS and label.endswith(b"PRIVATE KEY") else _KINDS.get(label, "")
    return f"it holds no {wanted}, but {found or label.decode('ascii').lower()}"


def _kind_of_der(content: bytes) -> str:
    try:
        x509.load_der_x509_certificate(content)
    except (ValueError, x509.InvalidVersion):
        pass
    else:
        return "certificate"
    try:
        load_der_private_key(content, password=None)
    except TypeError:
        return "key"  # with a password
    except (ValueError, UnsupportedAlgorithm):
        return ""
    return "key"
