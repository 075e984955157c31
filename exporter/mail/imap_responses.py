"""Parse IMAP responses, literals included, within limits (RFC 3501 section 7).

A response is a line, or several with literals between them. Only what a check needs is interpreted; a server may send
any other data at any time, and it is skipped.
"""

from __future__ import annotations

import re
from calendar import timegm
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter.errors import CheckFailed
from exporter.mail.smtp_replies import printable
from exporter.model import Reason

if TYPE_CHECKING:
    from collections.abc import Sequence

_MAX_LITERAL_BYTES = 256 * 1024
"""A larger literal is a failure; its announced length alone never allocates memory."""

_MAX_NUMBER = 2**32 - 1
_LITERAL = re.compile(rb"\{([0-9]{1,40})\+?\}\Z")
_STATUS = re.compile(r"(OK|NO|BAD|BYE|PREAUTH)(?: (?:\[([^\]]*)\] ?)?(.*))?", re.DOTALL | re.IGNORECASE)
_NUMBERED = re.compile(r"([0-9]{1,40}) ([A-Za-z]+)(?: (.*))?", re.DOTALL)
_UID = re.compile(r"[( ]UID ([0-9]{1,40})[) ]", re.IGNORECASE)
_INTERNAL_DATE = re.compile(
    r'[( ]INTERNALDATE "([ 0-9][0-9])-([A-Z][a-z][a-z])-([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2})'
    r' ([+-])([0-9]{2})([0-9]{2})"',
    re.IGNORECASE,
)
_MONTHS = {
    month: number
    for number, month in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), start=1
    )
}
_SHOWN_BYTES = 200


@dataclass(frozen=True, slots=True)
class ImapResponse:
    """One response of a server; immutable.

    Attributes:
        tag: The tag of the command it completes, `*` for other data, `+` for a continuation request.
        kind: OK, NO, BAD, BYE, PREAUTH, or the name of the data, such as SEARCH or EXISTS, in upper case.
        number: The number before the name, as in `23 EXISTS`; 0 without one.
        code: The response code, such as `UIDVALIDITY 1`, without brackets.
        text: The rest, with literals left out.
        literals: The literals, in order.
    """

    tag: str
    kind: str
    number: int = 0
    code: str = ""
    text: str = ""
    literals: tuple[bytes, ...] = ()

    @property
    def said(self) -> str:
        """What the server said, on one bounded line, for logs and details."""
        code = f"[{self.code}] " if self.code else ""
        return printable(f"{self.kind} {code}{self.text}")

    def expect_ok(self, what: str) -> None:
        """Check that a command was completed as asked.

        Args:
            what: What was asked for, completing "the server refused".

        Raises:
            CheckFailed: With reason `status` when the server refused, `protocol` when it did not understand.
        """
        if self.kind == "NO":
            raise CheckFailed(Reason.STATUS, f"the server refused {what}: {self.said}")
        if self.kind != "OK":
            raise CheckFailed(Reason.PROTOCOL, f"the server did not understand {what}: {self.said}")


def split_literal(line: bytes) -> tuple[bytes, int | None]:
    """Return a line without the announcement of a literal at its end, and the literal's length; None without one.

    Raises:
        CheckFailed: With reason `too_large` when the length exceeds the limit.
    """
    match = _LITERAL.search(line)
    if match is None:
        return line, None
    digits = match[1].lstrip(b"0") or b"0"
    if len(digits) > len(str(_MAX_LITERAL_BYTES)) or int(digits) > _MAX_LITERAL_BYTES:
        what = f"the server announces a literal of {digits.decode()} bytes"
        raise CheckFailed(Reason.TOO_LARGE, f"{what}; the limit is {_MAX_LITERAL_BYTES}")
    return line[: match.start()], int(digits)


def parse_response(lines: Sequence[bytes], literals: Sequence[bytes] = ()) -> ImapResponse:
    """Parse a response.

    Args:
        lines: Its lines, without line ends and without the announcements of literals.
        literals: The literals between them.

    Raises:
        CheckFailed: With reason `protocol` when it is not a response.
    """
    whole = b"".join(lines).decode(errors="replace")
    tag, _, rest = whole.partition(" ")
    if tag == "+":
        return ImapResponse("+", "", text=rest)
    if (status := _STATUS.fullmatch(rest)) and tag:
        return ImapResponse(tag, status[1].upper(), code=status[2] or "", text=status[3] or "")
    if tag != "*" or not rest:
        raise CheckFailed(Reason.PROTOCOL, f"the server sent something that is not an IMAP response: {shown(lines[0])}")
    if numbered := _NUMBERED.fullmatch(rest):
        text, number = numbered[3] or "", parse_number(numbered[1])
        return ImapResponse("*", numbered[2].upper(), number, text=text, literals=tuple(literals))
    kind, _, text = rest.partition(" ")
    return ImapResponse("*", kind.upper(), text=text, literals=tuple(literals))


def shown(line: bytes) -> str:
    """Return the beginning of a line as a detail may show it."""
    return printable(line[:_SHOWN_BYTES].decode(errors="replace"))


def parse_number(digits: str) -> int:
    """Return a number of at most 32 bits.

    Raises:
        CheckFailed: With reason `protocol` when it is larger or not a number.
    """
    if not (digits.isascii() and digits.isdigit()) or len(digits) > len(str(_MAX_NUMBER)) or int(digits) > _MAX_NUMBER:
        raise CheckFailed(Reason.PROTOCOL, f"the server sent {printable(digits)} where a 32-bit number belongs")
    return int(digits)


def numbers_found(response: ImapResponse, most: int) -> list[int]:
    """Return the numbers of a SEARCH response.

    Raises:
        CheckFailed: With reason `protocol` when one is not a number, and `too_large` when there are too many.
    """
    texts = response.text.partition("(")[0].split()  # with CONDSTORE, `(MODSEQ n)` may follow
    if len(texts) > most:
        raise CheckFailed(Reason.TOO_LARGE, "too many messages match; narrow the search")
    return [parse_number(text) for text in texts]


def uid_of(response: ImapResponse) -> int | None:
    """Return the UID in a FETCH response; None when it has none."""
    match = _UID.search(response.text)
    return None if match is None else parse_number(match[1])


def internal_date_of(response: ImapResponse) -> float | None:
    """Return the Unix time at which the message of a FETCH response arrived; None without a readable one.

    Source: RFC 3501 section 9, `date-time`.
    """
    match = _INTERNAL_DATE.search(response.text)
    if match is None or (month := _MONTHS.get(match[2].lower())) is None:
        return None
    day, year, hour, minute, second, zone_hour, zone_minute = (int(match[one]) for one in (1, 3, 4, 5, 6, 8, 9))
    if not (1 <= day <= 31 and year >= 1970 and hour < 24 and minute < 60 and second <= 60):
        return None
    zone_seconds = (zone_hour * 60 + zone_minute) * 60
    local = timegm((year, month, day, hour, minute, second))
    return float(local - zone_seconds if match[7] == "+" else local + zone_seconds)
