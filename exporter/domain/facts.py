"""The registration data of a domain, independent of RDAP and WHOIS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter.domain.dates import read_date
from exporter.domain.statuses import epp_status
from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net.field_lines import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST_STATUSES = 50
_SHOWN_CHARACTERS = 100


class UnreadableDateError(CheckFailed):
    """Raised for an expiration date that cannot be read.

    Attributes:
        line: Where the answer has it, for the log.
    """

    def __init__(self, line: str) -> None:
        super().__init__(Reason.DECODE, "the answer has an expiration date that cannot be read")
        self.line = shortened(line)


class RateLimitedError(CheckFailed):
    """Raised when a server refuses to answer because it is queried too often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainFacts:
    """The registration of one domain.

    Attributes:
        expires_timestamp_seconds: When it expires; None when the registry does not say so.
        statuses: Its EPP status codes, sorted.
        other_statuses: Further statuses that are not EPP codes, for the log.
        registrar: Name of its registrar, shortened; empty when the registry does not name one.
        registrar_iana_id: The registrar's number at IANA; empty when unknown.
        remarks: What was odd about the answer, for the log.
    """

    expires_timestamp_seconds: float | None = None
    statuses: tuple[str, ...] = ()
    other_statuses: tuple[str, ...] = ()
    registrar: str = ""
    registrar_iana_id: str = ""
    remarks: tuple[str, ...] = ()


def expiration(dates: Iterable[tuple[str, str]]) -> float | None:
    """Return the earliest of some dates as Unix time; None when there is none.

    Args:
        dates: Each date, and the line or object that has it.

    Raises:
        UnreadableDateError: When one of them cannot be read.
    """
    found = []
    for date, line in dates:
        timestamp_seconds = read_date(date)
        if timestamp_seconds is None:
            raise UnreadableDateError(line)
        found.append(timestamp_seconds)
    return min(found, default=None)


def sorted_statuses(texts: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the statuses among some texts as EPP codes, and the texts that are not."""
    known: set[str] = set()
    other: dict[str, None] = {}
    for text in list(texts)[:_MOST_STATUSES]:
        status = epp_status(text)
        if status is not None:
            known.add(status)
        elif text.strip():
            other[shortened(text)] = None
    return tuple(sorted(known)), tuple(other)


def shortened(text: str) -> str:
    """Return a registry's text trimmed, printable and cut to a bounded length."""
    return printable(text.strip()[:_SHOWN_CHARACTERS])
