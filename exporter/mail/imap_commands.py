"""Compose IMAP commands, so that no text from a configuration can end a command or begin a literal.

A command is a tuple of pieces: a `str` is sent as it is, `bytes` are sent as a literal whose length is counted here.
Texts are quoted; only those that are not ASCII become literals (RFC 3501 section 4.3).
"""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.mail.settings import ImapSearch

Command = tuple[str | bytes, ...]

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_NOT_QUOTABLE = re.compile(r"[\x00\r\n]|[^\x00-\x7f]")
_SPECIAL = re.compile(r'(["\\])')
_NOT_DIRECT = re.compile(r"[^\x20-\x7e]+")


def quoted(text: str) -> str:
    """Return a text as a quoted string.

    Source: RFC 3501 section 9, `quoted`.

    Raises:
        ValueError: When it has a line break, NUL or a character that is not ASCII.
    """
    if _NOT_QUOTABLE.search(text):
        raise ValueError("cannot be sent as a quoted string")
    return '"' + _SPECIAL.sub(r"\\\1", text) + '"'


def is_quotable(text: str) -> bool:
    """Return whether `quoted` accepts a text."""
    return _NOT_QUOTABLE.search(text) is None


def mailbox(name: str) -> str:
    """Return a mailbox name as a quoted string, in modified UTF-7 (RFC 3501 section 5.1.3).

    Raises:
        ValueError: When it has a line break or NUL.
    """
    return quoted(_NOT_DIRECT.sub(lambda match: f"&{_base64(match[0])}-", _refuse_breaks(name).replace("&", "&-")))


def _refuse_breaks(name: str) -> str:
    if re.search(r"[\x00\r\n]", name):
        raise ValueError("has a line break or NUL")
    return name


def _base64(text: str) -> str:
    encoded = base64.b64encode(text.encode("utf-16-be", errors="surrogatepass"))
    return encoded.rstrip(b"=").replace(b"/", b",").decode("ascii")


def uid_set(uids: Iterable[int]) -> str:
    """Return numbers as a sequence set with ranges, such as `1:3,7`."""
    runs: list[tuple[int, int]] = []
    for uid in sorted(set(uids)):
        if runs and uid == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], uid)
        else:
            runs.append((uid, uid))
    return ",".join(str(first) if first == last else f"{first}:{last}" for first, last in runs)


def search_command(search: ImapSearch, now_timestamp_seconds: float) -> Command:
    """Return the command that searches for messages; those marked as deleted are left out.

    Servers compare dates in the time zone of each message and without the time of day, so the command asks for a day
    more on either side; the caller compares the exact times.
    """
    pieces: list[str | bytes] = []
    for key, text in (("SUBJECT", search.subject), ("FROM", search.sender)):
        if text is not None:
            pieces += [f" {key} ", quoted(text) if is_quotable(text) else text.encode()]
    if search.newer_than_seconds is not None:
        pieces.append(f" SINCE {_date(now_timestamp_seconds - search.newer_than_seconds, days=-1)}")
    if search.older_than_seconds is not None:
        pieces.append(f" BEFORE {_date(now_timestamp_seconds - search.older_than_seconds, days=2)}")
    if search.unseen:
        pieces.append(" UNSEEN")
    charset = " CHARSET UTF-8" if any(isinstance(piece, bytes) for piece in pieces) else ""
    return (f"UID SEARCH{charset} UNDELETED", *pieces)


def _date(timestamp_seconds: float, *, days: int) -> str:
    """Return a date as IMAP writes it, such as `17-Jul-1996`; never before 1970."""
    moment = datetime.fromtimestamp(max(timestamp_seconds, 86400.0), UTC) + timedelta(days=days)
    return f"{moment.day}-{_MONTHS[moment.month - 1]}-{moment.year}"


def lines_of(tag: str, command: Command) -> list[tuple[bytes, bool]]:
    """Return what is sent for a command, in order, each with whether what follows must wait for the server's consent.

    Source: RFC 3501 section 7.5: after the length of a literal, the client waits for a continuation request.

    Raises:
        ValueError: When a text piece has a line break, which only a fault of the caller can cause.
    """
    sent: list[tuple[bytes, bool]] = []
    pending = f"{tag} ".encode("ascii")
    for piece in command:
        if isinstance(piece, bytes):
            sent.append((pending + b"{%d}\r\n" % len(piece), True))
            pending = piece
        else:
            pending += _refuse_breaks(piece).encode("ascii")
    sent.append((pending + b"\r\n", False))
    return sent
