"""Bodies as text: the encoding, and the resulting text."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from webencodings.labels import LABELS  # type: ignore[import-untyped]  # it has no types

from exporter.judging.charset import Charset, charset_of, decode_text
from exporter.judging.content import BodyText, Content

MIB = 1 << 20


def text_of(body: bytes, content_type: str) -> str:
    return decode_text(body, charset_of(body, content_type).name)


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        (b"caf\xc3\xa9", "text/html", "café"),
        (b"caf\xe9", "text/html; charset=ISO-8859-1", "café"),
        (b"caf\xe9", 'text/html; charset="windows-1252"', "café"),
        (b"caf\xe9", "text/html", "caf\ufffd"),
        (b"\x80 5", "text/html; charset=latin1", "€ 5"),
        (b"\x80 5", "text/html; charset=us-ascii", "€ 5"),
        (b"\x93x\x94\x81", "text/html; charset=iso-8859-1", "“x”\x81"),
        (b"\xd0\xfd", "text/html; charset=iso-8859-9", "Ğı"),
        (b"\xb0\xa1\xa2\xe3", "text/html; charset=gb2312", "啊€"),
        (b"\x95\x32\x82\x36", "text/html; charset=gbk", "\U00020000"),
        (b"\x87\x40", "text/plain; charset=Shift_JIS", "①"),
        (b"\x83\x65", "text/plain; charset=windows-31j", "テ"),
        (b"\x81\x41", "text/plain; charset=ks_c_5601-1987", "갂"),
        (b"\x88\x62", "text/plain; charset=big5-hkscs", "Ê̄"),
        (b"\xdb\x8e", "text/plain; charset=macintosh", "€é"),
        (b"\xaa\x81", "text/plain; charset=windows-1253", "\ufffd\x81"),
        (b"a\xff", "text/plain; charset=x-user-defined", "a\uf7ff"),
        (b"a\xff", "text/plain; charset=iso-2022-kr", "\ufffd"),
        (b"", "text/plain; charset=hz-gb-2312", ""),
        ("café".encode("utf-16"), "text/plain; Charset=UTF-16", "café"),
        ("café".encode("utf-16-le"), "text/plain; charset=utf-16", "café"),
        ("café".encode("utf-16-be"), "text/plain; charset=utf-16be", "café"),
        (b"\xef\xbb\xbfcaf\xc3\xa9", "text/plain; charset=iso-8859-1", "café"),
        (b"\xfe\xff\x00a", "text/plain; charset=utf-8", "a"),
        (b"\xff\xfea\x00", "", "a"),
        (b"6162", "text/plain; charset=hex", "6162"),
        (b"\\u0061", "text/plain; charset=unicode_escape", "\\u0061"),
        (b"+AGE-", "text/plain; charset=utf-7", "+AGE-"),
        (b"caf\xc3\xa9", "text/html; format=flowed ;CHARSET = 'utf-8'", "café"),
        (b"abc", "text/plain; charset=no-such-charset", "abc"),
        (b"abc", "text/plain; charset=" + "x" * 5000, "abc"),
        (b"abc", "text/plain; charset=", "abc"),
        (b"abc", 'text/plain; charset="', "abc"),
        (b"", "", ""),
    ],
)
def test_bodies_are_read_as_browsers_read_them(body: bytes, content_type: str, text: str) -> None:
    """Labels are those of the Encoding standard, a byte order mark comes first, and Python's codecs do not count."""
    assert text_of(body, content_type) == text


