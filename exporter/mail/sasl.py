"""The SASL mechanisms of the mail types: PLAIN, LOGIN and CRAM-MD5.

Over TLS, PLAIN is preferred because it is the simplest. Without TLS, which a check must ask for, CRAM-MD5 is preferred
because it does not send the password itself.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import TYPE_CHECKING, Literal, NamedTuple

from exporter.errors import CheckFailed
from exporter.model import Reason

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

Mechanism = Literal["PLAIN", "LOGIN", "CRAM-MD5"]

_OVER_TLS: Sequence[Mechanism] = ("PLAIN", "LOGIN", "CRAM-MD5")
_IN_CLEAR: Sequence[Mechanism] = ("CRAM-MD5", "PLAIN", "LOGIN")
_LONGEST_CHALLENGE = 4096


class Credentials(NamedTuple):
    """A user name and a password; never shown, so `repr` has neither."""

    username: str
    password: str

    def __repr__(self) -> str:
        return "Credentials(<secret>)"


def choose_mechanism(offered: Collection[str], *, over_tls: bool) -> Mechanism | None:
    """Return the mechanism to use; None when the server offers none of them.

    Args:
        offered: Names of the mechanisms that the server announces, in upper case.
        over_tls: Whether the connection is encrypted.
    """
    return next((one for one in (_OVER_TLS if over_tls else _IN_CLEAR) if one in offered), None)


def initial_response(mechanism: Mechanism, credentials: Credentials) -> str | None:
    """Return the base64 text to send with the command; None when the server speaks first.

    Source: RFC 4616 section 2, for PLAIN.
    """
    if mechanism != "PLAIN":
        return None
    return _encoded(f"\0{credentials.username}\0{credentials.password}".encode())


def response_to(mechanism: Mechanism, challenge: bytes, step: int, credentials: Credentials) -> str:
    """Return the base64 text that answers a challenge.

    Args:
        mechanism: The mechanism in use.
        challenge: The server's text, in base64.
        step: Number of challenges answered before.
        credentials: User name and password.

    Raises:
        CheckFailed: With reason `auth` when the server sends more challenges than the mechanism has responses, and with
            `protocol` when its challenge is not base64.
    """
    if step == 0 and mechanism == "PLAIN":
        return initial_response("PLAIN", credentials) or ""
    if step == 0 and mechanism == "CRAM-MD5":
        return _cram_md5(challenge, credentials)
    if step < 2 and mechanism == "LOGIN":
        return _encoded((credentials.password if step else credentials.username).encode())
    raise CheckFailed(Reason.AUTH, f"the server sent more challenges than {mechanism} has responses")


def _cram_md5(challenge: bytes, credentials: Credentials) -> str:
    """Source: RFC 2195 section 2."""
    try:
        decoded = base64.b64decode(challenge[:_LONGEST_CHALLENGE], validate=True)
    except binascii.Error:
        raise CheckFailed(Reason.PROTOCOL, "the server's challenge is not base64") from None
    digest = hmac.new(credentials.password.encode(), decoded, "md5").hexdigest()
    return _encoded(f"{credentials.username} {digest}".encode())


def _encoded(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")
