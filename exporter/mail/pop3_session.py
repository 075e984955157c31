"""The client's side of a POP3 session (RFC 1939), with STLS (RFC 2595) and AUTH (RFC 5034)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.errors import CheckFailed
from exporter.mail.pop3_replies import (
    MAX_LISTING_BYTES,
    MAX_REPLY_LINE_BYTES,
    Pop3Reply,
    mechanisms_of,
    parse_drop_listing,
    parse_reply,
)
from exporter.mail.sasl import choose_mechanism, initial_response, response_to
from exporter.mail.smtp_replies import capability_words
from exporter.model import Reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.attempt import Attempt
    from exporter.mail.sasl import Credentials, Mechanism
    from exporter.plugin import Stream
    from exporter.settings import TlsConfig

MOST_EXAMINED = 100
"""Most messages whose headers one run fetches: the last ones. POP3 has no search, so each costs an exchange."""

_PIPELINED = 20
_MAX_HEADER_LINE_BYTES = 16384


class Pop3Session:
    """One session; lives as long as its connection.

    Attributes:
        capabilities: What the server announced last, in upper case; empty when it has no CAPA (RFC 2449).
    """

    def __init__(self, stream: Stream, attempt: Attempt) -> None:
        self.capabilities: tuple[str, ...] = ()
        self._stream = stream
        self._attempt = attempt

    async def greet(self) -> None:
        """Read the greeting and the server's capabilities.

        Raises:
            CheckFailed: With reason `status` when the server turns the client away, `protocol` when it does not speak
                POP3.
        """
        with self._attempt.phase("greeting"):
            greeting = await self._reply()
            self._attempt.note("greeted", reply=greeting.said)
            if not greeting.is_positive:
                raise CheckFailed(Reason.STATUS, f"the server refused the connection: {greeting.said}")
            await self._learn_capabilities()

    async def start_tls(self, config: TlsConfig, timeout_seconds: float | None) -> None:
        """Start TLS, verify the certificate, and read the capabilities again.

        Raises:
            CheckFailed: With reason `starttls` when the server does not offer it, refuses, or has sent more before the
                handshake.
        """
        with self._attempt.phase("starttls"):
            if "STLS" not in self.capabilities:
                raise CheckFailed(Reason.STARTTLS, "the server does not offer STLS")
            reply = await self._command("STLS")
            if not reply.is_positive:
                raise CheckFailed(Reason.STARTTLS, f"the server refused STLS: {reply.said}")
        await self._stream.start_tls(config, timeout_seconds=timeout_seconds)
        with self._attempt.phase("starttls"):
            await self._learn_capabilities()

    async def log_in(self, credentials: Credentials, *, over_tls: bool) -> None:
        """Log in with the best mechanism that the server offers, or else with USER and PASS.

        Raises:
            CheckFailed: With reason `auth` when the server refuses the credentials, `status` when it refuses for
                another reason.
        """
        mechanism = choose_mechanism(mechanisms_of(self.capabilities), over_tls=over_tls)
        with self._attempt.phase("auth"):
            if mechanism is None:
                reply = await self._command(f"USER {credentials.username}")
                if reply.is_positive:
                    reply = await self._command(f"PASS {credentials.password}")
            else:
                reply = await self._authenticate(mechanism, credentials)
            if not reply.is_positive:
                reason = Reason.STATUS if reply.is_temporary else Reason.AUTH
                raise CheckFailed(reason, f"the server refused the login: {reply.said}")
            await self._learn_capabilities()
        self._attempt.note("logged in", mechanism=mechanism or "USER")

    async def count_messages(self) -> int:
        """Return the number of messages."""
        return parse_drop_listing(self._positive(await self._command("STAT"), "STAT"))

    async def headers(self, numbers: Sequence[int]) -> list[bytes]:
        """Return the headers of messages, in the order given.

        Raises:
            CheckFailed: With reason `status` when the server refuses, `too_large` when a header exceeds the limit.
        """
        headers: list[bytes] = []
        at_once = _PIPELINED if "PIPELINING" in self.capabilities else 1
        for start in range(0, len(numbers), at_once):
            chosen = numbers[start : start + at_once]
            self._stream.write("".join(f"TOP {number} 0\r\n" for number in chosen).encode("ascii"))
            await self._stream.drain()
            for _ in chosen:
                self._positive(await self._reply(), "TOP")
                headers.append(b"\r\n".join(await self._listing(_MAX_HEADER_LINE_BYTES)))
        return headers

    async def delete(self, numbers: Sequence[int]) -> int:
        """Mark messages to be deleted when the session ends with QUIT, and return how many.

        Raises:
            CheckFailed: With reason `status` when the server refuses.
        """
        with self._attempt.phase("delete"):
            for number in numbers:
                self._positive(await self._command(f"DELE {number}"), "DELE")
        return len(numbers)

    async def quit(self) -> None:
        """End the session; the server deletes the messages marked for it before it answers.

        Raises:
            CheckFailed: With reason `status` when some of them could not be deleted.
        """
        with self._attempt.phase("quit"):
            self._positive(await self._command("QUIT"), "QUIT")

    async def _authenticate(self, mechanism: Mechanism, credentials: Credentials) -> Pop3Reply:
        """Source: RFC 5034 section 4; the initial response is always allowed."""
        initial = initial_response(mechanism, credentials)
        line = await self._exchange(f"AUTH {mechanism}" if initial is None else f"AUTH {mechanism} {initial}")
        step = 0
        while line.startswith(b"+ ") or line == b"+":
            line = await self._exchange(response_to(mechanism, line[2:].strip(), step, credentials))
            step += 1
        return parse_reply(line)

    async def _learn_capabilities(self) -> None:
        reply = await self._command("CAPA")
        lines = await self._listing(MAX_REPLY_LINE_BYTES) if reply.is_positive else []
        self.capabilities = capability_words(line.decode(errors="replace") for line in lines)

    def _positive(self, reply: Pop3Reply, what: str) -> Pop3Reply:
        if not reply.is_positive:
            raise CheckFailed(Reason.STATUS, f"the server refused {what}: {reply.said}")
        return reply

    async def _command(self, line: str) -> Pop3Reply:
        return parse_reply(await self._exchange(line))

    async def _exchange(self, line: str) -> bytes:
        self._stream.write(line.encode() + b"\r\n")
        await self._stream.drain()
        return await self._stream.read_line(MAX_REPLY_LINE_BYTES)

    async def _reply(self) -> Pop3Reply:
        return parse_reply(await self._stream.read_line(MAX_REPLY_LINE_BYTES))

    async def _listing(self, limit_bytes: int) -> list[bytes]:
        """Return the lines that follow a reply, up to the final dot (RFC 1939 section 3)."""
        lines: list[bytes] = []
        left_bytes = MAX_LISTING_BYTES
        while (line := await self._stream.read_line(limit_bytes)) != b".":
            lines.append(line[1:] if line.startswith(b".") else line)
            left_bytes -= len(line) + 2
            if left_bytes < 0:
                raise CheckFailed(Reason.TOO_LARGE, f"the server sent more than {MAX_LISTING_BYTES} bytes at once")
        return lines
