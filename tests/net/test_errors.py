"""Exceptions of other libraries become failures by their type and their code."""

from __future__ import annotations

import errno
import ssl

import pytest

from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net import connection_failure
from exporter.net.errors import verification_phrase


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.ECONNREFUSED, Reason.CONNECT_REFUSED),
        (errno.ETIMEDOUT, Reason.CONNECT_TIMEOUT),
        (errno.ECONNRESET, Reason.CONNECTION_RESET),
        (errno.EPIPE, Reason.CONNECTION_RESET),
        (errno.EHOSTUNREACH, Reason.UNREACHABLE),
        (errno.ENETUNREACH, Reason.UNREACHABLE),
        (errno.EPROTO, Reason.PROTOCOL),
        (errno.EMFILE, Reason.LOCAL),
        (errno.EADDRNOTAVAIL, Reason.LOCAL),
        (errno.EACCES, Reason.LOCAL),
        (errno.EPERM, Reason.LOCAL),
        (errno.EINVAL, Reason.LOCAL),
        (errno.ENOBUFS, Reason.LOCAL),
    ],
)
def test_errors_of_the_system_have_reasons(number: int, reason: Reason) -> None:
    """The number decides, not the text; unless it is known to be the target's fault, the failure is local."""
    failure = connection_failure(OSError(number, "misleading: connection refused"), "connecting to x")
    assert failure.reason is reason
    assert failure.detail.endswith(" while connecting to x")
    assert "misleading" not in failure.detail


@pytest.mark.parametrize(
    ("error", "reason", "detail"),
    [
        (TimeoutError(), Reason.TIMEOUT, "timed out while reading"),
        (OSError("no number"), Reason.LOCAL, "OSError while reading"),
        (ssl.SSLError(), Reason.TLS, "SSLError while reading"),
        (ssl.SSLEOFError(8, "text"), Reason.TLS, "SSLEOFError while reading"),
        (EOFError(), Reason.PROTOCOL, "EOFError while reading"),
    ],
)
def test_other_errors_have_reasons(error: Exception, reason: Reason, detail: str) -> None:
    """Errors without a number are classified by their type."""
    failure = connection_failure(error, "reading")
    assert (failure.reason, failure.detail) == (reason, detail)


def test_an_existing_explanation_stays() -> None:
    """A CheckFailed is returned unchanged."""
    failure = CheckFailed(Reason.STATUS, "503")
    assert connection_failure(failure, "reading") is failure


def test_unknown_verification_codes_keep_openssls_words() -> None:
    """A code without a text of the exporter's is shown with OpenSSL's."""
    error = ssl.SSLCertVerificationError()
    error.verify_code, error.verify_message = 52, "name constraints minimum and maximum not supported"
    assert verification_phrase(error) == (
        "name constraints minimum and maximum not supported (OpenSSL verification code 52)"
    )
    assert connection_failure(error, "x").reason is Reason.CERTIFICATE
