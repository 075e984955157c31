"""IMAP commands and their responses on one connection, with limits on everything a server sends (RFC 3501)."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING

from exporter.errors import CheckFailed
from exporter.mail.imap_commands import lines_of
from exporter.mail.imap_responses import ImapResponse, parse_response, shown, split_literal
from exporter.model import Reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.plugin import Stream

MAX_LINE_BYTES = 640 * 1024
"""Bytes of one line; that of a search has up to eleven per message."""

MAX_COMMAND_BYTES = 4 << 20
"""Bytes of all responses to one command."""

_MAX_RESPONSES = 20_000
_MAX_LITERALS = 100
_RESPONSES_AT_ONCE = 100


class ImapDialogue:
    """Sends commands and reads responses; lives as long as its connection."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._tags = count(1)
        self._left_bytes = MAX_COMMAND_BYTES

    async def command(
        self,
        *command: str | bytes,
        take: Callable[[ImapResponse], None] | None = None,
        answer: Callable[[ImapResponse], bytes] | None = None,
    ) -> ImapResponse:
        """Send a command and return the response that completes it.

        Args:
            command: Its pieces; see `exporter.mail.imap_commands`.
            take: Called with each untagged response.
            answer: Returns what to send when the server asks to continue.

        Raises:
            CheckFailed: With reason `status` when the server ends the session, otherwise as `response`.
        """
        tag = f"A{next(self._tags)}"
        self._left_bytes = MAX_COMMAND_BYTES
        for octets, waits_for_invitation in lines_of(tag, command):
            await self._write(octets)
            if waits_for_invitation:
                response = await self._answer_to(tag, take)
                if response.tag != "+":
                    return response
        while (response := await self._answer_to(tag, take)).tag == "+":
            if answer is None:
                raise CheckFailed(Reason.PROTOCOL, "the server asks to continue a command that is complete")
            await self._write(answer(response) + b"\r\n")
        return response

    def send_last(self, command: str) -> None:
        """Send a command without waiting for its response."""
        self._stream.write(f"A{next(self._tags)} {command}\r\n".encode("ascii"))

    async def _write(self, octets: bytes) -> None:
        self._stream.write(octets)
        await self._stream.drain()

    async def _answer_to(self, tag: str, take: Callable[[ImapResponse], None] | None) -> ImapResponse:
        """Return the next response that is tagged or asks to continue."""
        for number in range(_MAX_RESPONSES):
            response = await self.response()
            if response.tag in (tag, "+"):
                return response
            if response.tag != "*":
                raise CheckFailed(Reason.PROTOCOL, f"the server completed a command that was not sent: {response.said}")
            if response.kind == "BYE":
                raise CheckFailed(Reason.STATUS, f"the server ended the session: {response.said}")
            if take is not None:
                take(response)
            if number % _RESPONSES_AT_ONCE == _RESPONSES_AT_ONCE - 1:
                await asyncio.sleep(0)  # lets other checks run while a server sends a lot
        raise CheckFailed(Reason.TOO_LARGE, f"the server sent more than {_MAX_RESPONSES} responses to a command")

    async def response(self) -> ImapResponse:
        """Return the next response.

        Raises:
            CheckFailed: With reason `protocol` when it is not one, `too_large` when it or all since the last command
                exceed a limit.
        """
        lines: list[bytes] = []
        literals: list[bytes] = []
        while True:
            line = await self._stream.read_line(MAX_LINE_BYTES)
            text, literal_bytes = split_literal(line) if lines or not _is_status(line) else (line, None)
            lines.append(text)
            self._count(len(line) + (literal_bytes or 0))
            if literal_bytes is None:
                return parse_response(lines, literals)
            if len(lines) > _MAX_LITERALS:
                raise CheckFailed(Reason.TOO_LARGE, f"a response has many literals: {shown(lines[0])}")
            literals.append(await self._stream.read_exactly(literal_bytes) if literal_bytes else b"")

    def _count(self, size: int) -> None:
        self._left_bytes -= size
        if self._left_bytes < 0:
            raise CheckFailed(
                Reason.TOO_LARGE, f"the server sent more than {MAX_COMMAND_BYTES} bytes in response to a command"
            )


def _is_status(line: bytes) -> bool:
    """Whether a line is a status response, whose text may end like the announcement of a literal."""
    return line.partition(b" ")[2][:8].upper().startswith((b"OK ", b"NO ", b"BAD ", b"BYE ", b"PREAUTH "))
