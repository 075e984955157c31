"""A server for each protocol that changes to TLS: small, but with the real messages, as behaviours for `serve`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from tests.servers.tcp import keep_silent, over_tls, send_at_once

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable

    from tests.servers.tcp import Behaviour

_XMPP_STREAM = (
    b"<?xml version='1.0'?>"
    b"<stream:stream from='x' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>"
    b"<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>"
)
_MYSQL_GREETING = b"\x0a8.0.36\0" + bytes(13) + bytes.fromhex("ffff 21 0200 ffff 15") + bytes(10)


class Talk(NamedTuple):
    """What a server says: its greeting, then an answer to each request, which is known by how it ends."""

    greeting: bytes
    answers: tuple[tuple[bytes, bytes], ...]


TALKS = {
    "smtp": Talk(
        b"220 mail.test ESMTP\r\n", ((b"\r\n", b"250-mail.test\r\n250 STARTTLS\r\n"), (b"STARTTLS\r\n", b"220 go\r\n"))
    ),
    "imap": Talk(
        b"* OK ready\r\n",
        ((b"\r\n", b"* CAPABILITY IMAP4rev1 STARTTLS\r\na1 OK\r\n"), (b"STARTTLS\r\n", b"a2 OK go\r\n")),
    ),
    "pop3": Talk(b"+OK ready\r\n", ((b"CAPA\r\n", b"+OK\r\nSTLS\r\n.\r\n"), (b"STLS\r\n", b"+OK go\r\n"))),
    "ftp": Talk(
        b"220 ready\r\n",
        ((b"FEAT\r\n", b"211-Features:\r\n AUTH TLS\r\n211 End\r\n"), (b"AUTH TLS\r\n", b"234 go\r\n")),
    ),
    "nntp": Talk(
        b"200 ready\r\n",
        ((b"CAPABILITIES\r\n", b"101 list\r\nVERSION 2\r\nSTARTTLS\r\n.\r\n"), (b"STARTTLS\r\n", b"382 go\r\n")),
    ),
    "sieve": Talk(b'"IMPLEMENTATION" "x"\r\n"STARTTLS"\r\nOK\r\n', ((b"STARTTLS\r\n", b"OK\r\n"),)),
    "ldap": Talk(b"", ((b"1.3.6.1.4.1.1466.20037", bytes.fromhex("300c 020101 7807 0a0100 0400 0400")),)),
    "postgresql": Talk(b"", ((bytes.fromhex("04d2162f"), b"S"),)),
    "mysql": Talk(len(_MYSQL_GREETING).to_bytes(3, "little") + b"\0" + _MYSQL_GREETING, ((bytes(23), b""),)),
    "xmpp": Talk(b"", ((b"'1.0'>", _XMPP_STREAM), (b"/>", b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"))),
}
"""What servers of each protocol say until the handshake."""


def change_to_tls(
    protocol: str,
    context: ssl.SSLContext,
    then: Callable[[socket.socket], None] = keep_silent,
    *,
    injected: bytes = b"",
    drips: bool = False,
) -> Behaviour:
    """Speak the protocol until the client asks for TLS, shake hands, then behave over TLS.

    Args:
        protocol: The protocol.
        context: The server's side of TLS.
        then: The behaviour over TLS.
        injected: Plain text sent with the last answer before the handshake, as an attacker would add it.
        drips: Whether to send byte by byte.
    """
    talk = TALKS[protocol]

    def behave(connection: socket.socket) -> None:
        send_at_once(connection)
        greeting_is_last = not talk.answers[-1][1]
        _say(connection, talk.greeting + injected * greeting_is_last, drips=drips)
        for number, (end, answer) in enumerate(talk.answers, 1):
            if not _hear(connection, end):
                return
            is_last = number == len(talk.answers) and not greeting_is_last
            _say(connection, answer + injected * is_last, drips=drips)
        over_tls(context, then)(connection)

    return behave


def _say(connection: socket.socket, words: bytes, *, drips: bool) -> None:
    for piece in [words[index : index + 1] for index in range(len(words))] if drips else [words]:
        connection.sendall(piece)
        time.sleep(0.001 if drips else 0)


def _hear(connection: socket.socket, end: bytes) -> bool:
    """Read a request byte by byte, so that nothing of the handshake is read with it."""
    heard = b""
    while not heard.endswith(end):
        octet = connection.recv(1)
        if not octet:
            return False
        heard += octet
    return True
