"""The client's side of an SMTP session (RFC 5321), with STARTTLS (RFC 3207) and AUTH (RFC 4954).

Replies are read one by one and within limits, and nothing that was received before TLS counts after it.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from exporter.errors import CheckFailed
from exporter.mail.addresses import parse_hello_name
from exporter.mail.message import as_mail_data
from exporter.mail.sasl import choose_mechanism, initial_response, response_to
from exporter.mail.smtp_replies import MAX_REPLY_LINE_BYTES, ReplyParser, SmtpReply, capabilities_of, printable
from exporter.model import Reason

if TYPE_CHECKING:
    from exporter.attempt import Attempt
    from exporter.mail.sasl import Credentials
    from exporter.plugin import Stream
    from exporter.settings import TlsConfig

_GO_AHEAD = 354
_CONTINUE = 334
_LOGGED_IN = 235
_READY_FOR_TLS = 220


class SmtpRefused(CheckFailed):
    """Raised when a server refuses a step of the dialogue.

    Attributes:
        reply: The refusal.
    """

    def __init__(self, step: str, reply: SmtpReply, reason: Reason = Reason.STATUS) -> None:
        self.reply = reply
        how = "refused for now" if reply.is_temporary else "refused"
        super().__init__(reason, f"the server {how} {step}: {reply.text}")


class SmtpSession:
    """One session; lives as long as its connection.

    Attributes:
        capabilities: The extensions that the server announced last, in upper case.
        last_reply: The last complete reply; None before the greeting.
    """

    def __init__(self, stream: Stream, attempt: Attempt, hello: str | None) -> None:
        """Prepare to speak.

        Args:
            stream: The connection.
            attempt: Where phases and log lines go.
            hello: Name sent with EHLO; None for that of this host.
        """
        self.capabilities: tuple[str, ...] = ()
        self.last_reply: SmtpReply | None = None
        self._stream = stream
        self._attempt = attempt
        self._hello_name = hello or own_hello_name()

    async def greet(self) -> None:
        """Read the greeting, send EHLO, and read the server's extensions.

        Raises:
            SmtpRefused: When the server turns the client away.
            CheckFailed: When it does not speak SMTP or the connection ends.
        """
        with self._attempt.phase("greeting"):
            greeting = await self._reply()
        self._attempt.note("greeted", reply=greeting.text)
        if not greeting.is_positive:
            raise SmtpRefused("the connection", greeting)
        await self._hello()

    async def start_tls(self, config: TlsConfig, timeout_seconds: float | None) -> None:
        """Start TLS, verify the certificate, and send EHLO again.

        Raises:
            CheckFailed: With reason `starttls` when the server does not offer it, refuses, or has sent more before the
                handshake; otherwise as `Stream.start_tls`.
        """
        with self._attempt.phase("starttls"):
            if "STARTTLS" not in self.capabilities:
                raise CheckFailed(Reason.STARTTLS, "the server does not offer STARTTLS")
            reply = await self._command("STARTTLS")
            if reply.code != _READY_FOR_TLS:
                raise SmtpRefused("STARTTLS", reply, Reason.STARTTLS)
        await self._stream.start_tls(config, timeout_seconds=timeout_seconds)
        self.capabilities = ()
        await self._hello()

    async def log_in(self, credentials: Credentials, *, over_tls: bool) -> None:
        """Log in with the best mechanism that the server offers.

        Raises:
            CheckFailed: With reason `auth` when the server offers none or refuses the credentials, `status` when it
                refuses for now.
        """
        offered = {word for line in self.capabilities if line.startswith("AUTH ") for word in line.split()[1:]}
        mechanism = choose_mechanism(offered, over_tls=over_tls)
        if mechanism is None:
            names = ", ".join(sorted(offered)) or "none"
            raise CheckFailed(Reason.AUTH, f"the server offers no supported way to log in; it offers {names}")
        with self._attempt.phase("auth"):
            initial = initial_response(mechanism, credentials)
            reply = await self._command(f"AUTH {mechanism}" if initial is None else f"AUTH {mechanism} {initial}")
            step = 0
            while reply.code == _CONTINUE:
                challenge = reply.lines[-1].encode()
                reply = await self._command(response_to(mechanism, challenge, step, credentials))
                step += 1
        if reply.code != _LOGGED_IN:
            raise SmtpRefused("the login", reply, Reason.STATUS if reply.is_temporary else Reason.AUTH)
        self._attempt.note("logged in", mechanism=mechanism)

    async def address(self, sender: str, recipient: str | None) -> None:
        """Name the sender and, if given, the recipient of a message.

        Raises:
            SmtpRefused: When the server does not accept one of them.
        """
        with self._attempt.phase("envelope"):
            await self._accepted(f"MAIL FROM:<{sender}>")
            if recipient is not None:
                await self._accepted(f"RCPT TO:<{recipient}>")

    async def send(self, message: bytes) -> SmtpReply:
        """Transmit a message to the recipient and return the reply with which the server accepts it.

        Raises:
            SmtpRefused: When the server does not accept it.
        """
        with self._attempt.phase("data"):
            reply = await self._command("DATA")
            if reply.code != _GO_AHEAD:
                raise SmtpRefused("DATA", reply) if not reply.is_positive else _unexpected("DATA", reply)
            self._stream.write(as_mail_data(message))
            await self._stream.drain()
            reply = await self._reply()
        if not reply.is_positive:
            raise SmtpRefused("the message", reply)
        self._attempt.note("delivered", reply=reply.text)
        return reply

    def quit(self) -> None:
        """Send QUIT without waiting for the reply."""
        self._stream.write(b"QUIT\r\n")

    async def _hello(self) -> None:
        with self._attempt.phase("hello"):
            reply = await self._command(f"EHLO {self._hello_name}")
            if reply.is_positive:
                self.capabilities = capabilities_of(reply)
            elif not reply.is_temporary:  # a server without extensions (RFC 5321 section 3.2)
                reply = await self._command(f"HELO {self._hello_name}")
        if not reply.is_positive:
            raise SmtpRefused("EHLO", reply)
        self._attempt.note("said hello", name=self._hello_name, capabilities=printable(", ".join(self.capabilities)))

    async def _accepted(self, command: str) -> None:
        reply = await self._command(command)
        self._attempt.note("answered", command=command, reply=reply.text)
        if not reply.is_positive:
            raise SmtpRefused(command, reply)

    async def _command(self, line: str) -> SmtpReply:
        self._stream.write(line.encode("ascii") + b"\r\n")
        await self._stream.drain()
        return await self._reply()

    async def _reply(self) -> SmtpReply:
        parser = ReplyParser()
        while (reply := parser.feed(await self._stream.read_line(MAX_REPLY_LINE_BYTES))) is None:
            pass
        self.last_reply = reply
        return reply


def _unexpected(command: str, reply: SmtpReply) -> CheckFailed:
    return CheckFailed(Reason.PROTOCOL, f"the server answered {command} with {reply.text}")


def own_hello_name() -> str:
    """Return this host's name for EHLO, or the literal of the loopback address if the name is not valid there."""
    try:
        name = parse_hello_name(socket.gethostname())
    except ValueError:
        return "[127.0.0.1]"
    return name if "." in name else "[127.0.0.1]"
