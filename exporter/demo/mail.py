"""The demo's mail server: SMTP with STARTTLS, IMAP and POP3 over TLS, one mailbox in memory, any password welcome."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable, Iterable

_MOST_MESSAGES = 50
_PATIENCE_SECONDS = 5.0
_REPORT_AGE = timedelta(minutes=20)
_SUBJECT = re.compile(rb'SUBJECT "([^"]*)"', re.IGNORECASE)
_UIDS = re.compile(rb"[0-9]+(?::[0-9]+)?(?:,[0-9]+(?::[0-9]+)?)*")
_NAME = b"mail.shop.example"


class _Stored(NamedTuple):
    """A message in the mailbox."""

    uid: int
    arrived: datetime
    octets: bytes

    @property
    def header(self) -> bytes:
        """Its header, with the empty line at the end."""
        return self.octets.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"


class DemoMailServer:
    """Holds the mailbox and talks with clients; lives as long as the demo and is used on the demo's loop only."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._tls = tls
        self._messages: deque[_Stored] = deque(maxlen=_MOST_MESSAGES)
        self._last_uid = 0
        arrived = datetime.now(UTC) - _REPORT_AGE
        self._store(b"From: backup@shop.example\r\nSubject: Backup finished\r\n\r\nAll files are safe.\r\n", arrived)

    async def speak_smtp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take messages over TLS."""
        replies = {
            b"EHLO": b"250-%b\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n" % _NAME,
            b"AUTH": b"235 welcome\r\n",
            b"MAIL": b"250 ok\r\n",
            b"RCPT": b"250 ok\r\n",
            b"STAR": b"220 go ahead\r\n",
            b"DATA": b"354 end with a dot\r\n",
            b"QUIT": b"221 bye\r\n",
        }

        async def answer(line: bytes) -> None:
            verb = line[:4].upper()
            writer.write(replies.get(verb, b"502 not in the demo\r\n"))
            if verb == b"STAR":
                await writer.start_tls(self._tls)
            elif verb == b"DATA":
                self._store((await reader.readuntil(b"\r\n.\r\n"))[:-3], datetime.now(UTC))
                writer.write(b"250 stored\r\n")

        await _converse(reader, writer, b"220 %b ESMTP demo\r\n" % _NAME, answer)

    async def speak_imap(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Let clients search and delete messages."""
        marked: set[int] = set()

        async def answer(line: bytes) -> None:
            tag, _, command = line.strip().partition(b" ")
            verb = command.upper()
            if verb.startswith((b"SELECT", b"EXAMINE", b"NOOP")):
                writer.write(b"* %d EXISTS\r\n" % len(self._messages))
            elif verb.startswith(b"UID SEARCH"):
                writer.write(b"* SEARCH%b\r\n" % b"".join(b" %d" % message.uid for message in self._found(command)))
            elif verb.startswith((b"UID FETCH", b"FETCH")):
                writer.writelines(self._fetched(command))
            elif verb.startswith(b"UID STORE"):
                marked.update(message.uid for message in self._chosen(command))
            elif verb.startswith(b"UID EXPUNGE"):
                self._remove(marked)
            writer.write(tag + b" OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN UIDPLUS] done\r\n")

        await _converse(reader, writer, b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN UIDPLUS] demo\r\n", answer)

    async def speak_pop3(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Let clients count and read messages."""

        async def answer(line: bytes) -> None:
            verb, _, number = line.strip().partition(b" ")
            if verb.upper() == b"CAPA":
                writer.write(b"+OK\r\nUSER\r\nSASL PLAIN\r\nTOP\r\n.\r\n")
            elif verb.upper() == b"STAT":
                writer.write(b"+OK %d 1000\r\n" % len(self._messages))
            elif verb.upper() == b"TOP":
                index = int(number.partition(b" ")[0]) - 1
                writer.write(b"+OK\r\n%b.\r\n" % self._messages[index].header)
            else:
                writer.write(b"+OK\r\n")

        await _converse(reader, writer, b"+OK demo\r\n", answer)

    def _store(self, octets: bytes, arrived: datetime) -> None:
        self._last_uid += 1
        received = b"Received: by %b; %b\r\n" % (_NAME, format_datetime(arrived).encode())
        self._messages.append(_Stored(self._last_uid, arrived, received + octets))

    def _found(self, command: bytes) -> Iterable[_Stored]:
        wanted = _SUBJECT.search(command)
        return [message for message in self._messages if wanted is None or wanted[1] in message.header]

    def _chosen(self, command: bytes) -> Iterable[_Stored]:
        numbers = _UIDS.search(command)
        by_uid = command.upper().startswith(b"UID")
        wanted: set[int] = set()
        for part in numbers[0].split(b",") if numbers else ():
            first, _, last = part.partition(b":")
            wanted.update(range(int(first), min(int(last or first), self._last_uid) + 1))
        return [
            message
            for place, message in enumerate(self._messages, start=1)
            if (message.uid if by_uid else place) in wanted
        ]

    def _fetched(self, command: bytes) -> Iterable[bytes]:
        for message in self._chosen(command):
            if b"BODY" in command.upper():
                header = message.header
                yield b"* 1 FETCH (UID %d BODY[HEADER]<0> {%d}\r\n%b)\r\n" % (message.uid, len(header), header)
            else:
                arrived = message.arrived.strftime("%d-%b-%Y %H:%M:%S +0000").encode()
                yield b'* 1 FETCH (UID %d INTERNALDATE "%b")\r\n' % (message.uid, arrived)

    def _remove(self, uids: set[int]) -> None:
        self._messages = deque((one for one in self._messages if one.uid not in uids), maxlen=_MOST_MESSAGES)


async def _converse(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    greeting: bytes,
    answer: Callable[[bytes], Awaitable[None]],
) -> None:
    """Greet and answer lines until the client leaves, falls silent or says what the demo does not understand."""
    try:
        writer.write(greeting)
        while True:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                line = await reader.readline()
                if not line:
                    break
                await answer(line)
                await writer.drain()
    except (OSError, ValueError, IndexError, asyncio.IncompleteReadError):
        pass  # it does not matter to the demo; TimeoutError is an OSError, an endless line a ValueError
    finally:
        writer.close()
