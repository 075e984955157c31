"""Open a session with an SMTP, IMAP or POP3 server: connect, read the greeting, start TLS, log in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from exporter.plugin import open_stream

if TYPE_CHECKING:
    from exporter.mail.sasl import Credentials
    from exporter.mail.settings import MailServerSettings
    from exporter.plugin import Stream
    from exporter.settings import TlsConfig


class MailSession(Protocol):
    """The steps that the sessions of the three protocols have in common."""

    async def greet(self) -> None:
        """Read the greeting and the server's capabilities."""

    async def start_tls(self, config: TlsConfig, timeout_seconds: float | None) -> None:
        """Start TLS in the plain connection."""

    async def log_in(self, credentials: Credentials, *, over_tls: bool) -> None:
        """Log in."""


async def connect(place: tuple[str, int], settings: MailServerSettings) -> Stream:
    """Connect to a mail server, over TLS if the settings ask for it from the start.

    Raises:
        CheckFailed: As `open_stream`.
    """
    return await open_stream(
        *place,
        settings,
        tls=settings.tls_config if settings.tls == "tls" else None,
        tls_timeout_seconds=settings.tls_timeout_seconds,
    )


async def begin(session: MailSession, settings: MailServerSettings) -> None:
    """Begin a session: read the greeting, start TLS and log in, as configured.

    Credentials never travel in the clear unless the settings say so: with `starttls`, a server that does not offer it,
    or refuses it, ends the session.

    Raises:
        CheckFailed: As the methods of the session.
    """
    await session.greet()
    if settings.tls == "starttls":
        await session.start_tls(settings.tls_config, settings.tls_timeout_seconds)
    if (credentials := settings.credentials) is not None:
        await session.log_in(credentials, over_tls=settings.tls != "none")
