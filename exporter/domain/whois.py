"""Reads the answer of a WHOIS server about a domain: lines of keys and values, in the formats in use. Does no I/O.

WHOIS (RFC 3912) has no format. Keys are compared without case, dots and brackets, so that `Registry Expiry Date: ..`,
`expires............: ..` and `[Expires on]   ..` are all read.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from exporter.domain.facts import DomainFacts, expiration, shortened, sorted_statuses
from exporter.host_names import ascii_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_MOST_LINES = 2000
_LINE = re.compile(
    r"\s*(?:(?:[a-z]\.\s*)?\[([^\]]{1,60})\]\s*(.*)|(record expires on)\s+(.*)|([^:\[%#]{1,60}?)[\s.]*:\s?(.*))",
    re.IGNORECASE,
)
_BETWEEN_WORDS = re.compile(r"[\s._-]+")
_LINK = re.compile(r"\s*\(?https?://\S*")

_EXPIRES = (
    ("registry expiry date", "domain expiration date"),
    (
        "expiry date", "expiration date", "expires", "expires on", "expires at", "expire", "expire date", "expire on",
        "expiration time", "expiration", "domain expires", "domain expiry date", "record expires on", "record expires",
        "paid till", "renewal date", "valid until", "validity", "exp date", "registered until",
    ),
    ("registrar registration expiration date",),
)  # fmt: skip
"""Keys of expiration dates: those of a registry first, that of a registrar only if there are none."""

_STATUS = ("domain status", "status", "state", "eppstatus", "registration status")
_REGISTRAR = ("registrar", "registrar name", "sponsoring registrar", "registrar organization", "current registrar")
_IANA_ID = ("registrar iana id", "sponsoring registrar iana id")
_DOMAIN = ("domain name", "domain")
_REFERRAL = ("refer", "whois", "whois server")

_MISSING = re.compile(
    r"no match|not found|no data found|no entries found|no object|nothing found|no such domain|not registered"
    r"|no information available|does not exist|is available|is free|status:\s*(?:free|available)|no record"
)
_LIMITED = re.compile(
    r"(?:quota|limit|rate|queries)\b.{0,40}\bexceed|exceed.{0,40}\b(?:quota|limit|rate|queries|maximum)"
    r"|too many (?:requests|queries)|rate.?limit|try again later|temporarily (?:blocked|denied)|blacklisted"
)


class WhoisAnswer(NamedTuple):
    """The content of an answer.

    Attributes:
        facts: The registration data; None without any.
        referral: The server that the answer refers to; empty for none.
        is_missing: Whether the server does not know the domain.
        is_limited: Whether the server refuses to answer because it is queried too often.
    """

    facts: DomainFacts | None = None
    referral: str = ""
    is_missing: bool = False
    is_limited: bool = False


class _Field(NamedTuple):
    key: str
    value: str
    line: str


def read_whois_answer(text: str, name: str) -> WhoisAnswer:
    """Parse an answer about a domain.

    Args:
        text: The answer.
        name: The queried domain, in ASCII.

    Raises:
        UnreadableDateError: When its expiration date cannot be read.
    """
    fields = list(_fields(text.splitlines()[:_MOST_LINES]))
    domains = [_in_ascii(one.value) for one in fields if one.key in _DOMAIN]
    if name not in domains and (servers := _values(fields, _REFERRAL)):
        return WhoisAnswer(referral=servers[0])
    facts = _facts(fields)
    lower = text.lower()
    if name in domains and (facts.statuses or facts.expires_timestamp_seconds is not None or facts.registrar):
        return WhoisAnswer(facts=facts)
    if _LIMITED.search(lower):
        return WhoisAnswer(is_limited=True)
    if _MISSING.search(lower):
        return WhoisAnswer(is_missing=True)
    if domains and name not in domains:
        return WhoisAnswer()
    has_data = facts.expires_timestamp_seconds is not None or facts.statuses or facts.other_statuses or domains
    return WhoisAnswer(facts=facts) if has_data else WhoisAnswer()


def _fields(lines: Sequence[str]) -> Iterator[_Field]:
    """Yield the lines that have a key; a value may be on the next line."""
    for number, line in enumerate(lines):
        match = _LINE.fullmatch(line)
        if match is None:
            continue
        bracketed, first, plain, second, words, third = match.groups()
        value = (first or second or third or "").strip()
        if not value and number + 1 < len(lines) and not _LINE.fullmatch(lines[number + 1]):
            value = lines[number + 1].strip()
        key = _BETWEEN_WORDS.sub(" ", (bracketed or plain or words).lower()).strip()
        yield _Field(key, value, line)


def _in_ascii(name: str) -> str:
    try:
        return ascii_name(name).removesuffix(".")
    except ValueError:
        return name


def _facts(fields: Sequence[_Field]) -> DomainFacts:
    dates: list[tuple[str, str]] = []
    for keys in _EXPIRES:
        dates = dates or [(one.value, one.line) for one in fields if one.key in keys and one.value]
    statuses, others = sorted_statuses(_statuses(_values(fields, _STATUS)))
    registrars, ids = _values(fields, _REGISTRAR), _values(fields, _IANA_ID)
    return DomainFacts(
        expires_timestamp_seconds=expiration(dates),
        statuses=statuses,
        other_statuses=others,
        registrar=shortened(registrars[0]) if registrars else "",
        registrar_iana_id=shortened(ids[0]) if ids else "",
        remarks=(f"{len(dates)} expiration dates, of which the earliest counts",) if len(dates) > 1 else (),
    )


def _statuses(values: Iterable[str]) -> Iterator[str]:
    """Yield the statuses in some values: several with commas between, each perhaps with a link that explains it."""
    for value in values:
        yield from _LINK.sub("", value).split(",")


def _values(fields: Iterable[_Field], keys: Sequence[str]) -> list[str]:
    return [one.value for one in fields if one.key in keys and one.value]
