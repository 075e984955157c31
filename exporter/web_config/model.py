"""The model of a web configuration; immutable, replaced as a whole when one of its files changes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from exporter.quantities import counted

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from OpenSSL import SSL

    from exporter.errors import ConfigProblem

ClientAuth = Literal[
    "NoClientCert",
    "RequestClientCert",
    "RequireAnyClientCert",
    "VerifyClientCertIfGiven",
    "RequireAndVerifyClientCert",
]
"""Which client certificates are required, with the names of Go's crypto/tls (`ClientAuthType`)."""


class RateLimit(NamedTuple):
    """A token bucket: one request per interval, after a burst.

    Attributes:
        interval_seconds: Seconds until there is a token for one more request; more than 0.
        burst: Most tokens, at least 1.
    """

    interval_seconds: float
    burst: int


class TlsServer(NamedTuple):
    """How the server speaks TLS.

    Attributes:
        context: Makes the server's side of connections; it accepts clients without a certificate if
            `may_lack_certificate`, even when `client_auth` requires one.
        client_auth: Which client certificates are requested and verified.
        may_lack_certificate: Whether clients without a certificate may connect, so that the server must reject their
            requests itself.
    """

    context: SSL.Context
    client_auth: ClientAuth
    may_lack_certificate: bool

    @property
    def verifies_every_client(self) -> bool:
        """Whether a request is answered only to clients with a verified certificate."""
        return self.client_auth == "RequireAndVerifyClientCert"

    @property
    def requires_certificate(self) -> bool:
        """Whether a request is answered only to clients with a certificate."""
        return self.client_auth in ("RequireAnyClientCert", "RequireAndVerifyClientCert")


@dataclass(frozen=True, slots=True, kw_only=True)
class WebConfig:
    """A web configuration.

    Attributes:
        file: The file, as the user named it.
        files: The files that it depends on, certificates included.
        tls: How the server speaks TLS; None for plain HTTP.
        users: Name of each user to the bcrypt hash of the password; empty if no password is needed.
        headers: Header fields of every response; one with an empty value is left out of responses.
        rate_limit: The rate limit of requests; None for none.
        secrets: Texts that must not be shown.
        warnings: Warnings about what is allowed but probably not intended.
    """

    file: str
    files: tuple[Path, ...]
    tls: TlsServer | None
    users: Mapping[str, str] = field(repr=False)
    headers: Mapping[str, str]
    rate_limit: RateLimit | None
    secrets: frozenset[str] = field(repr=False)
    warnings: tuple[ConfigProblem, ...]

    @property
    def scheme(self) -> Literal["http", "https"]:
        """The scheme of the server's URLs."""
        return "http" if self.tls is None else "https"

    @property
    def authenticates(self) -> bool:
        """Whether every request needs a password or a verified client certificate."""
        return bool(self.users) or (self.tls is not None and self.tls.verifies_every_client)

    @property
    def summary(self) -> str:
        """Its content in a few words, for the log."""
        parts = ["plain HTTP" if self.tls is None else "TLS"]
        if self.tls is not None and self.tls.client_auth != "NoClientCert":
            parts.append(f"client certificates ({self.tls.client_auth})")
        parts.append(counted(len(self.users), "user") if self.users else "no passwords")
        if self.rate_limit is not None:
            parts.append("a rate limit")
        return ", ".join(parts)
