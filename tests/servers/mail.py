"""A mail server that follows a script: whatever a client sends, it answers as the test says, right or wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Mapping, Sequence


class MailScript:
    """The behaviour of a scripted server, for `tests.servers.tcp.serve`; its state is shared by all connections.

    A line is answered by the longest key that it begins with; one that no key fits gets no answer. An answer may be a
    list: each time, the next one is used, and the last one again and again. With `tagged`, the first word of each line
    is a tag, which replaces `TAG` in the answer.

    Attributes:
        received: Every line received, in order, with its line end.
    """

    def __init__(
        self,
        greeting: bytes,
        answers: Mapping[bytes, bytes | Sequence[bytes]],
        *,
        tls: ssl.SSLContext | None = None,
        tagged: bool = False,
    ) -> None:
        """Write a script.

        Args:
            greeting: What it sends first.
            answers: What it answers.
            tls: With what it starts TLS after it has answered STARTTLS or STLS; None for never.
            tagged: Whether it speaks IMAP.
        """
        self.received: list[bytes] = []
        self._greeting = greeting
        self._answers = {key: [said] if isinstance(said, bytes) else list(said) for key, said in answers.items()}
        self._tls = tls
        self._tagged = tagged

    def __call__(self, connection: socket.socket) -> None:
        """Talk to one client."""
        connection.sendall(self._greeting)
        if self._talk(connection) and self._tls is not None:
            with self._tls.wrap_socket(connection, server_side=True) as tls:
                self._talk(tls)

    def _talk(self, connection: socket.socket) -> bool:
        """Answer lines until the client is gone or, where TLS is to start, until it asks for that; return whether."""
        with connection.makefile("rb") as lines:
            while line := lines.readline():
                self.received.append(line)
                tag, command = line.split(b" ", 1) if self._tagged and b" " in line else (b"", line)
                connection.sendall(self._answer(command).replace(b"TAG", tag))
                if self._tls is not None and command.strip() in (b"STARTTLS", b"STLS"):
                    return True
        return False

    def _answer(self, command: bytes) -> bytes:
        keys = [key for key in self._answers if command.startswith(key)]
        if not keys:
            return b""
        answers = self._answers[max(keys, key=len)]
        return answers.pop(0) if len(answers) > 1 else answers[0]


def smtp_script() -> MailScript:
    """A server without TLS that accepts any login and takes every message."""
    return MailScript(
        b"220 mail.test\r\n",
        {
            b"EHLO": b"250-mail.test\r\n250 AUTH PLAIN\r\n",
            b"AUTH": b"235 welcome\r\n",
            b"MAIL": b"250 ok\r\n",
            b"RCPT": b"250 ok\r\n",
            b"DATA": b"354 go on\r\n",
            b".\r\n": b"250 stored\r\n",
        },
    )


def imap_script(*, capabilities: bytes = b" UIDPLUS", deleted: bytes = b"") -> MailScript:
    """A server without TLS whose mailbox has two messages, of which every search finds the one with UID 7.

    Args:
        capabilities: What it announces besides IMAP4rev1, each after a blank.
        deleted: UIDs of the messages that are marked as deleted, each after a blank.
    """
    header = b"Received: by b; Thu, 1 Jan 2026 00:00:09 +0000\r\nReceived: by a; Thu, 1 Jan 2026 00:00:02 +0000\r\n\r\n"
    done = b"TAG OK done\r\n"
    dated = b'* 1 FETCH (UID 7 INTERNALDATE "01-Jan-2026 00:00:00 +0000")\r\n'
    headed = b"* 1 FETCH (UID 7 BODY[HEADER]<0> {%d}\r\n%b)\r\n" % (len(header), header)
    return MailScript(
        b"* OK ready\r\n",
        {
            b"CAPABILITY": b"* CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR" + capabilities + b"\r\n" + done,
            b"AUTHENTICATE": done,
            b"SELECT": b"* 2 EXISTS\r\nTAG OK [READ-WRITE] done\r\n",
            b"EXAMINE": b"* 2 EXISTS\r\nTAG OK [READ-ONLY] done\r\n",
            b"UID SEARCH": b"* SEARCH 7\r\n" + done,
            b"UID SEARCH DELETED": b"* SEARCH" + deleted + b"\r\n" + done,
            b"UID FETCH": dated + done,
            b"FETCH": dated + done,
            b"UID FETCH 7 (UID BODY": headed + done,
            b"UID STORE": done,
            b"UID EXPUNGE": done,
            b"EXPUNGE": b"* 1 EXPUNGE\r\n" + done,
        },
        tagged=True,
    )


def pop3_script() -> MailScript:
    """A server without TLS whose mailbox has one message."""
    return MailScript(
        b"+OK ready\r\n",
        {
            b"CAPA": b"+OK\r\nUSER\r\nSASL PLAIN\r\nTOP\r\n.\r\n",
            b"AUTH": b"+OK welcome\r\n",
            b"STAT": b"+OK 1 100\r\n",
            b"TOP": b"+OK\r\nDate: Thu, 1 Jan 2026 00:00:00 +0000\r\n\r\n.\r\n",
            b"QUIT": b"+OK bye\r\n",
        },
    )
