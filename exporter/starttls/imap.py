"""STARTTLS of IMAP (RFC 9051 section 6.2.1)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.starttls.literals import read_logical_line
from exporter.starttls.script import (
    MAX_LINES,
    Send,
    garbled,
    not_offered,
    refused,
    refused_connection,
    shown,
    too_many_lines,
)

if TYPE_CHECKING:
    from exporter.starttls.script import Names, Part, Script

_GREETING = re.compile(rb"\* (OK|PREAUTH|BYE)(?: .*)?", re.IGNORECASE | re.DOTALL)
_CODE = re.compile(rb"\* \w+ \[CAPABILITY ([^\]]*)\]", re.IGNORECASE)
_LIST = re.compile(rb"\* CAPABILITY (.*)", re.IGNORECASE | re.DOTALL)


def imap(names: Names) -> Script:
    """Read the greeting, ask for CAPABILITY unless the greeting lists them, and send STARTTLS."""
    greeting = yield from read_logical_line()
    match = _GREETING.fullmatch(greeting)
    if match is None:
        raise garbled(greeting, "IMAP")
    if match[1].upper() == b"BYE":
        raise refused_connection(shown(greeting))
    if match[1].upper() == b"PREAUTH":
        raise CheckFailed(Reason.STARTTLS, "the server has authenticated the client already, so STARTTLS is not valid")
    listed = _CODE.match(greeting)
    capabilities = set(listed[1].upper().split()) if listed else (yield from _capabilities())
    if b"STARTTLS" not in capabilities:
        raise not_offered("STARTTLS")
    yield Send(b"a2 STARTTLS\r\n")
    answer, _ = yield from _answer(b"a2")
    if not answer.upper().startswith(b"OK"):
        raise refused("STARTTLS", shown(answer))


def _capabilities() -> Part[set[bytes]]:
    yield Send(b"a1 CAPABILITY\r\n")
    answer, untagged = yield from _answer(b"a1")
    if not answer.upper().startswith(b"OK"):
        raise refused("CAPABILITY", shown(answer))
    return {word for line in untagged if (match := _LIST.fullmatch(line)) for word in match[1].upper().split()}


def _answer(tag: bytes) -> Part[tuple[bytes, list[bytes]]]:
    """Read until the answer with this tag; return it without the tag, and the untagged lines before it."""
    untagged: list[bytes] = []
    while len(untagged) < MAX_LINES:
        line = yield from read_logical_line()
        first, _, rest = line.partition(b" ")
        if first == tag:
            return rest, untagged
        if first != b"*":
            raise garbled(line, "IMAP")
        untagged.append(line)
    raise too_many_lines("IMAP")
