"""Translate socket and TLS exceptions by type, errno and OpenSSL code, never by message text.

`exporter.net` and the protocols built on it are the only places where OSError and ssl.SSLError are handled.
"""

from __future__ import annotations

import errno
import os
import ssl

from OpenSSL import SSL

from exporter.errors import CheckFailed
from exporter.model import Reason

_REASON_OF_ERRNO = {
    errno.ECONNREFUSED: Reason.CONNECT_REFUSED,
    errno.ETIMEDOUT: Reason.CONNECT_TIMEOUT,
    errno.ECONNRESET: Reason.CONNECTION_RESET,
    errno.ECONNABORTED: Reason.CONNECTION_RESET,
    errno.EPIPE: Reason.CONNECTION_RESET,
    errno.ENOTCONN: Reason.CONNECTION_RESET,
    errno.ESHUTDOWN: Reason.CONNECTION_RESET,
    errno.EHOSTUNREACH: Reason.UNREACHABLE,
    errno.ENETUNREACH: Reason.UNREACHABLE,
    errno.EHOSTDOWN: Reason.UNREACHABLE,
    errno.ENETDOWN: Reason.UNREACHABLE,
    errno.EPROTO: Reason.PROTOCOL,
}
"""Everything else is `local`: no descriptors or ports left, a source address or family this host does not have,
a rule of its own firewall. A target must never be blamed for those."""

_VERIFICATION = {
    2: "its issuer is unknown",
    7: "its signature is wrong",
    9: "it is not yet valid",
    10: "it has expired",
    18: "it is self-signed",
    19: "its chain ends in a self-signed certificate that is not trusted",
    20: "its issuer is unknown",
    21: "its issuer is unknown and no intermediate certificate was sent",
    22: "its chain is too long",
    23: "it is revoked",
    24: "its issuer is not a certificate authority",
    26: "it is not meant for servers",
    28: "its issuer is not trusted for servers",
    62: "it is for another host",
    64: "it is for another address",
    66: "its key is too weak",
    67: "a key in its chain is too weak",
    68: "a signature in its chain uses a weak digest",
    79: "its issuer is not a certificate authority",
}
"""Source: OpenSSL, X509_STORE_CTX_get_error(3)."""

EXPIRED, NOT_YET_VALID, OTHER_HOST, OTHER_ADDRESS, UNKNOWN_ISSUER = 10, 9, 62, 64, 20
"""Verification codes whose failure details include facts of the certificate."""


def connection_failure(error: Exception, doing: str) -> CheckFailed:
    """Return the failure that a socket or TLS exception means for the check.

    Args:
        error: An OSError (ssl.SSLError is one) or an earlier CheckFailed, which is returned unchanged.
        doing: What was under way, completing "failed while ...", such as "connecting to 192.0.2.1:80".
    """
    if isinstance(error, CheckFailed):
        return error
    if isinstance(error, ssl.SSLCertVerificationError):
        return CheckFailed(Reason.CERTIFICATE, f"the certificate was rejected: {verification_phrase(error)}")
    if isinstance(error, ssl.SSLError | SSL.Error):
        return CheckFailed(Reason.TLS, f"{openssl_reason(error) or type(error).__name__} while {doing}")
    if isinstance(error, OSError):
        if isinstance(error, TimeoutError) and error.errno is None:
            return CheckFailed(Reason.TIMEOUT, f"timed out while {doing}")
        reason = reason_of_errno(error.errno or 0, Reason.LOCAL)
        return CheckFailed(reason, f"{_errno_phrase(error)} while {doing}")
    return CheckFailed(Reason.PROTOCOL, f"{type(error).__name__} while {doing}")


def reason_of_errno(number: int, otherwise: Reason) -> Reason:
    """Return the failure reason for a connection's error number, or the default when there is none."""
    return _REASON_OF_ERRNO.get(number, otherwise)


def verification_phrase(error: ssl.SSLCertVerificationError) -> str:
    """Return why OpenSSL rejected a certificate; codes without wording here keep OpenSSL's."""
    code = error.verify_code
    return _VERIFICATION.get(code) or f"{error.verify_message} (OpenSSL verification code {code})"


def openssl_reason(error: ssl.SSLError | SSL.Error) -> str:
    """Return OpenSSL's name of an error, such as `unsupported protocol`; empty when OpenSSL did not raise it."""
    if isinstance(error, ssl.SSLError):
        return (getattr(error, "reason", None) or "").replace("_", " ").lower()
    stack = error.args[0] if error.args else ()
    reasons = [entry[-1] for entry in stack] if isinstance(stack, list) else []
    return reasons[0] if reasons else ""


def _errno_phrase(error: OSError) -> str:
    if error.errno is None:
        return type(error).__name__
    return os.strerror(error.errno).lower()