@pytest.mark.parametrize(
    ("start", "content_type", "charset"),
    [
        (b"<!doctype html><meta charset=koi8-r>", "text/html", "koi8-r"),
        (b"<META CharSet = 'KOI8-R' />", "text/html", "koi8-r"),
        (b"<meta charset=koi8-r>", "", "koi8-r"),
        (b"<meta charset=koi8-r>", "text/html; charset=euc-jp", "euc-jp"),
        (b"<meta charset=koi8-r>", "text/html; charset=bogus", "koi8-r"),
        (b"<meta charset=koi8-r>", "text/plain", "utf-8"),
        (b"<meta charset=koi8-r>", "application/json", "utf-8"),
        (b'<meta http-equiv="Content-Type" content="text/html; charset=big5">', "text/html", "big5"),
        (b"<meta content='text/html; charset=\"big5\"' http-equiv=content-type>", "text/html", "big5"),
        (b'<meta content="text/html; charset=big5">', "text/html", "utf-8"),
        (b"<meta charset=bogus><meta charset=koi8-r>", "text/html", "utf-8"),
        (b"<!-- <meta charset=koi8-r> --><meta charset=big5>", "text/html", "big5"),
        (b"<!-- <meta charset=koi8-r>", "text/html", "utf-8"),
        (b"<a title='<meta charset=koi8-r>'><meta charset=big5>", "text/html", "big5"),
        (b"<metadata charset=koi8-r>", "text/html", "utf-8"),
        (b"<?php x ?><meta charset=koi8-r>", "text/html", "koi8-r"),
        (b"<meta charset=utf-16>", "text/html", "utf-8"),
        (b"<meta charset=x-user-defined>", "text/html", "windows-1252"),
        (b" " * 1024 + b"<meta charset=koi8-r>", "text/html", "utf-8"),
        (b"<?xml version='1.0' encoding='iso-8859-2'?>", "application/xml", "iso-8859-2"),
        (b'<?xml version="1.0" encoding="windows-1251"?>', "application/rss+xml; q=1", "windows-1251"),
        (b'<?xml version="1.0" encoding="windows-1251"?>', "text/html", "windows-1251"),
        (b'<?xml version="1.0" encoding="utf-16"?>', "text/xml", "utf-8"),
        (b'<?xml version="1.0"?>', "text/xml", "utf-8"),
    ],
)
def test_documents_can_say_their_encoding(start: bytes, content_type: str, charset: str) -> None:
    """A `meta` element or an XML declaration is used if neither a byte order mark nor the Content-Type names one."""
    assert charset_of(start + b"<p>\xc1", content_type).name == charset


@pytest.mark.parametrize(
    ("body", "content_type", "charset"),
    [
        (b"abc", "text/html; charset=bogus", Charset("utf-8", "bogus")),
        (b"abc", "text/html; charset=utf-32", Charset("utf-8", "utf-32")),
        (b"<meta charset=nonsense>", "text/html", Charset("utf-8", "nonsense")),
        (b"<meta charset=koi8-r>", "text/html; charset=" + "y" * 100, Charset("koi8-r", "y" * 40)),
        (b"abc", "text/html; charset=utf8", Charset("utf-8")),
    ],
)
def test_an_unknown_charset_is_remembered(body: bytes, content_type: str, charset: Charset) -> None:
    """A label without an encoding is skipped and recorded."""
    assert charset_of(body, content_type) == charset


def test_there_is_a_remark_about_an_unknown_charset() -> None:
    """The note says that the charset is unknown, and which encoding was used; the check type logs it."""
    content = Content(b"abc", "text/html; charset=bogus")
    assert BodyText(content)() == "abc"
    assert content.remarks == [("unknown charset", {"charset": "bogus", "read_as": "utf-8"})]


@given(st.binary(max_size=300), st.sampled_from(sorted(LABELS)))
def test_any_bytes_are_text_in_any_encoding(body: bytes, label: str) -> None:
    """Reading never raises an exception for any body."""
    assert isinstance(text_of(body, f"text/html; charset={label}"), str)


@given(st.text("<>metacharsET=\"'!-/? x\n", max_size=200))
def test_any_markup_has_an_encoding(markup: str) -> None:
    """The search for an encoding never raises an exception for any markup."""
    assert isinstance(charset_of(markup.encode(), "text/html"), Charset)


@pytest.mark.parametrize("label", ["windows-1252", "windows-1253", "gb18030", "euc-kr", "shift_jis", "utf-8"])
def test_errors_cost_no_more_than_text(label: str) -> None:
    """A mebibyte that is not text in its encoding is read in tens of milliseconds."""
    started = time.thread_time()
    for body in (b"\x81" * MIB, b"\xff" * MIB):
        text_of(body, f"text/html; charset={label}")
    assert time.thread_time() - started < 0.2


def test_hostile_markup_is_searched_quickly() -> None:
    """What would make a search go back again and again takes a few milliseconds."""
    rng = random.Random(1)
    pieces = [b"<", b"<a ", b"<!--", b"<! ", b"<meta ", b"<?xml ", b'"', b"'", b"a=", b"<m"]
    starts = [piece * (1024 // len(piece)) for piece in pieces]
    starts += [b"".join(rng.choices(pieces, k=300)) for _ in range(100)]
    starts += [b"<a" + start for start in starts]
    started = time.thread_time()
    for start in starts:
        charset_of(start, "text/html")
    assert time.thread_time() - started < 0.01 * len(starts)
