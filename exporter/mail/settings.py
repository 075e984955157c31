"""Settings of the mail types: how to reach a server and log in, what to send, and which messages to look for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self, cast

from pydantic import AfterValidator, Field, SecretStr, model_validator

from exporter.addresses import Endpoint, endpoint
from exporter.mail.addresses import parse_hello_name, parse_mail_address
from exporter.mail.imap_commands import mailbox
from exporter.mail.sasl import Credentials
from exporter.net.proxy.settings import ProxySettings, secret_line
from exporter.settings import (
    Duration,
    EveryAddressSettings,
    NetworkSettings,
    PositiveDuration,
    SettingsModel,
    SingleLine,
    TlsSettings,
)
from exporter.settings import parse_host_port as split_host_port

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.model import Check
    from exporter.settings import CheckSettings

MIN_INTERVAL_SECONDS = 300.0
"""Default of `min_interval` of the mail types: logins and messages cost others more than requests do."""

TlsMode = Literal["starttls", "tls", "none"]
"""Whether TLS starts on request in a plain connection, at once, or not at all."""

_PORTS: dict[str, dict[str, int]] = {
    "SMTP": {"starttls": 25, "tls": 465, "none": 25},
    "IMAP": {"starttls": 143, "tls": 993, "none": 143},
    "POP3": {"starttls": 110, "tls": 995, "none": 110},
}
_SUBMISSION_PORT = 587  # RFC 6409: where users, who log in, submit mail


def _username(text: str) -> str:
    if not text:
        raise ValueError("must not be empty")
    return text


def _mailbox(name: str) -> str:
    mailbox(name)
    return _username(name)


MailboxName = Annotated[SingleLine, AfterValidator(_mailbox)]
"""Name of an IMAP mailbox, in any script."""

MailAddress = Annotated[str, AfterValidator(parse_mail_address)]
"""A mail address in ASCII."""


def _sender(text: str) -> str:
    return parse_mail_address(text) if text else ""


class MailServerSettings(NetworkSettings, TlsSettings, ProxySettings):
    """How to reach a mail server and log in."""

    tls: TlsMode = Field(
        default="starttls",
        description="starttls to start TLS in a plain connection, tls to speak TLS from the start, or none",
    )
    username: Annotated[SingleLine, AfterValidator(_username)] | None = Field(
        default=None, description="User name to log in with"
    )
    password: Annotated[SecretStr, AfterValidator(secret_line)] | None = Field(
        default=None, description="Password to log in with"
    )
    insecure_auth: bool = Field(default=False, description="Log in without TLS, so that others can read the password")

    @model_validator(mode="after")
    def _check_credentials(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("needs username and password together")
        if self.username is not None and self.tls == "none" and not self.insecure_auth:
            raise ValueError("would send the password in the clear with tls: none; write insecure_auth: true to do so")
        return self

    @property
    def credentials(self) -> Credentials | None:
        """User name and password; None without a login."""
        if self.username is None or self.password is None:
            return None
        return Credentials(self.username, self.password.get_secret_value())


def mail_place(target: str, protocol: str, settings: MailServerSettings) -> tuple[str, int]:
    """Return host and port of a target; without a port, the usual one.

    Args:
        target: `host` or `host:port`.
        protocol: SMTP, IMAP or POP3.
        settings: How TLS is used, and whether there is a login.

    Raises:
        ValueError: When it is not a target, or the port speaks TLS in another way than the settings say.
    """
    default = _PORTS[protocol][settings.tls]
    if protocol == "SMTP" and settings.username is not None and settings.tls != "tls":
        default = _SUBMISSION_PORT
    host, port = split_host_port(target, default)
    if settings.tls != "tls" and port == _PORTS[protocol]["tls"]:
        raise ValueError(f"has port {port}, where {protocol} servers speak TLS from the start; write tls: tls")
    if settings.tls == "tls" and port == _PORTS[protocol]["starttls"]:
        raise ValueError(f"has port {port}, where {protocol} servers do not speak TLS from the start; leave tls out")
    return host, port


def endpoint_reader(protocol: str) -> Callable[[Check], Endpoint]:
    """Return the `CheckType.endpoint` of types that speak a protocol."""

    def read(check: Check) -> Endpoint:
        return Endpoint(*mail_place(check.target, protocol, cast("MailServerSettings", check.settings)))

    return read


def target_reader(protocol: str) -> Callable[[str, CheckSettings], str]:
    """Return the `CheckType.validate_target` of types that speak a protocol; what it returns includes the port."""

    def read(target: str, settings: CheckSettings) -> str:
        return endpoint(*mail_place(target, protocol, cast("MailServerSettings", settings)))

    return read


class EnvelopeSettings(MailServerSettings):
    """How to greet an SMTP server, and what to do after temporary refusals."""

    hello: Annotated[SingleLine, AfterValidator(parse_hello_name)] | None = Field(
        default=None, description="Name sent with EHLO: a host name or [address]; by default that of this host"
    )
    temporary_retries: int = Field(
        default=1, ge=0, le=5, description="Further connections within the timeout after a temporary refusal (4xx)"
    )
    temporary_retry_delay_seconds: Duration = Field(
        default=1.0, alias="temporary_retry_delay", description="Pause before each of them"
    )


class SmtpSettings(EnvelopeSettings, EveryAddressSettings):
    """Settings of type `smtp`."""

    sender: Annotated[SingleLine, AfterValidator(_sender)] | None = Field(
        default=None, alias="from", description="Address given with MAIL FROM; empty for the null sender"
    )
    recipient: MailAddress | None = Field(default=None, alias="to", description="Address given with RCPT TO")
    deliver: bool = Field(default=False, description="Send a message; without it, the dialogue ends after RCPT TO")
    subject: Annotated[SingleLine, Field(max_length=200)] = Field(
        default="Test message of nyxmon-exporter", description="Subject of the message"
    )

    @model_validator(mode="after")
    def _check_envelope(self) -> Self:
        if self.recipient is not None and self.sender is None:
            raise ValueError("needs from with to; write from: '' for the null sender")
        if self.deliver and self.recipient is None:
            raise ValueError("needs from and to with deliver: true")
        return self


class MessageSearch(SettingsModel):
    """Which messages a check looks for; all conditions must hold."""

    subject: SingleLine | None = Field(default=None, min_length=1, description="Text that the subject contains")
    sender: SingleLine | None = Field(
        default=None, alias="from", min_length=1, description="Text that the field From contains"
    )
    newer_than_seconds: PositiveDuration | None = Field(
        default=None, alias="newer_than", description="The message arrived within this time"
    )
    older_than_seconds: PositiveDuration | None = Field(
        default=None, alias="older_than", description="The message arrived before this time"
    )

    @model_validator(mode="after")
    def _check_that_something_can_match(self) -> Self:
        newer, older = self.newer_than_seconds, self.older_than_seconds
        if newer is not None and older is not None and newer <= older:
            raise ValueError("matches nothing: newer_than must be longer than older_than")
        return self

    def admits_age(self, age_seconds: float | None) -> bool:
        """Return whether a message of this age matches; one whose age is unknown matches only without such limits."""
        newer, older = self.newer_than_seconds, self.older_than_seconds
        if age_seconds is None:
            return newer is None and older is None
        return (newer is None or age_seconds <= newer) and (older is None or age_seconds >= older)

    def admits_texts(self, subject: str, sender: str) -> bool:
        """Return whether these header fields match, regardless of case, as IMAP servers judge them."""
        wanted = ((self.subject, subject), (self.sender, sender))
        return all(text is None or text.casefold() in field.casefold() for text, field in wanted)

    @property
    def is_empty(self) -> bool:
        """Whether it matches every message."""
        return self == type(self)()


class ImapSearch(MessageSearch):
    """Which messages an `imap` check looks for."""

    unseen: bool = Field(default=False, description="The message has not been read")


class MailboxSettings(MailServerSettings):
    """How to reach a server that stores messages."""

    tls: TlsMode = Field(
        default="tls",
        description="tls to speak TLS from the start, starttls to start it in a plain connection, or none",
    )


class ImapSettings(MailboxSettings, EveryAddressSettings):
    """Settings of type `imap`."""

    mailbox: MailboxName = Field(default="INBOX", max_length=500, description="Mailbox to examine")
    search: ImapSearch = Field(default=ImapSearch(), description="Conditions on messages; by default, all match")
    delete: bool = Field(default=False, description="Delete the messages that match; needs a search")

    @model_validator(mode="after")
    def _check_what_is_deleted(self) -> Self:
        _refuse_deleting_everything(self)
        return self


class Pop3Settings(MailboxSettings, EveryAddressSettings):
    """Settings of type `pop3`."""

    search: MessageSearch = Field(default=MessageSearch(), description="Conditions on messages; by default, all match")
    delete: bool = Field(default=False, description="Delete the messages that match; needs a search")

    @model_validator(mode="after")
    def _check_what_is_deleted(self) -> Self:
        _refuse_deleting_everything(self)
        return self


def _refuse_deleting_everything(settings: ImapSettings | Pop3Settings) -> None:
    if settings.delete and settings.search.is_empty:
        raise ValueError("would delete every message: delete needs a search")
