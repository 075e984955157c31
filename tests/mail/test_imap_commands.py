"""IMAP commands: how configured texts are sent, none of which can end a command or begin a literal."""

from __future__ import annotations

import imaplib
import re
from calendar import timegm

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.mail.imap_commands import lines_of, mailbox, quoted, search_command, uid_set
from exporter.mail.settings import ImapSearch

NOON = float(timegm((2026, 3, 1, 12, 0, 0)))


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("INBOX", '"INBOX"'),
        ("Sent Mail", '"Sent Mail"'),
        ('a"b\\c', '"a\\"b\\\\c"'),
        ("Entwürfe", '"Entw&APw-rfe"'),
        ("A&B", '"A&-B"'),
        ("台北", '"&U,BTFw-"'),
        ("😀", '"&2D3eAA-"'),
        ("{5}", '"{5}"'),
    ],
)
def test_mailbox_names_are_quoted_in_modified_utf_7(name: str, sent: str) -> None:
    """Names are quoted strings; characters beyond ASCII are written as RFC 3501 asks for."""
    assert mailbox(name) == sent


@pytest.mark.parametrize("text", ["a\r\nA2 DELETE INBOX", "a\n", "a\r", "a\0"])
def test_line_breaks_are_rejected(text: str) -> None:
    """No text with a line break or NUL becomes part of a command."""
    for compose in (quoted, mailbox):
        with pytest.raises(ValueError, match=r"line break|quoted"):
            compose(text)
    with pytest.raises(ValueError, match="line break"):
        lines_of("A1", ("NOOP", text))


def test_sets_have_ranges() -> None:
    """Consecutive numbers are written as ranges."""
    assert uid_set([7, 1, 2, 3, 9, 10]) == "1:3,7,9:10"


def test_searches_ask_for_a_day_more() -> None:
    """The dates of a search have a day to spare on either side, for time zones."""
    search = ImapSearch(subject="Backup", sender='a"b', newer_than_seconds=7200, older_than_seconds=60, unseen=True)
    assert "".join(str(piece) for piece in search_command(search, NOON)) == (
        'UID SEARCH UNDELETED SUBJECT "Backup" FROM "a\\"b" SINCE 28-Feb-2026 BEFORE 3-Mar-2026 UNSEEN'
    )


def test_texts_beyond_ascii_are_literals_with_their_length() -> None:
    """Such a text is sent as a literal, once the server invites it, and the search names its character set."""
    command = search_command(ImapSearch(subject="größe {3}\\"), NOON)
    assert lines_of("A1", command) == [
        (b"A1 UID SEARCH CHARSET UTF-8 UNDELETED SUBJECT {12}\r\n", True),
        ("größe {3}\\".encode() + b"\r\n", False),
    ]


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r\n\0"), min_size=1, max_size=30))
def test_no_text_ends_a_command_or_begins_a_literal(text: str) -> None:
    """A command has as many lines as it has literals, and announces no literal but its own."""
    sent = lines_of("A1", ("SELECT ", mailbox(text)))
    assert len(sent) == 1
    assert sent[0][0].count(b"\n") == 1
    assert re.fullmatch(rb'A1 SELECT "(?:[^"\\\r\n]|\\["\\])*"\r\n', sent[0][0])


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=30))
def test_quoted_texts_are_as_the_standard_library_quotes_them(text: str) -> None:
    """ASCII is quoted as imaplib quotes passwords."""
    if text.isascii():
        assert quoted(text) == imaplib.IMAP4._quote(imaplib.IMAP4, text)  # type: ignore[attr-defined]
